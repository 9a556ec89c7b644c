"""The health check."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory

from fallback_exec import BreakerCooldownTracker, CooldownStatus
from fallback_exec.flask import FallbackExec
from fallback_exec.shared import InMemoryCooldownStore
from flask_sites import Site, site
from helpers import VendorError, in_threads

ALONE = "States are those of this worker process alone."
SHARED = "States are shared by all processes; this is what this one has last learned of them."


def check(status: str, state: str, failures: int = 0, remaining: float = 0.0, openings: int = 0) -> list[Any]:
    """Return what is told of one provider while the clock stands still."""
    return [
        {
            "componentType": "component",
            "status": status,
            "time": "2026-01-01T00:00:00+00:00",
            "state": state,
            "failures": failures,
            "cooldown_remaining": remaining,
            "openings": openings,
        }
    ]


def health(tried: Site) -> tuple[int, Any]:
    """Return what the health check answers: its code, and its checks under its status."""
    answer = tried.get("/providers/health")
    body = answer.get_json(force=True)
    assert body.keys() == {"status", "notes", "checks"}
    return answer.status_code, {body["status"]: body["checks"]}


@pytest.mark.usefixtures("clock")
class TestStatus:
    """Pass, warn or fail."""

    def test_passes_where_nobody_is_known(self) -> None:
        """A worker that has just started takes calls."""
        assert health(site()) == (200, {"pass": {}})

    def test_passes_while_all_are_closed(self) -> None:
        """Providers are there that were never called, and those that have failed less than it takes."""
        tried = site(providers=["grok"])
        tried.tracker.record_failure("gemini", VendorError("down"))
        expected = {"grok": check("pass", "closed"), "gemini": check("pass", "closed", failures=1)}
        assert health(tried) == (200, {"pass": expected})

    def test_warns_while_some_are_not(self, clock: FrozenDateTimeFactory) -> None:
        """Traffic goes on: another provider answers."""
        tried = site(providers=["grok", "gemini"])
        tried.open("grok")
        clock.tick(10.2494)
        open_one = check("fail", "open", failures=2, remaining=19.751, openings=1)
        open_one[0]["time"] = "2026-01-01T00:00:10.249400+00:00"
        closed = check("pass", "closed")
        closed[0]["time"] = open_one[0]["time"]
        assert health(tried) == (200, {"warn": {"grok": open_one, "gemini": closed}})

    def test_fails_while_nobody_is_callable(self) -> None:
        """503: whoever asks here for an answer gets none, or that of a terminus that cools down, too."""
        tried = site()
        tried.open("grok", "gemini")
        opened = check("fail", "open", failures=2, remaining=30.0, openings=1)
        assert health(tried) == (503, {"fail": {"grok": opened, "gemini": opened}})

    @pytest.mark.parametrize("settings", [{}, {"shared": InMemoryCooldownStore()}])
    def test_warns_as_soon_as_a_probe_is_due(
        self, clock: FrozenDateTimeFactory, settings: dict[str, Any]
    ) -> None:
        """A call would be let through; while it probes, no other would."""
        tried = site(tracker=BreakerCooldownTracker(fail_max=2, reset_timeout=30, **settings))
        tried.open("grok")
        clock.tick(30)
        code, told = health(tried)
        assert (code, told["warn"]["grok"][0]["status"]) == (200, "warn")
        assert told["warn"]["grok"][0]["state"] == "half-open"
        probe = tried.tracker.acquire("grok")
        code, told = health(tried)
        assert (code, told["fail"]["grok"][0]["state"]) == (503, "half-open")
        probe.success()  # type: ignore[union-attr]
        assert health(tried)[0] == 200

    def test_is_that_of_one_moment(self) -> None:
        """Who was closed when the look began counts as callable, whatever happens meanwhile."""

        class Racing(BreakerCooldownTracker):
            def snapshot(self) -> dict[str, CooldownStatus]:
                seen = super().snapshot()
                self.cool_down("grok")
                return seen

        tried = site(tracker=Racing(), providers=["grok"])
        tried.tracker.cool_down("gemini")
        code, told = health(tried)
        assert (code, told["warn"]["grok"]) == (200, check("pass", "closed"))

    def test_asks_nobody(self) -> None:
        """To look claims no probe, and makes no provider known."""
        tried = site(providers=["grok"])
        for _ in range(3):
            health(tried)
        assert tried.tracker.snapshot() == {}


class TestAnswer:
    """The form of the answer."""

    def test_is_health_json_that_nobody_keeps(self) -> None:
        """By the draft its type is `application/health+json`."""
        answer = site().get("/providers/health")
        assert answer.content_type == "application/health+json"
        assert answer.headers["Cache-Control"] == "no-store"

    def test_tells_the_time(self) -> None:
        """Aware, so that it can be compared."""
        told = site(providers=["grok"]).get("/providers/health").get_json(force=True)
        assert dt.datetime.fromisoformat(told["checks"]["grok"][0]["time"]).tzinfo == dt.UTC

    @pytest.mark.parametrize(("shared", "note"), [(None, ALONE), (InMemoryCooldownStore(), SHARED)])
    def test_tells_whose_states_these_are(self, shared: InMemoryCooldownStore | None, note: str) -> None:
        """Those of one worker, or those of all."""
        tried = site(tracker=BreakerCooldownTracker(shared=shared))
        assert tried.get("/providers/health").get_json(force=True)["notes"] == [note]

    def test_has_no_text_of_a_provider_s(self) -> None:
        """Neither of its errors, nor the credentials of its name."""
        tried = site()
        names = ["https://me:pa55word@one.test", "https://you:pa55word@one.test"]
        tried.open(*names)
        answer = tried.get("/providers/health")
        assert "secret" not in answer.text
        assert "pa55word" not in answer.text
        told = answer.get_json(force=True)["checks"]
        assert [len(of_one) for of_one in told.values()] == [2]  # masked, both look alike

    def test_head_and_options(self) -> None:
        """Load balancers often ask by HEAD."""
        client = site().app.test_client()
        answer = client.head("/providers/health")
        assert (answer.status_code, answer.data) == (200, b"")
        assert set(client.options("/providers/health").allow or ()) == {"GET", "HEAD", "OPTIONS"}
        assert client.post("/providers/health").status_code == 405


class TestTrouble:
    """A tracker that cannot be asked."""

    def test_is_a_warning(self, caplog: pytest.LogCaptureFixture) -> None:
        """Executions go on without it, so no traffic is to be taken away; the log has the reason."""

        class Broken(BreakerCooldownTracker):
            def snapshot(self) -> Any:
                raise VendorError("a token=hunter2hunter2 in it")

        answer = site(tracker=Broken()).get("/providers/health")
        assert answer.status_code == 200
        assert answer.get_json(force=True) == {
            "status": "warn",
            "notes": [ALONE],
            "checks": {},
            "output": "The tracker cannot be asked: VendorError.",
        }
        (record,) = caplog.records
        assert record.getMessage().startswith("the tracker of fallback_exec cannot be asked: a token=")
        assert "hunter2" not in record.getMessage()


class TestManyThreads:
    """Probes of load balancers, beside executions."""

    def test_ask_at_the_same_time(self) -> None:
        """Each answer is whole, whatever happens meanwhile."""
        tried = site("grok", "gemini")

        def work(number: int) -> None:
            for _ in range(5):
                if number % 2:
                    tried.answer(grok=VendorError("down"), gemini="an answer")
                    tried.tracker.reset("grok")
                else:
                    assert tried.get("/providers/health").status_code == 200
                    assert tried.get("/providers/").status_code == 200

        in_threads(6, work)

    def test_extension_serves_them_without_a_lock_of_its_own(self) -> None:
        """What a request needs was written before: `init_app()` of another app changes nothing."""
        ext = FallbackExec(tracker=BreakerCooldownTracker())
        apps = [site(providers=["grok"]).app for _ in range(4)]
        in_threads(4, lambda number: ext.init_app(apps[number]))
        assert all(app.extensions["fallback_exec"] is ext for app in apps)

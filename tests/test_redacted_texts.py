"""Credentials reach no text of ours: logs, errors, stories, snapshots, what is shown of a user's object."""

from __future__ import annotations

import functools
import logging
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from fallback_exec import (
    AllProvidersFailedError,
    BreakerCooldownTracker,
    Deadline,
    ErrorClassifier,
    ExecuteConfig,
    ExecutionCancelledError,
    FallbackExecError,
    InvalidConfigError,
    NamedProvider,
    Outcome,
    ProviderFailedError,
    Strategy,
    Verdict,
    classify_error,
    execute,
    execute_stream,
    redact,
)
from helpers import (
    BrokenTrackerError,
    KeywordOnlyError,
    PermitTracker,
    Records,
    ThreeMethodTracker,
    Vendor,
    VendorError,
    error_of,
    logger_with,
    replying,
    vendors,
)
from vendors.server import Reply, serving

SECRET = "AI" + "za" + "Sy" + "x" * 33
URL = f"https://vendor.example/v1beta/models/m:generateContent?key={SECRET}"
LEAK = f"400 Bad Request for url: {URL}"

FALLBACK = ExecuteConfig(strategy=Strategy.FALLBACK, logger=logger_with(logging.NullHandler()))


def text_of(records: Records) -> str:
    """Return all that was logged: the texts, and every field of the records."""
    return "\n".join(f"{record.getMessage()} {vars(record)}" for record in records.kept)


def fail_with_key(provider: Any) -> object:
    raise VendorError(LEAK)


class TestLogs:
    def test_of_a_failing_gemini_call_over_requests(self) -> None:
        """The key is in the URL that requests quotes, and in no line of the log, nor in an error of ours."""
        records = Records()
        tracker = BreakerCooldownTracker()
        config = ExecuteConfig(
            strategy=Strategy.FALLBACK,
            cooldown=tracker,
            logger=logger_with(records),
            classify=classify_error,
        )

        def generate(provider: NamedProvider[str]) -> object:
            answer = requests.post(provider.client, params={"key": SECRET}, json={"contents": []}, timeout=30)
            answer.raise_for_status()
            return answer.json()

        with serving({"gemini": Reply(429, headers={"Retry-After": "17"})}) as vendor:
            gemini = NamedProvider("gemini", f"{vendor.url}/gemini/v1beta/models/m:generateContent")
            with pytest.raises(AllProvidersFailedError) as caught:
                execute([gemini], config, generate)
        shown = f"{gemini.client}?key=[redacted]"
        error = f"429 Client Error: Too Many Requests for url: {shown}"
        assert [line for line in records.lines if line.startswith("WARNING")] == [
            f"WARNING provider entering cooldown provider=gemini cooldown=17 error={error}",
            f"WARNING provider failed provider=gemini error={error} attempt=1 is_terminus=True",
        ]
        assert SECRET in str(caught.value.exceptions[0])  # the exception object stays as it is
        for text in (
            text_of(records),
            str(caught.value),
            repr(caught.value.attempts),
            str(tracker.snapshot()),
        ):
            assert shown in text
            assert SECRET not in text

    @pytest.mark.parametrize("strategy", Strategy)
    def test_of_every_strategy(self, strategy: Strategy) -> None:
        """Whatever text the failure is logged with."""
        records = Records()
        config = ExecuteConfig(strategy=strategy, logger=logger_with(records))
        with pytest.raises(FallbackExecError) as caught:
            execute(vendors("grok"), config, fail_with_key)
        assert "for url: https://vendor.example" in text_of(records)
        assert SECRET not in text_of(records)
        assert "for url: https://vendor.example" in str(caught.value)
        assert SECRET not in str(caught.value)

    def test_of_a_provider_that_is_named_by_its_url(self) -> None:
        """A name is masked as well, in logs and errors; the story keeps it as it is."""
        name = "https://user:hunter2@vendor.example"
        records = Records()
        tracker = PermitTracker(cooling={name: 9.0}, opens={name: 9.0})
        config = ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=tracker, logger=logger_with(records))
        with pytest.raises(AllProvidersFailedError) as caught:
            execute(vendors(name, name), config, fail_with_key)
        assert len(records.kept) == 5
        assert "hunter2" not in "\n".join(records.lines)
        assert "hunter2" not in str(caught.value)
        assert caught.value.attempts[0].provider == name
        single = error_of(ProviderFailedError, vendors(name), ExecuteConfig(logger=logger_with(records)))
        assert "hunter2" not in str(single)
        assert "vendor.example failed" in str(single)

    @pytest.mark.parametrize("raises", ["acquire", "failure"])
    def test_of_a_tracker_s_own_error(self, raises: str) -> None:
        """A store's URL has a password in it."""

        class Tracker(PermitTracker):
            def note(self, method: str, *arguments: object) -> None:
                if method == raises:
                    raise BrokenTrackerError("redis://:hunter2@store.example:6379 is away")

        records = Records()
        config = ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=Tracker(), logger=logger_with(records))
        error_of(AllProvidersFailedError, vendors("grok"), config)
        assert "store.example:6379 is away" in text_of(records)
        assert "hunter2" not in text_of(records)

    def test_of_a_classifier_s_own_error(self) -> None:
        """It may quote the error it was given."""

        def classify(error: Exception) -> Verdict:
            raise ValueError(f"unknown: {error}")

        records = Records()
        config = ExecuteConfig(classify=classify, logger=logger_with(records))
        error_of(ProviderFailedError, vendors("grok"), config, fail_with_key)
        assert "classifier failed provider=grok error=unknown: 400 Bad Request" in text_of(records)
        assert SECRET not in text_of(records)

    def test_of_a_stream_that_dies(self) -> None:
        """Mid-stream, too."""

        def items(provider: Vendor) -> Iterator[int]:
            yield 1
            raise VendorError(LEAK)

        records = Records()
        stream = execute_stream(vendors("grok"), ExecuteConfig(logger=logger_with(records)), items)
        with pytest.raises(VendorError):
            list(stream)
        assert "provider failed mid-stream provider=grok error=400 Bad Request" in text_of(records)
        assert SECRET not in text_of(records)


class TestErrors:
    def test_of_a_deadline(self) -> None:
        """It quotes the last error."""
        config = ExecuteConfig(strategy=Strategy.FALLBACK, logger=logger_with(logging.NullHandler()))

        def fn(provider: Vendor) -> object:
            deadline.cancel()
            raise VendorError(LEAK)

        deadline = Deadline(5)
        with pytest.raises(ExecutionCancelledError) as caught:
            execute(vendors("grok"), config, fn, deadline=deadline)
        assert "after the last error: 400 Bad Request" in str(caught.value)
        assert SECRET not in str(caught.value)

    @pytest.mark.parametrize(
        "value",
        [
            {"api_key": "hunter2hunter2"},
            [f"https://x.example/?token={SECRET}"],
            "x" * 40 + SECRET,
            NamedProvider("x", f"Bearer {SECRET}"),
        ],
        ids=["dict", "list", "cut in the middle", "attrs"],
    )
    def test_of_a_value_that_cannot_be_used(self, value: Any) -> None:
        """What is shown of it is masked before it is shortened: half of a key is no key to look at."""
        with pytest.raises(InvalidConfigError) as caught:
            ExecuteConfig(cooldown=value)
        assert "invalid config: cooldown must be a CooldownTracker or None, got" in str(caught.value)
        assert "hunter2" not in str(caught.value)
        assert "xxxxxx" not in str(caught.value).replace("x" * 36, "")

    def test_that_travel(self) -> None:
        """A stand-in keeps the text, and not the key."""
        error = VendorError(LEAK)
        unpicklable = KeywordOnlyError(LEAK, status_code=400)
        chain = replying(grok=error, gemini=unpicklable)
        config = ExecuteConfig(strategy=Strategy.FALLBACK, logger=logger_with(logging.NullHandler()))
        sent = error_of(AllProvidersFailedError, vendors("grok", "gemini"), config, chain)
        arrived = pickle.loads(pickle.dumps(sent))
        assert "400 Bad Request for url" in str(arrived.exceptions[1])
        assert SECRET not in str(arrived.exceptions[1])
        assert SECRET not in repr(arrived.exceptions[1])


def with_key(error: Exception, *, api_key: str) -> None:
    """Be a rule that needs a key."""


class TestReprs:
    """What a debugger, a traceback with locals, or `%r` shows."""

    def test_of_all_errors(self) -> None:
        """The group shows its errors as its text does, also after a journey."""
        error = error_of(AllProvidersFailedError, vendors("grok"), FALLBACK, fail_with_key)
        for shown in (repr(error), repr(pickle.loads(pickle.dumps(error)))):
            assert "[VendorError('400 Bad Request for url: https://vendor.example" in shown
            assert SECRET not in shown

    def test_of_a_group_in_a_group(self) -> None:
        """Each level is shown once, however often it stands in the next: the length does not double."""
        error: Exception = VendorError("down")
        for _ in range(30):
            error = error_of(AllProvidersFailedError, vendors("a", "b"), FALLBACK, replying(a=error, b=error))
        assert len(repr(error)) < 10_000

    @pytest.mark.parametrize("make", [NamedProvider, vendors], ids=["provider", "story"])
    def test_of_a_provider_that_is_named_by_its_url(self, make: Callable[..., Any]) -> None:
        """By itself and in the story, whose fields keep the name."""
        name = "https://user:hunter2@vendor.example"
        if make is vendors:
            shown = repr(error_of(AllProvidersFailedError, make(name), FALLBACK).attempts)
        else:
            shown = repr(make(name, None))
        assert "vendor.example" in shown
        assert "hunter2" not in shown

    def test_of_settings(self) -> None:
        """A partial shows what it was given."""
        rule: Any = functools.partial(with_key, api_key=SECRET)
        for settings in ({"classify": rule}, {"accept": rule}, {"redact": rule}):
            assert "with_key" in repr(ExecuteConfig(**settings))
            assert SECRET not in repr(ExecuteConfig(**settings))
        for classifier in (ErrorClassifier(statuses={404: rule}), ErrorClassifier(types={OSError: rule})):
            assert "with_key" in repr(classifier)
            assert SECRET not in repr(classifier)

    def test_of_a_setting_of_a_provider_that_is_named_by_its_url(self) -> None:
        """The setting's name has the provider's name in it."""
        with pytest.raises(InvalidConfigError, match="must be BreakerSettings") as caught:
            BreakerCooldownTracker(overrides={"https://user:hunter2@vendor.example": 3})  # type: ignore[dict-item]  # what is tested
        assert "hunter2" not in str(caught.value)
        assert "hunter2" not in caught.value.setting


class TestSnapshot:
    def test_keeps_no_key(self) -> None:
        """Whether the failure was told by an execution, by hand, or as a cooldown."""
        tracker = BreakerCooldownTracker()
        tracker.record_failure("by hand", VendorError(LEAK))
        tracker.acquire("cooling", force=True).cool_down(VendorError(LEAK), 5)  # type: ignore[union-attr]  # forced
        for status in tracker.snapshot().values():
            assert status.last_error == redact(LEAK)
            assert SECRET not in status.last_error

    def test_is_masked_by_the_tracker_s_own_function(self) -> None:
        """`BreakerCooldownTracker(redact=...)`."""
        tracker = BreakerCooldownTracker(redact=str.upper)
        tracker.record_failure("grok", VendorError("down"))
        assert tracker.snapshot()["grok"].last_error == "DOWN"

    def test_refuses_what_cannot_mask(self) -> None:
        """The error names the setting and the value."""
        with pytest.raises(InvalidConfigError, match="redact must be callable, got 7"):
            BreakerCooldownTracker(redact=7)  # type: ignore[arg-type]  # what is tested


def shout(text: str) -> str:
    return text.upper()


def refuse(text: str) -> str:
    raise VendorError(f"cannot mask {text}")


class TestOwnFunction:
    """`ExecuteConfig(redact=...)`."""

    def test_replaces_ours_everywhere(self) -> None:
        """In logs of every kind, and in the texts of the errors of an execution."""
        records = Records()
        tracker = ThreeMethodTracker(cooling={"gemini": 9.0}, opens={"grok": 9.0})
        config = ExecuteConfig(
            strategy=Strategy.FALLBACK, cooldown=tracker, logger=logger_with(records), redact=shout
        )
        error = error_of(AllProvidersFailedError, vendors("gemini", "grok"), config)
        assert "provider=GEMINI" in records.lines[0]
        assert "entering cooldown provider=GROK cooldown=9 error=GROK IS DOWN" in "\n".join(records.lines)
        assert "(last error: GROK IS DOWN)" in str(error)

    def test_str_masks_nothing(self) -> None:
        """Masking can be switched off, by who has seen what that means."""
        records = Records()
        config = ExecuteConfig(logger=logger_with(records), redact=str)
        error = error_of(ProviderFailedError, vendors("grok"), config, fail_with_key)
        assert SECRET in str(error)
        assert SECRET in text_of(records)

    @pytest.mark.parametrize("own", [refuse, lambda _: None, lambda _: 7], ids=["raises", "None", "a number"])
    def test_that_cannot_say_shows_nothing(self, own: Callable[[str], Any]) -> None:
        """Of the error the class's name is left, of the provider a placeholder; the story is whole."""
        records = Records()
        config = ExecuteConfig(logger=logger_with(records), redact=own)
        error = error_of(ProviderFailedError, vendors("grok"), config, fail_with_key)
        assert str(error) == "primary provider [redact failed] failed: VendorError"
        assert records.lines[0].startswith(
            "ERROR primary provider failed provider=[redact failed] error=VendorError latency="
        )
        assert [each.outcome for each in error.attempts] == [Outcome.FAILURE]

    def test_may_return_more_than_a_line(self) -> None:
        """What it returns forges no line either."""
        config = ExecuteConfig(
            logger=logger_with(logging.NullHandler()), redact=lambda text: f"{text}\nforged"
        )
        error = error_of(ProviderFailedError, vendors("grok"), config)
        assert str(error) == "primary provider grok\\nforged failed: grok is down\\nforged"

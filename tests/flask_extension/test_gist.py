"""What the status page says of the last hour in a few words."""

from __future__ import annotations

import pytest
from freezegun.api import FrozenDateTimeFactory

from fallback_exec import Deadline, FallbackExecError, execute
from fallback_exec.flask.gist import Moment, gist
from fallback_exec.recorder import Recorder
from flask_sites import read, site
from helpers import VendorError, fail


class TestGist:
    """What events come to."""

    def test_of_nothing(self) -> None:
        """Where nothing happened, there is nothing to say."""
        told = gist([])
        assert (told.last_answer, told.last_errors) == (None, {})
        assert (told.answered, told.unanswered, told.last_unanswered) == (0, 0, None)

    def test_has_who_answered_last(self, clock: FrozenDateTimeFactory) -> None:
        """The last answer counts, whoever gave the others, and whatever failed since."""
        tried = site("a", "b")
        tried.answer(a=VendorError("down"), b="an answer")
        tried.answer(a="an answer")
        answered_at = clock()
        clock.tick(1)
        with pytest.raises(FallbackExecError):
            execute(tried.chain, tried.config, fail)
        last_answer = gist(tried.ext.recorder.events()).last_answer
        assert last_answer is not None
        assert (last_answer.what, last_answer.at.replace(tzinfo=None)) == ("a", answered_at)

    def test_has_the_last_error_of_each(self, clock: FrozenDateTimeFactory) -> None:
        """By provider its type, without the module that all know, and when it was."""
        tried = site("a", "b")
        tried.answer(a=VendorError("down"), b="an answer")
        clock.tick(1)
        tried.answer(a=ConnectionError("a secret"), b="an answer")
        events = tried.ext.recorder.events()
        assert gist(events).last_errors == {"a": Moment("ConnectionError", events[-1].time)}
        assert gist(events[:3]).last_errors == {"a": Moment("helpers.VendorError", events[0].time)}

    def test_counts_executions_without_an_answer(self, clock: FrozenDateTimeFactory) -> None:
        """An exhausted chain and a deadline that was over; not what was cancelled or interrupted."""
        tried = site("a", "b")
        tried.answer(a="an answer")
        cancelled = Deadline()
        cancelled.cancel()
        for deadline in (None, 0.0):
            clock.tick(1)
            with pytest.raises(FallbackExecError):
                execute(tried.chain, tried.config, fail, deadline=deadline)
        last_unanswered = tried.ext.recorder.events()[-1].time
        clock.tick(1)
        with pytest.raises(FallbackExecError):
            execute(tried.chain, tried.config, fail, deadline=cancelled)
        with pytest.raises(KeyboardInterrupt):
            tried.answer(a=KeyboardInterrupt())
        told = gist(tried.ext.recorder.events())
        assert (told.answered, told.unanswered, told.last_unanswered) == (1, 2, last_unanswered)


class TestPage:
    """Where the page says it."""

    def test_says_who_answered_last(self, clock: FrozenDateTimeFactory) -> None:
        """With the hour; and that nothing was left without an answer."""
        tried = site("a", "b")
        tried.answer(a=VendorError("down"), b="an answer")
        tried.answer(a="an answer")
        said = read(tried.get("/providers/")).one("p", class_="gist").text
        assert said == "a answered last, at 00:00:00. Executions since 00:00:00: 2, all answered."

    def test_says_what_had_no_answer(self, clock: FrozenDateTimeFactory) -> None:
        """How many, of how many, and when the last was."""
        tried = site("a", "b")
        tried.answer(a="an answer")
        clock.tick(61)
        with pytest.raises(FallbackExecError):
            execute(tried.chain, tried.config, fail)
        said = read(tried.get("/providers/")).one("p", class_="gist").text
        assert said.endswith("since 00:00:00: 2, 1 without an answer, last at 00:01:01.")

    def test_says_nothing_of_nothing(self) -> None:
        """Where nothing was executed, there is no such line."""
        assert read(site("a").get("/providers/")).all("p", class_="gist") == []

    @pytest.mark.parametrize("seconds", [3600, 3601])
    def test_keeps_to_the_last_hour(self, clock: FrozenDateTimeFactory, seconds: int) -> None:
        """Also with a recorder that keeps more."""
        kept = Recorder(seconds=7200)
        tried = site("a", "b", recorder=kept)
        tried.answer(a=VendorError("down"), b="an answer")
        clock.tick(seconds)
        assert kept.events() != []
        page = read(tried.get("/providers/"))
        assert page.all("p", class_="gist") == []
        assert "helpers.VendorError" not in page.text

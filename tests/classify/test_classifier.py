"""`ErrorClassifier`: rules of a user's before the table."""

from __future__ import annotations

import abc
import copy
import doctest
import pickle
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from types import MappingProxyType
from typing import Any
from unittest import mock

import pytest

from classify.shaped import answered, shaped
from fallback_exec import ErrorClassifier, InvalidConfigError, Verdict, classify_error
from fallback_exec.classify import Rule, classifier
from helpers import PATIENCE

FAILURE = Verdict.failure()
NEUTRAL = Verdict.neutral()
ABORT = Verdict.abort()
LONG = Verdict.cool_down(3600)


class BaseVendorError(Exception):
    pass


class LeafVendorError(BaseVendorError):
    pass


def refuse_to_say(_error: Exception) -> None:
    """Be a rule that leaves it to the next."""


def neutral_for_long_contexts(error: Exception) -> Verdict | None:
    """Be a rule as users write them."""
    return NEUTRAL if "context" in str(error) else None


async def nobody_awaits(error: Exception) -> Verdict:
    """Be what is no rule: it returns a coroutine."""
    return ABORT


class TestTypes:
    def test_decide_before_the_table(self) -> None:
        """A rule for a class holds for the class and what is derived from it."""
        classify = ErrorClassifier(types={BaseVendorError: ABORT})
        assert classify(BaseVendorError()) == ABORT
        assert classify(LeafVendorError()) == ABORT
        assert classify(ValueError()) == FAILURE

    @pytest.mark.parametrize("order", [1, -1])
    def test_of_the_most_derived_class_win(self, order: int) -> None:
        """In whatever order they were given."""
        rules = [(BaseVendorError, ABORT), (LeafVendorError, NEUTRAL), (Exception, LONG)]
        classify = ErrorClassifier(types=dict(rules[::order]))
        assert classify(LeafVendorError()) == NEUTRAL
        assert classify(BaseVendorError()) == ABORT
        assert classify(ValueError()) == LONG

    def test_decide_before_statuses(self) -> None:
        """A class says more than a number."""
        error = shaped(status_code=404)
        classify = ErrorClassifier(types={type(error): NEUTRAL}, statuses={404: LONG})
        assert classify(error) == NEUTRAL

    def test_that_do_not_say_leave_it_to_the_next(self) -> None:
        """To the rule of a base, then to that of the status, then to the table."""
        error = LeafVendorError()
        asked: list[str] = []

        def rule(name: str, verdict: Verdict | None = None) -> Any:
            def ask(given: Exception) -> Verdict | None:
                assert given is error
                asked.append(name)
                return verdict

            return ask

        error.status_code = 401  # type: ignore[attr-defined]  # as vendors' errors have it
        types: dict[type[Exception], Rule] = {LeafVendorError: rule("leaf"), BaseVendorError: rule("base")}
        assert ErrorClassifier(types=types, statuses={401: rule("status")})(error) == LONG
        assert asked == ["leaf", "base", "status"]
        asked.clear()
        assert ErrorClassifier(types=types, statuses={401: rule("status", NEUTRAL)})(error) == NEUTRAL
        assert asked == ["leaf", "base", "status"]

    def test_count_real_bases_only(self) -> None:
        """What is registered with an ABC is no base, and no metaclass is asked."""

        class Registry(Exception, metaclass=abc.ABCMeta):
            pass

        Registry.register(BaseVendorError)
        classify = ErrorClassifier(types={Registry: ABORT})
        assert classify(BaseVendorError()) == FAILURE
        assert classify(Registry()) == ABORT

    def test_are_not_hashed_when_an_error_comes(self) -> None:
        """A metaclass whose hash raises after a while changes nothing."""
        is_angry = False

        class Metaclass(type):
            def __hash__(cls) -> int:
                assert not is_angry
                return 1

            def __eq__(cls, other: object) -> bool:
                assert not is_angry
                return cls is other

        class OddError(Exception, metaclass=Metaclass):
            pass

        classify = ErrorClassifier(types={OddError: ABORT})
        is_angry = True
        assert classify(OddError()) == ABORT


class TestStatuses:
    def test_decide_before_the_table(self) -> None:
        """Where libraries keep the status does not matter."""
        classify = ErrorClassifier(statuses={404: LONG, 400: neutral_for_long_contexts})
        assert classify(answered(404)) == classify(shaped(code=404)) == LONG
        assert classify(answered(410)) == ABORT
        assert classify(answered(400)) == ABORT

    def test_may_ask_the_error(self) -> None:
        """A rule is given the error, and leaves it to the table by saying nothing."""
        classify = ErrorClassifier(statuses={400: neutral_for_long_contexts})
        error = answered(400)
        assert classify(error) == ABORT
        error.args = ("maximum context length",)
        assert classify(error) == NEUTRAL

    def test_of_no_other_error_are_asked(self) -> None:
        """An error without a status has none of the rules' either."""
        classify = ErrorClassifier(statuses=dict.fromkeys(range(100, 600), ABORT))
        assert classify(ValueError()) == FAILURE

    def test_may_be_members_of_an_enum(self) -> None:
        """`HTTPStatus` reads better than a number."""
        assert ErrorClassifier(statuses={HTTPStatus.NOT_FOUND: LONG})(answered(404)) == LONG


class TestRules:
    def test_that_raise_are_heard(self) -> None:
        """The error comes out unchanged: who asked for a verdict decides what to do without one."""
        trouble = KeyError("rule")

        def rule(_error: Exception) -> Verdict:
            raise trouble

        with pytest.raises(KeyError) as caught:
            ErrorClassifier(types={Exception: rule})(ValueError())
        assert caught.value is trouble

    @pytest.mark.parametrize("answer", ["failure", True, Verdict, mock.Mock(spec=Verdict)], ids=repr)
    def test_must_return_a_verdict_or_none(self, answer: Any) -> None:
        """Anything else is a mistake that is named."""
        classify = ErrorClassifier(types={Exception: lambda _: answer})
        with pytest.raises(TypeError, match="a rule must return a Verdict or None, not "):
            classify(ValueError())


class TestSettings:
    def test_are_none_by_default(self) -> None:
        """Without rules it is `classify_error()`."""
        classify = ErrorClassifier(types=None, statuses=None)
        assert classify.types == {}
        assert classify.statuses == {}
        for error in (ValueError(), answered(429, {"retry-after": "7"}), answered(404)):
            assert classify(error) == classify_error(error)

    def test_cannot_be_changed(self) -> None:
        """Neither in place, nor by what they were made of, nor by another in their place."""
        types: dict[type[Exception], Verdict] = {BaseVendorError: ABORT}
        statuses = {404: LONG}
        classify: Any = ErrorClassifier(types=types, statuses=statuses)
        types.clear()
        statuses.clear()
        assert classify.types == {BaseVendorError: ABORT}
        assert classify.statuses == {404: LONG}
        for name in ("types", "statuses"):
            with pytest.raises(TypeError):
                getattr(classify, name)[500] = ABORT
            with pytest.raises(AttributeError):
                setattr(classify, name, {})
        with pytest.raises(AttributeError):
            classify.other = 1

    @pytest.mark.parametrize("setting", ["types", "statuses"])
    @pytest.mark.parametrize(
        "value", [[], (), "404", 404, True, Verdict.failure(), {404}, mock.Mock()], ids=repr
    )
    def test_must_be_mappings(self, setting: str, value: Any) -> None:
        """The error names the setting and the value."""
        with pytest.raises(
            InvalidConfigError, match=rf"^invalid config: {setting} must be a mapping"
        ) as caught:
            ErrorClassifier(**{setting: value})
        assert caught.value.setting == setting
        assert caught.value.__suppress_context__

    def test_may_be_any_mapping(self) -> None:
        """They are copied."""
        rules: Mapping[int, Verdict] = MappingProxyType({404: LONG})
        assert ErrorClassifier(statuses=rules)(answered(404)) == LONG

    @pytest.mark.parametrize(
        "key",
        [
            "ValueError",
            404,
            None,
            ValueError(),
            KeyboardInterrupt,
            BaseException,
            int,
            list[int],
            mock.Mock(),
        ],
        ids=repr,
    )
    def test_types_must_be_exceptions(self, key: Any) -> None:
        """Only what execution asks about: no Ctrl-C, no group of those."""
        with pytest.raises(
            InvalidConfigError,
            match=r"^invalid config: types must have a class of exceptions for each key, got ",
        ) as caught:
            ErrorClassifier(types={ValueError: ABORT, key: ABORT})
        assert caught.value.setting == "types"

    @pytest.mark.parametrize("key", [0, 99, 600, -404, True, 404.0, "404", None, ValueError], ids=repr)
    def test_statuses_must_be_statuses(self, key: Any) -> None:
        """A number that no answer has would wait for ever."""
        text = r"^invalid config: statuses must have an HTTP status from 100 to 599 for each key, got "
        with pytest.raises(InvalidConfigError, match=text) as caught:
            ErrorClassifier(statuses={500: ABORT, key: ABORT})
        assert caught.value.setting == "statuses"

    @pytest.mark.parametrize(
        "rule",
        [
            None,
            "abort",
            3600,
            [ABORT],
            Verdict,
            Verdict.neutral,
            Verdict.cool_down,
            nobody_awaits,
            mock.NonCallableMock(spec_set=ABORT),
        ],
        ids=repr,
    )
    @pytest.mark.parametrize(("setting", "key"), [("types", ValueError), ("statuses", 404)])
    def test_must_map_to_rules(self, setting: str, key: Any, rule: Any) -> None:
        """A verdict without its parentheses must not wait for an outage to show."""
        rules: Any = {key: rule}
        with pytest.raises(
            InvalidConfigError,
            match=r"^invalid config: (types|statuses)\[.*\] must be a Verdict, or a plain callable .*, got ",
        ) as caught:
            ErrorClassifier(**{setting: rules})
        assert caught.value.setting == f"{setting}[{key!r}]"

    def test_are_shown(self) -> None:
        """The repr is the call that builds it."""
        classify = ErrorClassifier(types={ValueError: ABORT}, statuses={404: LONG})
        assert repr(classify) == (
            "ErrorClassifier(types={<class 'ValueError'>: Verdict.abort(counted=False)}, "
            "statuses={404: Verdict.cool_down(3600.0)})"
        )


class TestExtended:
    def test_has_the_rules_of_both(self) -> None:
        """Where both have one for a key, the new one holds; the old classifier stays as it was."""
        old = ErrorClassifier(types={ValueError: ABORT, KeyError: ABORT}, statuses={404: LONG, 410: LONG})
        new = old.extended(types={KeyError: NEUTRAL, OSError: NEUTRAL}, statuses={410: NEUTRAL})
        assert new.types == {ValueError: ABORT, KeyError: NEUTRAL, OSError: NEUTRAL}
        assert new.statuses == {404: LONG, 410: NEUTRAL}
        assert new(KeyError()) == new(answered(410)) == NEUTRAL
        assert old(KeyError()) == ABORT
        assert old(answered(410)) == LONG

    def test_by_nothing_is_the_same_again(self) -> None:
        """Each of the two mappings may be left out."""
        old = ErrorClassifier(types={ValueError: ABORT}, statuses={404: LONG})
        new = old.extended()
        assert (new.types, new.statuses) == (old.types, old.statuses)

    def test_is_checked_as_well(self) -> None:
        """What is added is named, and nothing else."""
        with pytest.raises(InvalidConfigError, match=r"^invalid config: statuses must have .*, got 42$"):
            ErrorClassifier(statuses={404: LONG}).extended(statuses={42: LONG})


JOURNEYS: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda it: pickle.loads(pickle.dumps(it)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


class TestTravel:
    @pytest.mark.parametrize(
        "travel",
        [lambda it: pickle.loads(pickle.dumps(it)), copy.copy, copy.deepcopy],
        ids=["pickle", "copy", "deep"],
    )
    def test_keeps_the_rules(self, travel: Any) -> None:
        """Copied, and pickled where its rules can be."""
        rules = ErrorClassifier(types={BaseVendorError: ABORT}, statuses={400: neutral_for_long_contexts})
        arrived = travel(rules)
        assert (arrived.types, arrived.statuses) == (rules.types, rules.statuses)
        assert arrived(LeafVendorError()) == ABORT


@pytest.mark.usefixtures("fast_switching")
def test_threads_share_a_classifier() -> None:
    """Eight threads with errors of many classes all get the verdicts that one thread gets."""
    classify = ErrorClassifier(types={BaseVendorError: ABORT}, statuses={404: LONG})
    errors: list[Exception] = [LeafVendorError(), answered(404), answered(429), TimeoutError(), ValueError()]
    errors += [shaped(f"Authentication{number}") for number in range(20)]
    expected = [classify(error) for error in errors]
    barrier = threading.Barrier(8)

    def judge() -> bool:
        barrier.wait(PATIENCE)
        return all([classify(error) for error in errors] == expected for _ in range(50))

    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(judge) for _ in range(8)]
        assert all(each.result(PATIENCE) for each in running)


def test_the_examples_run() -> None:
    """Those in the docstrings say what comes out of them."""
    result = doctest.testmod(classifier)
    assert result.attempted >= 4
    assert result.failed == 0


def test_rule_that_refuses_to_say_is_no_verdict() -> None:
    """The table decides as if it were not there."""
    assert ErrorClassifier(types={Exception: refuse_to_say})(answered(401)) == LONG

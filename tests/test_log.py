"""What is logged: texts, levels and fields of the Go code, safely, and never in the way of an answer."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory

from fallback_exec import (
    AllProvidersFailedError,
    BreakerCooldownTracker,
    CooldownTracker,
    ExecuteConfig,
    ProviderFailedError,
    Strategy,
    execute,
)
from helpers import (
    PermitTracker,
    Records,
    ThreeMethodTracker,
    Vendor,
    VendorError,
    error_of,
    fail,
    fields_of,
    logger_with,
    replying,
    vendors,
)

Logger = logging.Logger | logging.LoggerAdapter[Any]


def fallback(logger: Logger, tracker: CooldownTracker | None = None) -> ExecuteConfig:
    """Return a config of a chain that logs there."""
    return ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=tracker, logger=logger)


class TestRecords:
    """The records of an execution."""

    def test_of_a_primary_that_fails(
        self, logger: logging.Logger, records: Records, clock: FrozenDateTimeFactory
    ) -> None:
        """One record at level ERROR, with the latency."""

        def fn(provider: Vendor) -> object:
            clock.tick(0.5)
            return fail(provider)

        error_of(ProviderFailedError, vendors("grok"), ExecuteConfig(logger=logger), fn)
        assert records.lines == ["ERROR primary provider failed provider=grok error=grok is down latency=0.5"]
        assert fields_of(records.kept[0]) == {"provider": "grok", "error": "grok is down", "latency": 0.5}

    def test_of_a_round_robin_provider_that_fails(
        self, logger: logging.Logger, records: Records, clock: FrozenDateTimeFactory
    ) -> None:
        """One record at level ERROR, with the place in the list."""
        config = ExecuteConfig(strategy=Strategy.ROUND_ROBIN, logger=logger)
        execute(vendors("grok", "gemini"), config, replying(grok=1))
        error_of(ProviderFailedError, vendors("grok", "gemini"), config)
        assert records.lines == [
            "ERROR round-robin provider failed provider=gemini index=1 error=gemini is down latency=0.0"
        ]
        assert fields_of(records.kept[0]) == {
            "provider": "gemini",
            "index": 1,
            "error": "gemini is down",
            "latency": 0.0,
        }

    @pytest.mark.parametrize("strategy", [Strategy.PRIMARY_ONLY, Strategy.ROUND_ROBIN])
    def test_of_an_answer_of_a_single_provider(
        self, strategy: Strategy, logger: logging.Logger, records: Records
    ) -> None:
        """Nothing is logged."""
        execute(vendors("grok"), ExecuteConfig(strategy=strategy, logger=logger), replying(grok=1))
        assert records.lines == []

    def test_of_a_chain(self, logger: logging.Logger, records: Records, clock: FrozenDateTimeFactory) -> None:
        """A skip, an attempt, the cooldown its failure started, and an answer that was not the first."""
        tracker = PermitTracker(cooling={"gemini": 7.4, "mistral": 7.5}, opens={"grok": 30.0})
        execute(
            vendors("gemini", "grok", "mistral"),
            fallback(logger, tracker),
            replying(grok=VendorError("down"), mistral="a cat"),
        )
        assert records.lines == [
            "DEBUG skipping provider in cooldown provider=gemini cooldown_remaining=7",
            (
                "DEBUG attempting provider "
                "provider=grok attempt=1 is_terminus=False provider_index=2 total_providers=3"
            ),
            "WARNING provider entering cooldown provider=grok cooldown=30 error=down",
            "WARNING provider failed provider=grok error=down attempt=1 is_terminus=False",
            (
                "INFO attempting terminus provider despite cooldown "
                "provider=mistral cooldown_remaining=8 reason=terminus_always_tried"
            ),
            (
                "DEBUG attempting provider "
                "provider=mistral attempt=2 is_terminus=True provider_index=3 total_providers=3"
            ),
            "INFO succeeded on fallback provider provider=mistral attempt=2 latency=0.0 is_terminus=True",
        ]

    @pytest.mark.parametrize("call", ["acquire", "success", "failure", "release"])
    def test_of_a_tracker_that_raises(self, call: str, logger: logging.Logger, records: Records) -> None:
        """One record at level ERROR, with the call that failed and what the tracker said."""
        replies = replying(grok=VendorError("down"), laozhang=VendorError("down"), gemini="a cat")
        tracker = PermitTracker(raises=call)
        execute(vendors("grok", "laozhang", "gemini"), fallback(logger, tracker), replies)
        (told, *_) = [record for record in records.kept if record.levelname == "ERROR"]
        provider = {"failure": "grok", "release": "laozhang", "success": "gemini"}.get(call, "grok")
        assert fields_of(told) == {"provider": provider, "call": call, "error": f"{call} is broken"}
        assert told.getMessage().startswith("cooldown tracker failed provider=")

    def test_have_the_same_fields_in_extra(
        self, logger: logging.Logger, records: Records, clock: FrozenDateTimeFactory
    ) -> None:
        """What stands in a text as key=value is an attribute of the record, and nothing else is."""
        tracker = PermitTracker(cooling={"gemini": 7.0, "mistral": 7.0}, opens={"grok": 30.0})
        replies = replying(grok=VendorError("down"), mistral="a cat")
        execute(vendors("gemini", "grok", "mistral"), fallback(logger, tracker), replies)
        for record in records.kept:
            fields = " ".join(f"{key}={value}" for key, value in fields_of(record).items())
            assert record.getMessage().endswith(f" {fields}")
        assert [type(value) for record in records.kept for value in fields_of(record).values()] == [
            *[str, int],
            *[str, int, bool, int, int],
            *[str, int, str],
            *[str, str, int, bool],
            *[str, int, str],
            *[str, int, bool, int, int],
            *[str, int, float, bool],
        ]

    def test_have_constant_templates_and_lazy_arguments(
        self, logger: logging.Logger, records: Records
    ) -> None:
        """The text before formatting has no value in it, so that tools can group by it."""
        error_of(AllProvidersFailedError, vendors("grok"), fallback(logger))
        assert records.kept[-1].msg == "provider failed provider=%s error=%s attempt=%s is_terminus=%s"
        assert records.kept[-1].args == ("grok", "grok is down", 1, True)

    def test_of_an_answer_after_a_skip_alone(self, logger: logging.Logger, records: Records) -> None:
        """The first attempt is no fallback, whoever was passed over before."""
        tracker = ThreeMethodTracker(cooling={"grok": 7.0})
        execute(vendors("grok", "gemini"), fallback(logger, tracker), replying(gemini=1))
        assert [line for line in records.lines if "succeeded" in line] == []

    @pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
    def test_of_skips_with_the_breaker_tracker(
        self, level: int, records: Records, clock: FrozenDateTimeFactory
    ) -> None:
        """Each provider that is passed over has its record, at level DEBUG, with what remains then."""
        tracker = BreakerCooldownTracker()
        tracker.cool_down("grok", 30.0)
        tracker.cool_down("gemini", 40.0)
        clock.tick(2.5)
        chain = vendors("grok", "gemini", "mistral")
        execute(chain, fallback(logger_with(records, level=level), tracker), replying(mistral=1))
        skips = [line for line in records.lines if "skipping" in line]
        assert skips == [
            "DEBUG skipping provider in cooldown provider=grok cooldown_remaining=28",
            "DEBUG skipping provider in cooldown provider=gemini cooldown_remaining=38",
        ] * (level == logging.DEBUG)

    def test_of_a_negative_cooldown(self, logger: logging.Logger, records: Records) -> None:
        """What remains is never negative, whatever a tracker says."""
        config = fallback(logger, PermitTracker(opens={"grok": -3.0}))
        error_of(AllProvidersFailedError, vendors("grok"), config)
        assert (
            "WARNING provider entering cooldown provider=grok cooldown=0 error=grok is down" in records.lines
        )

    def test_of_a_terminus_that_is_not_cooling(self, logger: logging.Logger, records: Records) -> None:
        """Only a cooldown that is disregarded is mentioned."""
        execute(vendors("grok"), fallback(logger, ThreeMethodTracker()), replying(grok=1))
        assert [line for line in records.lines if "despite" in line] == []

    @pytest.mark.parametrize(
        ("seconds", "logged"), [(0.0, 0), (0.49, 0), (0.5, 1), (1.5, 2), (2.5, 3), (29.499999, 29)]
    )
    def test_round_cooldowns_to_whole_seconds(
        self,
        seconds: float,
        logged: int,
        logger: logging.Logger,
        records: Records,
        clock: FrozenDateTimeFactory,
    ) -> None:
        """Halves are rounded up, as Go does, of what remains and of what begins."""
        tracker = PermitTracker(cooling={"grok": seconds, "mistral": seconds}, opens={"gemini": seconds})
        replies = replying(gemini=VendorError(), mistral=1)
        execute(vendors("grok", "gemini", "mistral"), fallback(logger, tracker), replies)
        fields = [fields_of(record) for record in records.kept]
        assert [each["cooldown_remaining"] for each in fields if "cooldown_remaining" in each] == [
            logged,
            logged,
        ]
        assert [each["cooldown"] for each in fields if "cooldown" in each] == [logged]

    @pytest.mark.parametrize(
        "error", [VendorError(), VendorError(""), type("VendorError", (VendorError,), {"__str__": fail})()]
    )
    def test_name_the_class_of_an_error_without_a_text(
        self, error: Exception, logger: logging.Logger, records: Records
    ) -> None:
        """Where the text is empty or cannot be had, the class's name stands, in the log and in our error."""
        failure = error_of(
            ProviderFailedError, vendors("grok"), ExecuteConfig(logger=logger), replying(grok=error)
        )
        assert fields_of(records.kept[0])["error"] == "VendorError"
        assert str(failure).endswith(": VendorError")


class TestLines:
    """What a real handler writes."""

    @pytest.fixture
    def stream(self) -> io.StringIO:
        """What the handler writes to."""
        return io.StringIO()

    @pytest.fixture
    def logger(self, stream: io.StringIO) -> logging.Logger:
        """A logger as in production, with a formatter."""
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        return logger_with(handler)

    @pytest.mark.parametrize(
        "text",
        [
            "100%",
            "%s",
            "%(name)s",
            "%d %d",
            "%%",
            "{}",
            "two\nlines",
            "\r",
            "\x0b\x0c\x1c\x1d\x1e",
            "\x85\u2028\u2029",
        ],
        ids=repr,
    )
    def test_are_one_for_each_record(self, text: str, logger: logging.Logger, stream: io.StringIO) -> None:
        """Whatever stands in names and errors, formatting succeeds and no second line is forged."""
        name, forgery = f"{text}grok", f"down{text}ERROR forged provider=root"
        tracker = PermitTracker(cooling={name: 7.0}, opens={"gemini": 30.0})
        chain = [*vendors(name), *vendors("gemini"), *vendors(name)]
        failure = error_of(
            AllProvidersFailedError, chain, fallback(logger, tracker), lambda _: fail(Vendor(forgery))
        )
        lines = stream.getvalue().splitlines()
        assert [line.split(" provider")[0] for line in lines] == [
            "DEBUG skipping",
            "DEBUG attempting",
            "WARNING",
            "WARNING",
            "INFO attempting terminus",
            "DEBUG attempting",
            "WARNING",
        ]
        assert len(str(failure).splitlines()) == 1

    @pytest.mark.parametrize("strategy", [Strategy.PRIMARY_ONLY, Strategy.ROUND_ROBIN])
    def test_of_single_providers_are_one_too(
        self, strategy: Strategy, logger: logging.Logger, stream: io.StringIO
    ) -> None:
        """The other strategies write their names and errors as carefully."""
        config = ExecuteConfig(strategy=strategy, logger=logger)
        failure = error_of(
            ProviderFailedError, vendors("gr\nok%s"), config, lambda _: fail(Vendor("do\nwn%d"))
        )
        (line,) = stream.getvalue().splitlines()
        assert "provider=gr\\nok%s " in line
        assert "error=do\\nwn%d is down " in line
        assert "gr\\nok%s" in str(failure)

    def test_of_a_broken_tracker_are_one_too(self, logger: logging.Logger, stream: io.StringIO) -> None:
        """What a tracker says of itself forges no line either."""

        class Chatty(ThreeMethodTracker):
            def is_available(self, name: str) -> bool:
                raise VendorError("two\nlines %s")

        execute(vendors("gr\nok"), fallback(logger, Chatty()), lambda _: 1)
        assert len(stream.getvalue().splitlines()) == 2

    def test_can_be_written_to_a_utf_8_stream(self, logger: logging.Logger, stream: io.StringIO) -> None:
        """A lone surrogate, which no file takes, is escaped."""
        error_of(AllProvidersFailedError, vendors("gr\ud800ok"), fallback(logger))
        assert "gr\\ud800ok" in stream.getvalue()
        stream.getvalue().encode()


class Unprintable(VendorError):
    """An error that counts how often its text is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def __str__(self) -> str:
        self.asked += 1
        return "costly"


class TestLevels:
    """Nothing is done for a record that nobody wants."""

    def test_nothing_is_formatted_while_the_level_is_off(self, records: Records) -> None:
        """With the level above, the text of a provider's error is not even asked for."""
        error = Unprintable()
        logger = logger_with(records, level=logging.CRITICAL)
        execute(vendors("grok", "gemini"), fallback(logger, PermitTracker()), replying(grok=error, gemini=1))
        assert (error.asked, records.lines) == (0, [])

    def test_nothing_is_formatted_while_logging_is_disabled(self, logger: logging.Logger) -> None:
        """A disabled logger costs as little."""
        error = Unprintable()
        logger.disabled = True
        execute(vendors("grok", "gemini"), fallback(logger), replying(grok=error, gemini=1))
        assert error.asked == 0

    def test_a_text_is_formatted_once_for_each_record(self, logger: logging.Logger) -> None:
        """A record asks for the text of an error once."""
        error = Unprintable()
        execute(vendors("grok", "gemini"), fallback(logger), replying(grok=error, gemini=1))
        assert error.asked == 1

    def test_an_adapter_is_not_asked_while_the_level_is_off(self, records: Records) -> None:
        """An adapter processes nothing that is not logged."""

        class Refusing(logging.LoggerAdapter[logging.Logger]):
            def process(
                self, msg: Any, kwargs: MutableMapping[str, Any]
            ) -> tuple[Any, MutableMapping[str, Any]]:
                raise AssertionError("processed")

        logger = Refusing(logger_with(records, level=logging.CRITICAL))
        execute(vendors("grok", "gemini"), fallback(logger), replying(grok=VendorError(), gemini=1))
        assert records.lines == []

    @pytest.mark.parametrize(
        ("level", "count"),
        [(logging.DEBUG, 6), (logging.INFO, 3), (logging.WARNING, 2), (logging.ERROR, 0)],
        ids=logging.getLevelName,
    )
    def test_each_record_has_its_level(self, level: int, count: int, records: Records) -> None:
        """A level lets through its records and those above."""
        tracker = PermitTracker(cooling={"grok": 7.0}, opens={"gemini": 30.0})
        replies = replying(gemini=VendorError(), mistral=1)
        execute(
            vendors("grok", "gemini", "mistral"),
            fallback(logger_with(records, level=level), tracker),
            replies,
        )
        assert len(records.kept) == count


class TestLoggerAdapter:
    """Adapters add to records, and take nothing away."""

    def fields(self, adapter: logging.LoggerAdapter[Any], records: Records) -> dict[str, Any]:
        """Return the fields of the one record of a failing primary."""
        error_of(ProviderFailedError, vendors("grok"), ExecuteConfig(logger=adapter))
        assert len(records.kept) == 1
        return fields_of(records.kept[0])

    def test_extra_is_merged_with_ours(self, logger: logging.Logger, records: Records) -> None:
        """The record has the adapter's fields beside its own."""
        fields = self.fields(logging.LoggerAdapter(logger, {"request": 7}), records)
        assert (fields["request"], fields["provider"], fields["error"]) == (7, "grok", "grok is down")

    def test_ours_wins_where_both_have_a_field(self, logger: logging.Logger, records: Records) -> None:
        """A field means the same in the text and in the record."""
        fields = self.fields(logging.LoggerAdapter(logger, {"provider": "the adapter's"}), records)
        assert fields["provider"] == "grok"

    def test_nested_adapters_are_all_merged(self, logger: logging.Logger, records: Records) -> None:
        """Each of them adds its fields; the outer one, which is nearer to the call, wins."""
        inner = logging.LoggerAdapter(logger, {"service": "art", "depth": "inner"})
        fields = self.fields(logging.LoggerAdapter(inner, {"request": 7, "depth": "outer"}), records)
        assert (fields["service"], fields["request"], fields["depth"]) == ("art", 7, "outer")
        assert fields["provider"] == "grok"

    @pytest.mark.parametrize("extra", [None, {}], ids=repr)
    def test_may_have_no_extra(
        self, extra: dict[str, object] | None, logger: logging.Logger, records: Records
    ) -> None:
        """An adapter without fields changes nothing."""
        assert set(self.fields(logging.LoggerAdapter(logger, extra), records)) == {
            "provider",
            "error",
            "latency",
        }

    def test_may_change_the_message(self, logger: logging.Logger, records: Records) -> None:
        """What `process()` makes of the text is logged, with its fields filled in; nested, all of them do."""

        class Prefixing(logging.LoggerAdapter[Any]):
            def process(
                self, msg: Any, kwargs: MutableMapping[str, Any]
            ) -> tuple[Any, MutableMapping[str, Any]]:
                assert self.extra is not None
                return f"[{self.extra['tag']}] {msg}", kwargs

        adapter = Prefixing(Prefixing(logger, {"tag": "inner"}), {"tag": "outer"})
        fields = self.fields(adapter, records)
        assert records.lines[0].startswith("ERROR [inner] [outer] primary provider failed provider=grok ")
        assert set(fields) == {"provider", "error", "latency"}

    def test_may_ask_for_more(self, logger: logging.Logger, records: Records) -> None:
        """What `process()` adds besides the fields reaches the logger too."""

        class Tracing(logging.LoggerAdapter[Any]):
            def process(
                self, msg: Any, kwargs: MutableMapping[str, Any]
            ) -> tuple[Any, MutableMapping[str, Any]]:
                return msg, {**kwargs, "stack_info": True}

        self.fields(Tracing(logger), records)
        assert records.kept[0].stack_info is not None

    if sys.version_info >= (3, 13):  # where merge_extra is new

        def test_may_merge_on_its_own(self, logger: logging.Logger, records: Records) -> None:
            """An adapter with `merge_extra` does what is done for the others anyway."""
            adapter = logging.LoggerAdapter(logger, {"request": 7}, merge_extra=True)
            assert set(self.fields(adapter, records)) == {"provider", "error", "latency", "request"}

    def test_its_extra_is_left_as_it_was(self, logger: logging.Logger, records: Records) -> None:
        """The dictionary of an adapter belongs to its owner."""
        extra: dict[str, object] = {"request": 7}
        self.fields(logging.LoggerAdapter(logger, extra), records)
        assert extra == {"request": 7}


class BrokenLoggingError(Exception):
    """What a logger raises that is broken."""


class BrokenHandler(logging.Handler):
    """A handler that lets its errors out."""

    def emit(self, record: logging.LogRecord) -> None:
        raise BrokenLoggingError("logging is broken")


class BrokenLogger(logging.Logger):
    """A logger of which one method is broken."""

    def __init__(self, broken: str) -> None:
        super().__init__("broken", logging.DEBUG)
        self._broken = broken

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # logging's
        if self._broken == "isEnabledFor":
            raise BrokenLoggingError("logging is broken")
        return True

    def handle(self, record: logging.LogRecord) -> None:
        if self._broken == "handle":
            raise BrokenLoggingError("logging is broken")


class BrokenAdapter(logging.LoggerAdapter[Any]):
    """An adapter that cannot process."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        raise BrokenLoggingError("logging is broken")


def broken_filter(_record: logging.LogRecord) -> bool:
    """Be a filter that cannot decide."""
    raise BrokenLoggingError("logging is broken")


def logger_with_broken_filter() -> logging.Logger:
    """Return a logger with a filter that raises."""
    logger = logger_with(Records())
    logger.addFilter(broken_filter)
    return logger


def handler_with_broken_filter() -> logging.Logger:
    """Return a logger whose handler has a filter that raises."""
    handler = Records()
    handler.addFilter(broken_filter)
    return logger_with(handler)


BROKEN_LOGGERS: dict[str, Callable[[], Logger]] = {
    "handler": lambda: logger_with(BrokenHandler()),
    "filter of the logger": logger_with_broken_filter,
    "filter of the handler": handler_with_broken_filter,
    "isEnabledFor": lambda: BrokenLogger("isEnabledFor"),
    "handle": lambda: BrokenLogger("handle"),
    "adapter": lambda: BrokenAdapter(logger_with(Records())),
    "extra that overwrites the record's own": lambda: logging.LoggerAdapter(
        logger_with(Records()), {"message": "x"}
    ),
}


class TestBrokenLogging:
    """What a logger raises never hides an answer or a provider's error."""

    @pytest.fixture(params=list(BROKEN_LOGGERS.values()), ids=list(BROKEN_LOGGERS))
    def broken(self, request: pytest.FixtureRequest) -> Logger:
        """A logger that raises, in each way there is."""
        logger: Logger = request.param()
        return logger

    def test_does_not_hide_an_answer(self, broken: Logger) -> None:
        """The answer comes, after a skip, a failure, a cooldown that began and one that was disregarded."""
        tracker = PermitTracker(cooling={"grok": 7.0, "mistral": 7.0}, opens={"gemini": 30.0})
        replies = replying(gemini=VendorError(), mistral="a cat")
        result = execute(vendors("grok", "gemini", "mistral"), fallback(broken, tracker), replies)
        assert (result.response, result.provider) == ("a cat", "mistral")
        assert tracker.outcomes() == [("failure", "gemini"), ("success", "mistral")]

    @pytest.mark.parametrize("strategy", Strategy)
    def test_does_not_hide_a_providers_error(self, broken: Logger, strategy: Strategy) -> None:
        """The provider's error is the cause as ever, and has no context of the logger's."""
        error = VendorError("down")
        with pytest.raises((ProviderFailedError, AllProvidersFailedError)) as caught:
            execute(vendors("grok"), ExecuteConfig(strategy=strategy, logger=broken), replying(grok=error))
        assert caught.value.__cause__ is error
        assert error.__context__ is None

    def test_does_not_hide_an_interruption(self, broken: Logger) -> None:
        """Ctrl-C comes out unchanged."""
        with pytest.raises(KeyboardInterrupt):
            execute(vendors("grok"), fallback(broken), replying(grok=KeyboardInterrupt()))

    def test_is_logged_once_to_the_librarys_logger(
        self, broken: Logger, caplog: pytest.LogCaptureFixture
    ) -> None:
        """For a record that was lost there is one that says so, and which it was."""
        error_of(ProviderFailedError, vendors("grok"), ExecuteConfig(logger=broken))
        (record,) = caplog.records
        assert (record.name, record.levelname) == ("fallback_exec", "ERROR")
        assert record.getMessage().startswith("logging failed event=primary provider failed ")
        assert fields_of(record)["error"] != ""
        assert len(record.getMessage().splitlines()) == 1

    def test_that_passes_is_forgotten(self, records: Records) -> None:
        """A logger that raised once is asked again for the next record, whatever its level."""

        class Hesitant(logging.Logger):
            has_raised = False

            def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # logging's
                if not self.has_raised:
                    self.has_raised = True
                    raise BrokenLoggingError
                return True

        logger = Hesitant("hesitant", logging.DEBUG)
        logger.addHandler(records)
        error_of(AllProvidersFailedError, vendors("grok"), fallback(logger))
        assert [line.split(" provider=")[0] for line in records.lines] == [
            "DEBUG attempting provider",
            "WARNING provider failed",
        ]

    def test_of_the_librarys_logger_too_leaves_nothing_to_say(self, broken: Logger) -> None:
        """When the place of last resort is broken as well, the execution goes on."""
        default = logging.getLogger("fallback_exec")
        default.addFilter(broken_filter)
        try:
            result = execute(
                vendors("grok", "gemini"), fallback(broken), replying(grok=VendorError(), gemini=1)
            )
        finally:
            default.removeFilter(broken_filter)
        assert result.provider == "gemini"

    def test_of_the_librarys_logger_itself(self) -> None:
        """Without a logger of the user's, a filter on the library's may raise as well."""
        default = logging.getLogger("fallback_exec")
        default.addFilter(broken_filter)
        try:
            error_of(ProviderFailedError, vendors("grok"), ExecuteConfig())
        finally:
            default.removeFilter(broken_filter)

    def test_with_a_broken_tracker_hides_nothing_either(self, broken: Logger) -> None:
        """Both may be broken at once."""
        tracker = ThreeMethodTracker(raises="is_available")
        assert execute(vendors("grok"), fallback(broken, tracker), replying(grok="a cat")).response == "a cat"

    def test_with_the_breaker_tracker_loses_no_outcome(self, broken: Logger) -> None:
        """Failures count although they cannot be logged."""
        tracker = BreakerCooldownTracker(fail_max=1)
        error_of(AllProvidersFailedError, vendors("grok"), fallback(broken, tracker))
        assert tracker.is_available("grok") is False

    def test_an_interruption_in_the_logger_propagates(self) -> None:
        """Only an `Exception` is kept back."""

        class Interrupted(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            execute(vendors("grok"), fallback(logger_with(Interrupted())), replying(grok=1))


@pytest.fixture(autouse=True)
def no_complaint_of_logging(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Logging itself found nothing to complain of on stderr, such as arguments that do not fit a text."""
    yield
    assert "Logging error" not in capsys.readouterr().err

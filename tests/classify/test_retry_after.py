"""Retry-After in all its forms."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from freezegun.api import FrozenDateTimeFactory
from hypothesis import example, given
from hypothesis import strategies as st

from classify.shaped import answered, of_aws, of_google, of_grpc, retry_info, shaped
from fallback_exec import Verdict, classify_error
from fallback_exec.classify.retry_after import retry_after


def after(value: object) -> float | None:
    """Return what a Retry-After with that value means."""
    return retry_after(answered(429, {"Retry-After": value}))


class TestSeconds:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("7", 7.0),
            ("007", 7.0),
            (" 7\t", 7.0),
            ("7.25", 7.25),
            (b"7", 7.0),
            (7, 7.0),
            ("9" * 64, float("9" * 64)),
            (10**63, 1e63),
        ],
    )
    def test_are_decimal(self, value: object, expected: float) -> None:
        """A text, bytes or a number."""
        assert after(value) == expected

    @pytest.mark.parametrize(
        "value",
        [
            "0",
            "0.0",
            "-3",
            "+3",
            "1_0",
            "inf",
            "Infinity",
            "nan",
            "1e3",
            "0x10",
            "7.",
            ".5",
            "7,5",
            "5, 7",
            "7s",
            "\u0667",
            "\uff17",
            "",
            "  ",
            "seven",
            "7\n",
            "7\x00",
        ],
    )
    def test_are_nothing_else_that_float_takes(self, value: str) -> None:
        """Nothing, less than nothing, and what only Python calls a number mean nothing."""
        assert after(value) is None

    @pytest.mark.parametrize(
        "value", [True, None, 7.5, [7], {"7": 7}, object(), 0, -7, 10**64, "7" * 65, "7" * 10**6]
    )
    def test_are_no_other_objects(self, value: object) -> None:
        """Nor are they endless."""
        assert after(value) is None

    def test_are_cut_at_an_hour(self) -> None:
        """A vendor that says "tomorrow" is asked again within the hour."""
        assert classify_error(answered(429, {"Retry-After": "86400"})) == Verdict.cool_down(3600)

    @given(st.integers(1, 10**30), st.from_regex(r"(\.[0-9]{1,9})?", fullmatch=True))
    def test_are_what_they_say(self, whole: int, fraction: str) -> None:
        """Every positive decimal number is read as it stands."""
        assert after(f"{whole}{fraction}") == float(f"{whole}{fraction}")


@pytest.mark.usefixtures("clock")
class TestDates:
    """The clock stands at 2026-01-01, 00:00:00, a Thursday."""

    @pytest.mark.parametrize(
        "date",
        [
            "Thu, 01 Jan 2026 00:01:30 GMT",
            "Thursday, 01-Jan-26 00:01:30 GMT",
            "Thu Jan  1 00:01:30 2026",
            "Thu, 01 Jan 2026 00:01:30 -0000",
            "Thu, 01 Jan 2026 01:01:30 +0100",
            "Thu, 01 Jan 2026 00:01:30",
        ],
    )
    def test_are_read_in_each_form(self, date: str) -> None:
        """The three forms of HTTP; a date without a zone is in UTC."""
        assert after(date) == 90.0
        assert after(date.encode()) == 90.0

    @pytest.mark.parametrize(
        "date",
        [
            "Thu, 01 Jan 2026 00:00:00 GMT",
            "Wed, 31 Dec 2025 23:59:59 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Thu, 01 Jan 2026 00:01:60 GMT",
            "Thu, 41 Jan 2026 00:01:30 GMT",
            "Thu, 01 Jan 99999 00:01:30 GMT",
            "Thu, 01 Jan 99999999999 00:01:30 GMT",
            "Thu, 01 Jan 2026 99999999999999999999:01:30 GMT",
            "Thu, 01 Jan 2026 00:01:30 +99999999999999999",
            "Thu, 01 Jan 2026 00:01:30 +9999",
            "Thu, 0_1 Jan 2026 00:01:30 GMT",
            "Thu, \u0660\u0661 Jan 2026 00:01:30 GMT",
            "2026-01-01T00:01:30Z",
            "Thu",
            "Thu, " + "1" * 60,
            "Thu, 01 Jan 2026 00:01:30 GMT" + " " * 60,
        ],
    )
    def test_of_the_past_and_junk_are_nothing(self, date: str) -> None:
        """What does not lie ahead, and what is no date."""
        assert after(date) is None

    def test_are_read_against_the_clock(self, clock: FrozenDateTimeFactory) -> None:
        """The clock is read at the time of use."""
        date = "Thu, 01 Jan 2026 00:01:30 GMT"
        clock.tick(89)
        assert after(date) == 1.0
        clock.tick(1)
        assert after(date) is None

    def test_of_all_times_are_safe(self) -> None:
        """Dates at the ends of time overflow nothing."""
        assert after("Fri, 31 Dec 9999 23:59:59 -1200") == pytest.approx(2.5e11, rel=0.01)
        assert after("Mon, 01 Jan 1900 00:00:00 +1200") is None

    @given(st.datetimes(dt.datetime(2026, 1, 1, 0, 0, 1), dt.datetime(2999, 12, 31)))
    def test_ahead_are_the_seconds_until_then(self, moment: dt.datetime) -> None:
        """Every date ahead, to the second."""
        moment = moment.replace(microsecond=0)
        expected = (moment - dt.datetime(2026, 1, 1)).total_seconds()
        assert after(moment.strftime("%a, %d %b %Y %H:%M:%S GMT")) == expected


class TestOrder:
    def test_milliseconds_come_first(self) -> None:
        """`retry-after-ms` is finer, and its senders mean it."""
        assert retry_after(answered(429, {"retry-after": "7", "retry-after-ms": "1500"})) == 1.5

    @pytest.mark.parametrize("junk", ["soon", "-1", "0", "nan", "", None])
    def test_what_means_nothing_is_passed_over(self, junk: object) -> None:
        """The next form may mean something."""
        assert retry_after(answered(429, {"retry-after-ms": junk, "retry-after": "7"})) == 7.0
        assert (
            retry_after(answered(429, {"retry-after": junk}, body=[{"details": [retry_info("7s")]}])) == 7.0
        )

    def test_headers_come_before_the_body(self) -> None:
        """Google's RetryInfo is asked last."""
        error = of_google(retry_info("20s"))
        error.headers = {"retry-after": "7"}  # type: ignore[attr-defined]  # any error may have any
        assert retry_after(error) == 7.0

    def test_windows_are_no_delays(self) -> None:
        """`x-ratelimit-reset-*` says when a window ends, not when to come back."""
        assert retry_after(answered(429, {"x-ratelimit-reset-requests": "7"})) is None


class TestGoogle:
    @pytest.mark.parametrize(
        ("delay", "expected"),
        [("58.93s", 58.93), ("20s", 20.0), ("0.5s", 0.5)]
        + [
            (junk, None)
            for junk in ["0s", "-3s", "20", "20ss", "s", "", "infs", "1_0s", "1m", 20, None, ["20s"]]
        ],
    )
    def test_writes_the_delay_into_the_body(self, delay: object, expected: float | None) -> None:
        """A decimal number and an s, as protobuf writes a duration in JSON."""
        assert retry_after(of_google(retry_info(delay))) == expected

    def test_may_have_written_more_than_one(self) -> None:
        """The first that means something counts."""
        assert (
            retry_after(of_google("junk", retry_info("soon"), retry_info("20s"), retry_info("30s"))) == 20.0
        )


class CaselessMapping:
    """Headers as the libraries have them: any case will do, and they can be asked for one."""

    def __init__(self, name: str, value: str) -> None:
        self._name = name
        self._value = value

    def get(self, name: str) -> str | None:
        return self._value if name.lower() == self._name.lower() else None


class Items:
    """Headers that can only be listed."""

    def items(self) -> Iterator[tuple[object, object]]:
        yield "x-other", "1"
        yield b"Retry-After", b"7"


class TestHeaders:
    @pytest.mark.parametrize(
        "headers",
        [
            {"retry-after": "7"},
            {"Retry-After": "7"},
            {"RETRY-AFTER": "7"},
            {b"Retry-After": b"7"},
            {"retry-after": "junk", "Retry-After": "7"},
            CaselessMapping("Retry-After", "7"),
            Items(),
            [("Retry-After", "7")],
            ((b"retry-after", 7),),
            {f"x-{number}": "" for number in range(10**5)} | {"retry-after": "7"},
        ],
        ids=lambda headers: type(headers).__name__,
    )
    def test_may_be_any_mapping(self, headers: object) -> None:
        """Their case does not matter, nor how they are kept."""
        assert retry_after(shaped(headers=headers)) == 7.0

    def test_are_found_at_each_place(self) -> None:
        """Those of the response, of the error, botocore's and gRPC's."""
        headers = {"retry-after": "7"}
        assert retry_after(shaped(response=SimpleNamespace(headers=headers))) == 7.0
        assert retry_after(shaped(headers=headers)) == 7.0
        assert retry_after(of_aws("Other", 503, headers)) == 7.0
        assert retry_after(of_grpc("RESOURCE_EXHAUSTED", tuple(headers.items()))) == 7.0

    def test_of_the_response_come_first(self) -> None:
        """Then the error's own."""
        response = SimpleNamespace(headers={"retry-after": "7"})
        assert retry_after(shaped(response=response, headers={"retry-after": "8"})) == 7.0
        assert retry_after(shaped(response=SimpleNamespace(headers={}), headers={"retry-after": "8"})) == 8.0

    def test_are_looked_at_up_to_a_limit(self) -> None:
        """Of headers that have no end, the first hundred are looked at."""
        asked: list[int] = []

        class Endless:
            def items(self) -> Iterator[tuple[str, str]]:
                asked.append(0)
                while True:
                    asked[-1] += 1
                    yield "x-other", "1"

        assert retry_after(shaped(headers=Endless())) is None
        assert set(asked) == {100}


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=40), st.binary(max_size=40)
)
names = (
    st.sampled_from(["retry-after", "Retry-After", "retry-after-ms", "grpc-retry-pushback-ms"]) | st.text()
)


class TestJunk:
    @given(st.text() | st.binary() | st.from_regex(r"[A-Za-z]+,? [A-Za-z0-9:+ -]+"))
    @example("Thu, 01 Jan 2026 00:01:30 -9999")
    def test_means_nothing_or_lies_ahead(self, value: object) -> None:
        """Whatever stands in the header, the delay is positive or there is none."""
        seconds = after(value)
        assert seconds is None or seconds > 0.0

    @given(
        st.dictionaries(names | st.binary() | st.integers(), scalars) | st.lists(st.tuples(names, scalars))
    )
    def test_as_headers_raises_nothing(self, headers: object) -> None:
        """Whatever the headers are, the verdict on 429 is a cooldown of at most an hour."""
        verdict = classify_error(answered(429, headers))
        assert verdict.kind == "cool_down"
        assert verdict.seconds is None or 0.0 < verdict.seconds <= 3600.0

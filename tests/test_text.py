"""Texts that are safe to log, whatever is in them."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fallback_exec._text import brief, error_text, masked_repr, name_text, one_line, whole_seconds

# Text as it comes in the wild: with control characters, and with surrogates that stand alone.
any_text = st.text(st.characters())


class TestOneLine:
    """One line, whatever the text."""

    @given(any_text)
    @example("\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\r\n")
    def test_has_no_line_break(self, text: str) -> None:
        """What any program would take for the end of a line is escaped."""
        assert len(f"a{one_line(text)}b".splitlines()) == 1

    @given(any_text)
    def test_has_nothing_that_drives_a_terminal(self, text: str) -> None:
        """No control character is left, and nothing that reorders what a reader sees."""
        controls = {
            *map(chr, range(32)),
            *map(chr, range(127, 160)),
            *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
        }
        assert not controls & set(one_line(text))

    @given(any_text)
    def test_can_be_written_as_utf_8(self, text: str) -> None:
        """No lone surrogate is left."""
        one_line(text).encode()

    @given(any_text)
    def test_twice_is_as_once(self, text: str) -> None:
        """What is safe is left alone."""
        assert one_line(one_line(text)) == one_line(text)

    @pytest.mark.parametrize(
        "text", ["", "grok", "Größe", "人工知能", "🐈", "a b", "%s", "\\n", "\u200d", "\u00a0"]
    )
    def test_leaves_harmless_text_as_it_is(self, text: str) -> None:
        """Letters, signs and spaces of any script stay."""
        assert one_line(text) == text

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("two\nlines", r"two\nlines"),
            ("\r\t\x00", r"\r\t\x00"),
            ("\x1b[31m", r"\x1b[31m"),
            ("\u2028", r"\u2028"),
        ],
    )
    def test_escapes_as_python_does(self, text: str, line: str) -> None:
        """What was there can still be told."""
        assert one_line(text) == line


class StrRaises(Exception):
    """An error whose text cannot be had."""

    def __str__(self) -> str:
        raise ValueError("no text")


class StrOfTheWrongType(Exception):
    """An error whose text is none."""

    def __str__(self) -> str:
        return 5  # type: ignore[return-value]  # noqa: PLE0307  # on purpose


class TestErrorText:
    """The text of an error."""

    @pytest.mark.parametrize(
        ("error", "text"),
        [
            (ValueError("down"), "down"),
            (KeyError("field"), "'field'"),
            (OSError(104, "reset"), "[Errno 104] reset"),
            (ValueError("two\nlines"), r"two\nlines"),
            (ValueError(), "ValueError"),
            (ValueError(""), "ValueError"),
            (StrRaises("down"), "StrRaises"),
            (StrOfTheWrongType(), "StrOfTheWrongType"),
            (KeyboardInterrupt(), "KeyboardInterrupt"),
            (ExceptionGroup("both", [ValueError("a"), ValueError("b")]), "both (2 sub-exceptions)"),
        ],
        ids=repr,
    )
    def test_is_what_it_says_or_what_it_is(self, error: BaseException, text: str) -> None:
        """The text in one line; the class's name where it is empty, or cannot be had."""
        assert error_text(error) == text

    @given(any_text)
    def test_is_one_line_and_never_empty(self, text: str) -> None:
        """Whatever an error says, something stands in the log, in one line."""
        assert len(error_text(ValueError(text)).splitlines()) == 1

    def test_is_one_line_whatever_the_class_is_called(self) -> None:
        """A class that was built with a line break in its name forges no line either."""
        assert error_text(type("Two\nLines", (Exception,), {})()) == r"Two\nLines"


class ReprRaises:
    """An object that cannot be shown."""

    def __repr__(self) -> str:
        raise ValueError("no repr")


class ReprOfTwoLines:
    """An object whose repr breaks the line."""

    def __repr__(self) -> str:
        return "two\nlines"


def of_class(name: str) -> object:
    """Return an object of a class of that name."""
    return type(name, (), {})()


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text | st.binary() | st.builds(ReprRaises),
    lambda each: st.lists(each) | st.dictionaries(any_text, each) | st.tuples(each, each),
)


class TestBrief:
    """A short repr."""

    @pytest.mark.parametrize("value", ["grok", 5, None, 1.5, [1, 2], {"a": 1}, b"x", True], ids=repr)
    def test_is_the_repr_of_what_is_short(self, value: object) -> None:
        """What is short enough is shown as Python shows it."""
        assert brief(value) == repr(value)

    @given(values)
    @example(10**5000)
    @example([10**5000])
    def test_never_raises_and_is_one_line(self, value: object) -> None:
        """Any object can be shown, in one line that a file takes."""
        assert len(f"a{brief(value)}".splitlines()) == 1
        brief(value).encode()

    @pytest.mark.parametrize(
        "name", ["set", "frozenset", "array", "deque", "dict", "list", "tuple", "str", "int"]
    )
    def test_is_not_misled_by_the_name_of_a_class(self, name: str) -> None:
        """A class that is called as a built-in one is shown like any other."""
        assert brief(of_class(name)).startswith("<")

    @pytest.mark.parametrize("value", ["x" * 5000, ["x" * 5000], object, 10**4000, {"x" * 500: "y" * 500}])
    def test_is_short(self, value: Any) -> None:
        """What is long is shown in part."""
        assert len(brief(value)) <= 200

    def test_cuts_after_80_characters(self) -> None:
        """A string, and what an object of any class says of itself."""

        class Talkative:
            def __repr__(self) -> str:
                return "talk" * 100

        assert len(brief("x" * 1000)) == len(brief(Talkative())) == 80
        assert brief("x" * 78) == repr("x" * 78)

    def test_names_the_class_of_what_cannot_be_shown(self) -> None:
        """Instead of a repr that raises, something stands that tells what it is."""
        assert "ReprRaises" in brief(ReprRaises())
        assert r"Two\nLines" in brief(type("Two\nLines", (ReprRaises,), {})())
        assert brief(ReprOfTwoLines()) == r"two\nlines"


class TestMaskedRepr:
    """A repr at its full length."""

    def test_is_the_repr_without_credentials(self) -> None:
        """Whatever the length, unlike a short one."""
        assert masked_repr(["x" * 500]) == repr(["x" * 500])
        assert masked_repr({"password": "hunter2"}) == "{'password': '[redacted]'}"

    def test_names_the_class_of_what_cannot_be_shown(self) -> None:
        """As a short one does."""
        assert masked_repr(ReprRaises()) == "<ReprRaises that cannot be shown>"


class TestNameText:
    """A provider's name as it is shown."""

    def test_is_one_line_without_credentials(self) -> None:
        """A name may be a URL."""
        assert name_text("https://user:hunter2@vendor.example\n") == r"https://[redacted]@vendor.example\n"
        assert name_text("grok") == "grok"

    def test_is_masked_by_the_function_that_is_given(self) -> None:
        """Where that fails, nothing of the name is shown."""
        assert name_text("grok", str.upper) == "GROK"
        assert name_text("grok", lambda _: str(1 // 0)) == "[redact failed]"


class TestWholeSeconds:
    """Rounding as Go's `Duration.Round` does."""

    @given(st.floats(min_value=0.0, max_value=1e15))
    @example(0.49999999999999994)
    @example(2.5)
    def test_rounds_halves_up(self, seconds: float) -> None:
        """The nearest whole number, and of two the larger."""
        assert whole_seconds(seconds) == int(Decimal(seconds).quantize(Decimal(1), ROUND_HALF_UP))

    @pytest.mark.parametrize("seconds", [math.inf, -math.inf])
    def test_leaves_what_has_no_whole_number(self, seconds: float) -> None:
        """A tracker may say that a cooldown never ends."""
        assert whole_seconds(seconds) == seconds

    @pytest.mark.parametrize(("seconds", "whole"), [(0.0, 0), (0.5, 1), (1.4999999, 1), (29.5, 30), (30, 30)])
    def test_gives_an_integer(self, seconds: float, whole: int) -> None:
        """What is logged has no fraction, not even `.0`."""
        assert repr(whole_seconds(seconds)) == repr(whole)

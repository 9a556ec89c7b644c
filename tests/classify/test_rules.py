"""The table of rules: each line of it, and the order of the lines."""

from __future__ import annotations

import socket
from collections.abc import Callable
from http import HTTPStatus
from types import SimpleNamespace

import pytest

from classify.shaped import answered, of_aws, of_google, of_grpc, quota, retry_info, shaped
from fallback_exec import Verdict, classify_error

FAILURE = Verdict.failure()
ABORT = Verdict.abort()
COOL_DOWN = Verdict.cool_down()
LONG = Verdict.cool_down(3600)

SLOW_DOWN = {"Retry-After": "7"}


def meaning_of_status(status: int) -> Verdict:
    """Return what the text of the table says of a status without a Retry-After, written another way."""
    if status == 429:
        return COOL_DOWN
    if status in {401, 402, 403}:
        return LONG
    retriable = {408, 409, 423, 425, 499}
    return ABORT if 400 <= status < 500 and status not in retriable else FAILURE


class TestStatuses:
    @pytest.mark.parametrize(
        "error_with",
        [
            lambda status: shaped(status_code=status),
            answered,
            lambda status: shaped(status=status),
            lambda status: shaped(code=status),
            lambda status: of_aws("Other", status),
        ],
        ids=["status_code", "response", "status", "code", "botocore"],
    )
    def test_mean_what_the_table_says(self, error_with: Callable[[int], Exception]) -> None:
        """Every status there is, at each of the places where libraries keep it."""
        found = {status: classify_error(error_with(status)) for status in range(100, 600)}
        assert found == {status: meaning_of_status(status) for status in range(100, 600)}

    def test_with_a_retry_after(self) -> None:
        """It is heeded with 429, 503 and 529, and changes no other status."""
        for status in range(100, 600):
            expected = Verdict.cool_down(7) if status in {429, 503, 529} else meaning_of_status(status)
            assert classify_error(answered(status, SLOW_DOWN)) == expected

    @pytest.mark.parametrize("status", [503, 529])
    @pytest.mark.parametrize("value", ["", "0", "soon", "-3", "inf", "Sun, 06 Nov 1994 08:49:37 GMT"])
    def test_of_busy_servers_with_a_retry_after_that_says_nothing(self, status: int, value: str) -> None:
        """Such a header is none: the status alone is a failure."""
        assert classify_error(answered(status, {"Retry-After": value})) == FAILURE

    @pytest.mark.parametrize(
        "junk", [0, 99, 600, 20003, -404, True, 404.0, "404", b"404", None, [404], 10**400]
    )
    def test_are_numbers_from_100_to_599_or_nothing(self, junk: object) -> None:
        """What is no status is passed over, for the next place where one may stand."""
        assert classify_error(shaped(status_code=junk)) == FAILURE
        assert (
            classify_error(shaped(status_code=junk, response=SimpleNamespace(status_code=429))) == COOL_DOWN
        )
        assert classify_error(shaped(status=junk, code=429)) == COOL_DOWN
        assert classify_error(of_aws("Other", junk)) == FAILURE

    def test_may_be_members_of_an_enum(self) -> None:
        """`HTTPStatus` is what google.api_core's errors have."""
        assert classify_error(shaped(code=HTTPStatus.TOO_MANY_REQUESTS)) == COOL_DOWN

    def test_of_twilio_are_not_its_codes(self) -> None:
        """`code` is a number of the vendor's beside `status`, whatever it is."""
        assert classify_error(shaped(status=503, code=401)) == FAILURE

    def test_of_google_are_not_its_texts(self) -> None:
        """`status` is a text beside `code`."""
        assert classify_error(shaped(status="UNAVAILABLE", code=401)) == LONG

    def test_of_a_response_that_is_false(self) -> None:
        """`bool()` of a response of requests is false where the status is an error's."""

        class Response:
            status_code = 429
            headers = SLOW_DOWN

            def __bool__(self) -> bool:
                return False

        assert classify_error(shaped(response=Response())) == Verdict.cool_down(7)


class TestAws:
    @pytest.mark.parametrize(
        "code",
        [
            "Throttling",
            "ThrottlingException",
            "TooManyRequests",
            "TooManyRequestsException",
            "SlowDown",
            "RequestLimitExceeded",
        ],
    )
    def test_throttling_is_a_cooldown(self, code: str) -> None:
        """AWS throttles with 400, and with 503 without a Retry-After; where there is one, it is heeded."""
        assert classify_error(of_aws(code)) == COOL_DOWN
        assert classify_error(of_aws(code, 503)) == COOL_DOWN
        assert classify_error(of_aws(code, 400, {"retry-after": "7"})) == Verdict.cool_down(7)

    @pytest.mark.parametrize(
        "code",
        [
            "UnrecognizedClientException",
            "ExpiredToken",
            "ExpiredTokenException",
            "AccessDenied",
            "AccessDeniedException",
            "SignatureDoesNotMatch",
        ],
    )
    def test_credentials_are_a_long_cooldown(self, code: str) -> None:
        """AWS says so with 400 in places."""
        assert classify_error(of_aws(code)) == LONG

    @pytest.mark.parametrize(
        "code", ["SlowDownPlease", "NotThrottling", "throttling", "", None, 429, "x" * 10**6]
    )
    def test_other_codes_leave_it_to_the_status(self, code: object) -> None:
        """Codes are compared from their first character on, and whole unless the table has a star."""
        assert classify_error(of_aws(code)) == ABORT
        assert classify_error(of_aws(code, 500)) == FAILURE

    def test_codes_are_read_nowhere_else(self) -> None:
        """Another vendor may mean something else by the same word."""
        assert classify_error(shaped(code="AccessDenied", status_code=500)) == FAILURE


class TestGrpc:
    @pytest.mark.parametrize(
        ("expected", "codes"),
        [
            (COOL_DOWN, "RESOURCE_EXHAUSTED"),
            (LONG, "UNAUTHENTICATED PERMISSION_DENIED"),
            (FAILURE, "UNAVAILABLE DEADLINE_EXCEEDED INTERNAL UNKNOWN ABORTED"),
            (ABORT, "INVALID_ARGUMENT NOT_FOUND FAILED_PRECONDITION CANCELLED"),
            (FAILURE, "OK ALREADY_EXISTS OUT_OF_RANGE UNIMPLEMENTED DATA_LOSS NEVER_HEARD_OF"),
        ],
    )
    def test_codes_mean_what_the_table_says(self, expected: Verdict, codes: str) -> None:
        """Every code of gRPC."""
        for code in codes.split():
            assert classify_error(of_grpc(code)) == expected

    @pytest.mark.parametrize("code", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN", "ABORTED"])
    def test_a_code_goes_before_a_name(self, code: str) -> None:
        """What the server said outweighs what the class is called."""
        assert classify_error(of_grpc(code, class_name="InvalidURL")) == FAILURE

    @pytest.mark.parametrize(
        ("metadata", "seconds"),
        [
            ((("grpc-retry-pushback-ms", "2500"),), 2.5),
            ((("grpc-retry-pushback-ms", "-1"),), None),
            ((("other", "1"), ("Retry-After", b"30")), 30.0),
            ((("a", "b", "c"), ("retry-after", "30")), None),
            ((), None),
            (None, None),
        ],
    )
    def test_metadata_say_how_long(self, metadata: object, seconds: float | None) -> None:
        """The server's pushback and Retry-After are among the trailing metadata."""
        assert classify_error(of_grpc("RESOURCE_EXHAUSTED", metadata)) == Verdict.cool_down(seconds)

    def test_a_method_called_code_does_not_make_a_call(self) -> None:
        """Only what looks like a gRPC call is asked."""

        def code() -> object:
            raise AssertionError("was called")

        assert classify_error(shaped(code=code)) == FAILURE
        assert classify_error(shaped(code=code, details="text")) == FAILURE

    def test_either_of_two_more_methods_does(self) -> None:
        """A call has `trailing_metadata()`, `details()` or both."""

        def code() -> object:
            return SimpleNamespace(name="UNAUTHENTICATED")

        assert classify_error(shaped(code=code, details=str)) == LONG
        assert classify_error(shaped(code=code, trailing_metadata=tuple)) == LONG


class TestQuotas:
    @pytest.mark.parametrize("code", ["insufficient_quota", "billing_error", "billing_hard_limit_reached"])
    @pytest.mark.parametrize("key", ["code", "type"])
    def test_that_are_paid_for_are_a_long_cooldown(self, code: str, key: str) -> None:
        """Waiting for Retry-After does not help; openai and anthropic tell it from a rate by code or type."""
        assert classify_error(answered(429, SLOW_DOWN, **{key: code})) == LONG
        assert classify_error(answered(429, SLOW_DOWN, body={key: code})) == LONG
        assert classify_error(answered(429, SLOW_DOWN, body={"type": "error", "error": {key: code}})) == LONG
        assert classify_error(answered(429, SLOW_DOWN, details=[{"error": {key: code}}])) == LONG
        assert classify_error(answered(400, body=[{key: code}])) == LONG

    @pytest.mark.parametrize(
        "code",
        [
            "rate_limit_error",
            "insufficient_quota_soon",
            "not_billing_error",
            "",
            None,
            429,
            ["billing_error"],
        ],
    )
    def test_other_codes_leave_it_to_the_status(self, code: object) -> None:
        """A limited rate is over when Retry-After says so."""
        assert classify_error(answered(429, SLOW_DOWN, code=code, body={"type": code})) == Verdict.cool_down(
            7
        )

    def test_codes_have_at_most_200_characters(self) -> None:
        """What is longer is no code."""
        assert classify_error(shaped(status_code=429, code=f"{'billing_':x<200}")) == LONG
        assert classify_error(shaped(status_code=429, code=f"{'billing_':x<201}")) == COOL_DOWN

    def test_of_google_for_a_day_are_a_long_cooldown(self) -> None:
        """Google's RetryInfo speaks of seconds even then."""
        per_day = quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier")
        per_minute = quota("GenerateRequestsPerMinutePerProjectPerModel")
        assert classify_error(of_google(per_minute, per_day, retry_info("20s"))) == LONG
        assert classify_error(of_google(per_minute, retry_info("20s"))) == Verdict.cool_down(20)

    def test_are_read_in_bodies_that_are_lists(self) -> None:
        """Google's endpoint for openai's SDK answers with a list."""
        body = [{"error": {"details": [quota("PerDay")]}}]
        assert classify_error(answered(429, body=body)) == LONG

    def test_402_is_a_long_cooldown(self) -> None:
        """Payment is required."""
        assert classify_error(answered(402, SLOW_DOWN)) == LONG


class TestGoogleReasons:
    def test_an_invalid_key_is_a_long_cooldown(self) -> None:
        """Gemini answers 400 where others answer 401: a dead key must not end the chain."""
        reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
        assert classify_error(of_google(reason, status=400)) == LONG
        assert classify_error(answered(400, body=[{"error": {"details": [reason]}}])) == LONG

    @pytest.mark.parametrize("reason", ["FIELD_INVALID", "", None, ["API_KEY_INVALID"]])
    def test_other_reasons_leave_it_to_the_status(self, reason: object) -> None:
        """They say what is wrong with the request."""
        assert classify_error(of_google({"reason": reason}, status=400)) == ABORT


class TestNames:
    @pytest.mark.parametrize("name", ["ParamValidationError", "InvalidURL", "ContentFilterFinishReasonError"])
    def test_of_mistakes_abort(self, name: str) -> None:
        """No vendor would take that call."""
        assert classify_error(shaped(name)) == ABORT

    @pytest.mark.parametrize("name", ["AuthenticationError", "NoCredentialsError", "NoRegionError"])
    def test_of_credentials_are_a_long_cooldown(self, name: str) -> None:
        """Also where the error is a ConnectionError, as redis' AuthenticationError is."""
        assert classify_error(shaped(name)) == LONG
        assert classify_error(type(name, (ConnectionError,), {})()) == LONG
        assert classify_error(type("Derived", (type(name, (ConnectionError,), {}),), {})()) == LONG

    def test_of_credentials_do_not_outweigh_a_status(self) -> None:
        """They count where there is no status at all."""
        assert classify_error(shaped("AuthenticationError", status_code=200)) == FAILURE
        assert classify_error(shaped("AuthenticationError", status_code=500)) == FAILURE

    @pytest.mark.parametrize(
        "error",
        [
            TimeoutError(),
            ConnectionError(),
            ConnectionResetError(),
            BrokenPipeError(),
            socket.gaierror(),
            OSError(),
            *map(shaped, ["ReadTimeout", "ConnectError", "NetworkError", "ProtocolError", "JSONDecodeError"]),
            Exception(),
            ValueError("not a mistake of the call's, for all we know"),
            ExceptionGroup("several", [ValueError()]),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_of_anything_else_are_failures(self, error: Exception) -> None:
        """Timeouts, connections and what nobody has heard of: as without a classifier."""
        assert classify_error(error) == FAILURE


class TestOrder:
    """The first line that fits decides."""

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            (of_aws("Throttling", 402), COOL_DOWN),
            (of_aws("AccessDenied", 429), LONG),
            (answered(503, SLOW_DOWN, type="billing_error"), LONG),
            (answered(503, SLOW_DOWN), Verdict.cool_down(7)),
            (shaped("ContentFilterError", status_code=500), FAILURE),
            (shaped("ContentFilterError", status_code=200), ABORT),
            (shaped("InvalidURLAuthenticationError"), ABORT),
            (type("AuthenticationTimeout", (TimeoutError,), {})(), LONG),
        ],
        ids=repr,
    )
    def test_is_that_of_the_table(self, error: Exception, expected: Verdict) -> None:
        """Errors that two lines speak of, for each two lines whose order matters."""
        assert classify_error(error) == expected

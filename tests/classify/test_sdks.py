"""What the errors of real SDKs mean. Each of them is raised by the SDK, of what came over a socket.

They are raised in a process of their own, `python -m vendors`: the SDKs are large, and freezegun looks
through all that is loaded whenever it stops the clock.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fallback_exec

TESTS = Path(__file__).parents[1]
SNIPPETS = TESTS.parent / "docs" / "vendors"

FAILURE = "failure"
ABORT = "abort"
COOL_DOWN = "cool down"
LONG = "cool down, 1 h"
SEVEN = "cool down, 7 s"
NO_ERROR = "no error"

#: What each case over HTTP means where an SDK does not parse the body, or nothing is in it.
OVER_HTTP = {
    "400": ABORT,
    "401": LONG,
    "402": LONG,
    "403": LONG,
    "404": ABORT,
    "408": FAILURE,
    "409": FAILURE,
    "413": ABORT,
    "422": ABORT,
    "423": FAILURE,
    "425": FAILURE,
    "429": COOL_DOWN,
    "499": FAILURE,
    "500": FAILURE,
    "501": FAILURE,
    "502": FAILURE,
    "503": FAILURE,
    "504": FAILURE,
    "529": FAILURE,
    "429, Retry-After: 7": SEVEN,
    "429, retry-after-ms: 1500": "cool down, 1.5 s",
    "429, Retry-After: a day": LONG,
    "429, Retry-After: a date ahead": LONG,
    "429, Retry-After: a date gone by": COOL_DOWN,
    "429, Retry-After: junk": COOL_DOWN,
    "429, x-ratelimit-reset: 7": COOL_DOWN,
    "429, many headers": SEVEN,
    "503, Retry-After: 7": SEVEN,
    "503, Retry-After: junk": FAILURE,
    "529, Retry-After: 7": SEVEN,
    "500, Retry-After: 7": FAILURE,
    "429, insufficient_quota": SEVEN,
    "400, billing_error": ABORT,
    "429, Google, per minute": COOL_DOWN,
    "429, Google, per day": COOL_DOWN,
    "429, Google, in a list": COOL_DOWN,
    "400, Google, API_KEY_INVALID": ABORT,
    "400, AWS ThrottlingException": ABORT,
    "400, AWS ExpiredTokenException": ABORT,
    "429, HTML": COOL_DOWN,
    "502, HTML": FAILURE,
    "500, no body": FAILURE,
    "500, half of JSON": FAILURE,
    "200, HTML": FAILURE,
    "200, half of JSON": FAILURE,
    "200, no body": FAILURE,
    "200, cut off": FAILURE,
    "200, reset": FAILURE,
    "429, cut off": FAILURE,
    "hang-up": FAILURE,
    "no answer in time": FAILURE,
    "dead port": FAILURE,
}

#: What the body says, where an SDK parses it.
PARSED = {
    "429, insufficient_quota": LONG,
    "400, billing_error": LONG,
    "429, Google, per minute": "cool down, 58.93 s",
    "429, Google, per day": LONG,
    "429, Google, in a list": "cool down, 58.93 s",
    "400, Google, API_KEY_INVALID": LONG,
}

#: urllib3 raises for no status: those cases end as answers, or as junk in place of one.
BY_STATUS_ALONE = [case for case in OVER_HTTP if case[0].isdigit() and not case.startswith("200")]
WITHOUT_JSON = {"429, HTML", "502, HTML", "500, no body", "500, half of JSON", "429, cut off"}

#: These return what came, whatever it was.
ANY_ANSWER = dict.fromkeys(["200, HTML", "200, half of JSON", "200, no body"], NO_ERROR)

#: These raise the status before they read the body.
STATUS_FIRST = {"429, cut off": COOL_DOWN}

#: Where an SDK differs from `OVER_HTTP`.
DIFFERENCES: dict[str, dict[str, str]] = {
    "openai": {**PARSED, "200, HTML": NO_ERROR},
    "anthropic": {**PARSED, "200, HTML": NO_ERROR},
    "google-genai": {**PARSED, "200, no body": NO_ERROR},
    "httpx": {},
    "httpx2": {},
    "requests": {},
    "urllib": STATUS_FIRST,
    "urllib3": {case: FAILURE if case in WITHOUT_JSON else NO_ERROR for case in BY_STATUS_ALONE},
    "boto3": {
        "400, AWS ThrottlingException": COOL_DOWN,
        "400, AWS ExpiredTokenException": LONG,
        "429, Google, in a list": FAILURE,  # botocore's own parser fails
        **ANY_ANSWER,
        **STATUS_FIRST,
    },
    "sendgrid": ANY_ANSWER,
}

OVER_GRPC = {
    "CANCELLED": ABORT,
    "UNKNOWN": FAILURE,
    "INVALID_ARGUMENT": ABORT,
    "DEADLINE_EXCEEDED": FAILURE,
    "NOT_FOUND": ABORT,
    "ALREADY_EXISTS": FAILURE,
    "PERMISSION_DENIED": LONG,
    "UNAUTHENTICATED": LONG,
    "RESOURCE_EXHAUSTED": COOL_DOWN,
    "FAILED_PRECONDITION": ABORT,
    "ABORTED": FAILURE,
    "OUT_OF_RANGE": FAILURE,
    "UNIMPLEMENTED": FAILURE,
    "INTERNAL": FAILURE,
    "UNAVAILABLE": FAILURE,
    "DATA_LOSS": FAILURE,
    "RESOURCE_EXHAUSTED, grpc-retry-pushback-ms: 2500": "cool down, 2.5 s",
    "RESOURCE_EXHAUSTED, grpc-retry-pushback-ms: -1": COOL_DOWN,
    "RESOURCE_EXHAUSTED, retry-after: 7": SEVEN,
    "UNAVAILABLE, grpc-retry-pushback-ms: 2500": FAILURE,
    "the server's code raises": FAILURE,
    "an answer that cannot be read": FAILURE,
    "no such method": FAILURE,
    "HTML in place of gRPC": FAILURE,
    "no answer in time": FAILURE,
    "dead port": FAILURE,
}

OVER_REDIS = {
    "WRONGPASS": LONG,
    "NOAUTH": LONG,
    "NOPERM": FAILURE,
    "max number of clients": FAILURE,
    "LOADING": FAILURE,
    "READONLY": FAILURE,
    "OOM": FAILURE,
    "WRONGTYPE": FAILURE,
    "ERR": FAILURE,
    "an answer that cannot be read": FAILURE,
    "hang-up": FAILURE,
    "reset": FAILURE,
    "no answer in time": FAILURE,
    "dead port": FAILURE,
}

EXPECTED = {
    **{sdk: {**OVER_HTTP, **differences} for sdk, differences in DIFFERENCES.items()},
    "grpc": OVER_GRPC,
    "redis": OVER_REDIS,
}

#: Cases that end before a call, or below where calls are counted.
NO_CALL = {
    *((sdk, "dead port") for sdk in EXPECTED),
    ("grpc", "no such method"),
    ("grpc", "HTML in place of gRPC"),
    ("redis", "WRONGPASS"),
}


@pytest.fixture(scope="module")
def said() -> Any:
    """What `python -m vendors --json` prints."""
    path = [str(TESTS), str(Path(fallback_exec.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    finished = subprocess.run(
        [sys.executable, "-m", "vendors", "--json"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


class TestErrorsOfSdks:
    @pytest.mark.parametrize(("sdk", "case"), [(sdk, case) for sdk in EXPECTED for case in EXPECTED[sdk]])
    def test_mean(self, said: Any, sdk: str, case: str) -> None:
        """Each SDK, each case: the verdict, after one call without a retry of the SDK's own."""
        finding = said["findings"][sdk][case]
        assert finding["verdict"] == EXPECTED[sdk][case], finding
        assert (finding["error"] == "") == (EXPECTED[sdk][case] == NO_ERROR)
        assert finding["calls"] == (0 if (sdk, case) in NO_CALL else 1)

    def test_are_all_expected(self, said: Any) -> None:
        """No SDK and no case is left out."""
        found = {(sdk, case) for sdk, cases in said["findings"].items() for case in cases}
        assert found == {(sdk, case) for sdk in EXPECTED for case in EXPECTED[sdk]}

    @pytest.mark.parametrize("page", ["http", "grpc", "redis"])
    def test_stand_in_the_docs(self, said: Any, page: str) -> None:
        """docs/vendors/ has what was found; `tox run -e verdicts -- --write` writes it."""
        assert (SNIPPETS / f"{page}.md").read_text(encoding="utf-8") == said["pages"][page]

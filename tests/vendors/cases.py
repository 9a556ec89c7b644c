"""What goes wrong over HTTP, by name."""

from __future__ import annotations

from vendors.server import Reply

#: All statuses that the table of rules tells apart, and some that it does not.
STATUSES = (
    *(400, 401, 402, 403, 404, 408, 409, 413, 422, 423, 425, 429, 499),
    *(500, 501, 502, 503, 504, 529),
)

DEAD_PORT = "dead port"
STALLS = "no answer in time"

_HTML = {"content-type": "text/html"}
_PAGE = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
_ONE_OF_OPENAI = {"message": "You exceeded your current quota", "type": "insufficient_quota", "param": None}


def _google(quota_id: str, delay: str) -> dict[str, object]:
    return {
        "error": {
            "code": 429,
            "message": "You exceeded your current quota",
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                    "violations": [{"quotaMetric": "requests", "quotaId": quota_id}],
                },
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
            ],
        }
    }


def _aws(status: int, code: str) -> Reply:
    return Reply(status, {"message": "trouble"}, {"x-amzn-errortype": code})


_GOOGLE_KEY = {
    "error": {
        "code": 400,
        "message": "API key not valid. Please pass a valid API key.",
        "status": "INVALID_ARGUMENT",
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}],
    }
}

#: Each has one reply; `DEAD_PORT` has none.
CASES: dict[str, Reply] = {
    **{str(status): Reply(status) for status in STATUSES},
    "429, Retry-After: 7": Reply(429, headers={"Retry-After": "7"}),
    "429, retry-after-ms: 1500": Reply(429, headers={"retry-after-ms": "1500", "Retry-After": "7"}),
    "429, Retry-After: a day": Reply(429, headers={"Retry-After": "86400"}),
    "429, Retry-After: a date ahead": Reply(429, headers={"Retry-After": "Fri, 31 Dec 2999 23:59:59 GMT"}),
    "429, Retry-After: a date gone by": Reply(429, headers={"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}),
    "429, Retry-After: junk": Reply(429, headers={"Retry-After": "-1_0e\xbd", "retry-after-ms": "nan"}),
    "429, x-ratelimit-reset: 7": Reply(429, headers={"x-ratelimit-reset-requests": "7"}),
    "429, many headers": Reply(
        429, headers={f"x-{number}": "1" for number in range(90)} | {"Retry-After": "7"}
    ),
    "503, Retry-After: 7": Reply(503, headers={"Retry-After": "7"}),
    "503, Retry-After: junk": Reply(503, headers={"Retry-After": "soon"}),
    "529, Retry-After: 7": Reply(529, headers={"Retry-After": "7"}),
    "500, Retry-After: 7": Reply(500, headers={"Retry-After": "7"}),
    "429, insufficient_quota": Reply(
        429, {"error": {**_ONE_OF_OPENAI, "code": "insufficient_quota"}}, {"Retry-After": "7"}
    ),
    "400, billing_error": Reply(400, {"type": "error", "error": {"type": "billing_error", "message": "pay"}}),
    "429, Google, per minute": Reply(429, _google("GenerateRequestsPerMinutePerProject", "58.93s")),
    "429, Google, per day": Reply(429, _google("GenerateRequestsPerDayPerProject-FreeTier", "58.93s")),
    "429, Google, in a list": Reply(429, [_google("GenerateRequestsPerMinutePerProject", "58.93s")]),
    "400, Google, API_KEY_INVALID": Reply(400, _GOOGLE_KEY),
    "400, AWS ThrottlingException": _aws(400, "ThrottlingException"),
    "400, AWS ExpiredTokenException": _aws(400, "ExpiredTokenException"),
    "429, HTML": Reply(429, _PAGE, _HTML),
    "502, HTML": Reply(502, _PAGE, _HTML),
    "500, no body": Reply(500, b""),
    "500, half of JSON": Reply(500, b'{"error": {"message"'),
    "200, HTML": Reply(200, _PAGE, _HTML),
    "200, half of JSON": Reply(200, b'{"choices": [{"message"'),
    "200, no body": Reply(200, b""),
    "200, cut off": Reply(200, conduct="cut off"),
    "200, reset": Reply(200, conduct="reset"),
    "429, cut off": Reply(429, conduct="cut off"),
    "hang-up": Reply(conduct="hang up"),
    STALLS: Reply(conduct="stall"),
}

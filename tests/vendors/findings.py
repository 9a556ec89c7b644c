"""What `classify_error()` says of each case, for each SDK."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import attrs

from fallback_exec import Verdict, classify_error
from vendors import cases, over_grpc, over_redis
from vendors.cases import DEAD_PORT, STALLS
from vendors.sdks import SDKS, Ask
from vendors.server import dead_port, serving

#: Seconds after which a call is given up that gets no answer, and any other, which needs none of them.
SHORT = 0.15
LONG = 30.0

#: What is found where nothing is raised.
NO_ERROR = "no error"


class Counts(Protocol):
    """A vendor that counts."""

    def calls(self, name: str) -> int: ...


@attrs.frozen
class Finding:
    """What came of one case.

    Attributes:
        verdict: What the error means, in words; `NO_ERROR` where there was none.
        error: The name of the error's class; empty where there was none.
        calls: How many calls reached the vendor.
    """

    verdict: str
    error: str
    calls: int


@attrs.frozen
class Subject:
    """An SDK with a vendor to ask. `elsewhere` has other addresses for some cases."""

    name: str
    cases: list[str]
    ask: Ask
    address: str
    vendor: Counts
    elsewhere: dict[str, str]

    def finding(self, case: str) -> Finding:
        """Ask once."""
        try:
            self.ask(self.elsewhere.get(case, self.address), case, SHORT if case == STALLS else LONG)
        except Exception as error:
            found = (in_words(classify_error(error)), type(error).__name__)
        else:
            found = (NO_ERROR, "")
        return Finding(*found, self.vendor.calls(case))

    def findings(self) -> dict[str, Finding]:
        """Ask for each case."""
        return {case: self.finding(case) for case in self.cases}


def in_words(verdict: Verdict) -> str:
    """Return a verdict as tables show it."""
    kind = verdict.kind.replace("_", " ")
    if verdict.seconds is None:
        return kind
    return f"{kind}, 1 h" if verdict.seconds == 3600.0 else f"{kind}, {verdict.seconds:g} s"


def _no_one(scheme: str = "") -> dict[str, str]:
    return {DEAD_PORT: f"{scheme}127.0.0.1:{dead_port()}"}


@contextlib.contextmanager
def subjects(*, retries: bool) -> Iterator[list[Subject]]:
    """Open all SDKs, each with a vendor of its own."""
    with contextlib.ExitStack() as stack:
        opened = []
        # One after the other: what they import is not made for being imported side by side.
        for name, opener in SDKS.items():
            vendor = stack.enter_context(serving(cases.CASES))
            names = [*cases.CASES, DEAD_PORT]
            ask = stack.enter_context(opener(retries))
            opened.append(Subject(name, names, ask, vendor.url, vendor, _no_one("http://")))
        address, grpc_vendor = stack.enter_context(over_grpc.serving_grpc())
        over_http = stack.enter_context(serving({}))
        elsewhere = {**_no_one(), over_grpc.NOT_GRPC: over_http.url.removeprefix("http://")}
        ask = stack.enter_context(over_grpc.open_grpc(retries))
        opened.append(Subject("grpc", over_grpc.CASES, ask, address, grpc_vendor, elsewhere))
        address, redis_vendor = stack.enter_context(over_redis.serving_redis())
        ask = stack.enter_context(over_redis.open_redis(retries))
        opened.append(Subject("redis", over_redis.CASES, ask, address, redis_vendor, _no_one()))
        yield opened


def find() -> dict[str, dict[str, Finding]]:
    """Return the findings by SDK and case. The retries of the SDKs are off."""
    with subjects(retries=False) as opened, ThreadPoolExecutor(len(opened)) as pool:
        running = {each.name: pool.submit(each.findings) for each in opened}
        return {name: each.result() for name, each in running.items()}

"""Streams of real SDKs, from a loopback server that stalls, resets, complains, or ends well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from fallback_exec import (
    ExecuteConfig,
    InvalidConfigError,
    NamedProvider,
    Outcome,
    StreamResult,
    execute_stream,
)
from helpers import PATIENCE, PermitTracker, logger_with
from stream_vendors import (
    ANTHROPIC_TEXT,
    COMPLAINT,
    HTTPX,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    VENDORS,
    WAITS,
    WELL,
    StreamServer,
    StreamVendor,
    raw_responses,
    stream_server,
)

STALLS = {"before the head": "wait", "after the head": "head wait"}
BREAKS = {
    "reset before the head": "reset",
    "reset after the head": "head reset",
    "hung up before the head": "",
    "hung up after the head": "head",
}
BREAKS_LATER = {"reset": "head word once_read reset", "hung up": "head word"}

each_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)


@pytest.fixture
def server() -> Iterator[StreamServer]:
    """A server of this test's own."""
    with stream_server() as server:
        yield server


@pytest.fixture
def tracker() -> PermitTracker:
    """A tracker that writes down what it is told."""
    return PermitTracker()


@pytest.fixture
def client(vendor: StreamVendor, server: StreamServer) -> Iterator[Any]:
    """The vendor's client, which knows the server."""
    with vendor.opens(server.url) as client:
        yield client


@pytest.fixture
def config(tracker: PermitTracker) -> ExecuteConfig:
    """A config that falls back and tells the tracker."""
    return ExecuteConfig(strategy="fallback", cooldown=tracker, logger=logger_with())


def stream_of(vendor: StreamVendor, client: Any, config: ExecuteConfig, *scripts: str) -> StreamResult[Any]:
    """Return what comes of a chain of providers whose streams go by these scripts."""
    chain = [NamedProvider(f"{number}", script) for number, script in enumerate(scripts, 1)]
    return execute_stream(chain, config, lambda provider: vendor.talks(client, provider.client))


def text_of(vendor: StreamVendor, items: Iterator[Any]) -> str:
    """Return the words in the items."""
    return " ".join(filter(None, map(vendor.text, items)))


@each_vendor
class TestBeforeTheFirstItem:
    """What fails there falls back."""

    @staticmethod
    def falls_back(
        vendor: StreamVendor, client: Any, config: ExecuteConfig, tracker: PermitTracker, script: str
    ) -> Exception:
        """Assert that the second provider answers; return the error of the first."""
        stream = stream_of(vendor, client, config, script, WELL)
        assert text_of(vendor, stream) == "word word"
        assert (stream.provider, stream.attempt_num, stream.outcome) == ("2", 2, Outcome.SUCCESS)
        assert tracker.outcomes() == [("failure", "1"), ("success", "2")]
        error = stream.attempts[0].error
        assert error is not None
        return error

    @pytest.mark.parametrize("script", STALLS.values(), ids=STALLS)
    def test_a_server_that_stalls(
        self,
        vendor: StreamVendor,
        client: Any,
        config: ExecuteConfig,
        tracker: PermitTracker,
        server: StreamServer,
        script: str,
    ) -> None:
        """The client's timeout, and the next provider; the server sees that nobody listens any more."""
        error = self.falls_back(vendor, client, config, tracker, script)
        assert isinstance(error, vendor.timeouts)
        assert server.hung_up.wait(PATIENCE)

    @pytest.mark.parametrize("script", BREAKS.values(), ids=BREAKS)
    def test_a_connection_that_breaks(
        self, vendor: StreamVendor, client: Any, config: ExecuteConfig, tracker: PermitTracker, script: str
    ) -> None:
        """The client's error, and the next provider."""
        assert isinstance(self.falls_back(vendor, client, config, tracker, script), vendor.breaks)

    def test_a_vendor_that_complains(
        self,
        vendor: StreamVendor,
        client: Any,
        config: ExecuteConfig,
        tracker: PermitTracker,
        server: StreamServer,
    ) -> None:
        """An error event comes with status 200, and is an error before the first item; nobody reads on."""
        error = self.falls_back(vendor, client, config, tracker, "head error wait")
        assert isinstance(error, vendor.complaints)
        assert COMPLAINT in str(error)
        assert server.hung_up.wait(PATIENCE)


@each_vendor
class TestMidStream:
    """What fails there is the client's own error, as it is."""

    @staticmethod
    def dies(
        vendor: StreamVendor,
        client: Any,
        config: ExecuteConfig,
        tracker: PermitTracker,
        server: StreamServer,
        script: str,
    ) -> Exception:
        """Assert that no second provider is called; return the error that the reader gets."""
        stream = stream_of(vendor, client, config, script, WELL)
        next(stream)
        server.goes_on.set()
        with pytest.raises(Exception) as caught:  # noqa: PT011  # each vendor has its own
            list(stream)
        assert stream.outcome is Outcome.FAILURE
        assert tracker.calls("failure") == [("failure", "1", caught.value)]
        assert tracker.outcomes() == [("failure", "1")]
        assert server.asked == [script]
        return caught.value

    def test_a_server_that_stalls(
        self,
        vendor: StreamVendor,
        client: Any,
        config: ExecuteConfig,
        tracker: PermitTracker,
        server: StreamServer,
    ) -> None:
        """The client's timeout; the server sees that nobody listens any more."""
        error = self.dies(vendor, client, config, tracker, server, WAITS)
        assert isinstance(error, vendor.timeouts)
        assert server.hung_up.wait(PATIENCE)

    @pytest.mark.parametrize("script", BREAKS_LATER.values(), ids=BREAKS_LATER)
    def test_a_connection_that_breaks(
        self,
        vendor: StreamVendor,
        client: Any,
        config: ExecuteConfig,
        tracker: PermitTracker,
        server: StreamServer,
        script: str,
    ) -> None:
        """The client's error."""
        assert isinstance(self.dies(vendor, client, config, tracker, server, script), vendor.breaks)

    def test_a_vendor_that_complains(
        self,
        vendor: StreamVendor,
        client: Any,
        config: ExecuteConfig,
        tracker: PermitTracker,
        server: StreamServer,
    ) -> None:
        """What the SDK, or the user's code, makes of an error event; nobody reads on."""
        error = self.dies(vendor, client, config, tracker, server, "head word error wait")
        assert isinstance(error, vendor.complaints)
        assert COMPLAINT in str(error)
        assert server.hung_up.wait(PATIENCE)


@each_vendor
class TestEnds:
    """Streams in which nothing goes wrong."""

    def test_well(
        self,
        vendor: StreamVendor,
        client: Any,
        config: ExecuteConfig,
        tracker: PermitTracker,
        server: StreamServer,
    ) -> None:
        """All words have come, and one request was made."""
        stream = stream_of(vendor, client, config, WELL, WELL)
        assert text_of(vendor, stream) == "word word"
        assert tracker.outcomes() == [("success", "1")]
        assert server.asked == [WELL]

    def test_by_being_closed(
        self,
        vendor: StreamVendor,
        client: Any,
        config: ExecuteConfig,
        tracker: PermitTracker,
        server: StreamServer,
    ) -> None:
        """The connection is closed, which the server sees, though the client lives on."""
        stream = stream_of(vendor, client, config, WAITS)
        next(stream)
        stream.close()
        assert server.hung_up.wait(PATIENCE)
        assert stream.outcome is Outcome.NEUTRAL
        assert tracker.outcomes() == [("release", "1")]

    def test_by_an_error_of_the_reader_s(
        self, vendor: StreamVendor, client: Any, config: ExecuteConfig, server: StreamServer
    ) -> None:
        """A `with` statement closes it whatever its block raises."""
        with pytest.raises(KeyError), stream_of(vendor, client, config, WAITS):
            raise KeyError
        assert server.hung_up.wait(PATIENCE)


class TestCutShort:
    """A stream that lacks its end, politely."""

    @pytest.fixture
    def vendor(self) -> StreamVendor:
        """The vendor whose client is wanted."""
        return OPENAI_CHAT

    def test_is_what_the_sdk_takes_it_for(
        self, vendor: StreamVendor, client: Any, config: ExecuteConfig, tracker: PermitTracker
    ) -> None:
        """The client misses no `[DONE]` where the response is complete: a success."""
        stream = stream_of(vendor, client, config, "head word finish")
        assert text_of(vendor, stream) == "word"
        assert tracker.outcomes() == [("success", "1")]


class TestAccept:
    """Error events that an SDK yields like any other."""

    @pytest.fixture
    def vendor(self) -> StreamVendor:
        """The vendor whose client is wanted."""
        return OPENAI_RESPONSES

    def test_rejects_them(self, client: Any, tracker: PermitTracker, server: StreamServer) -> None:
        """The first event of a stream of openai's Responses is judged, and the connection closed."""
        config = ExecuteConfig(
            strategy="fallback",
            cooldown=tracker,
            logger=logger_with(),
            accept=lambda event: event.type != "error",
        )
        chain = [NamedProvider("1", "head error wait"), NamedProvider("2", WELL)]
        stream = execute_stream(chain, config, lambda each: raw_responses(client, each.client))
        assert [event.type for event in stream] == [
            "response.created",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.completed",
        ]
        assert [line.outcome for line in stream.attempts] == [Outcome.REJECTED, Outcome.SUCCESS]
        assert server.hung_up.wait(PATIENCE)


class TestDropped:
    """Streams that nobody closes."""

    @pytest.fixture(params=[ANTHROPIC_TEXT, HTTPX], ids=lambda vendor: vendor.name)
    def vendor(self, request: pytest.FixtureRequest) -> Any:
        """Vendors that are read by a generator function."""
        return request.param

    def test_close_their_connection(
        self, vendor: StreamVendor, client: Any, config: ExecuteConfig, server: StreamServer
    ) -> None:
        """A generator that is dropped leaves its `with` statement."""
        stream = stream_of(vendor, client, config, WAITS)
        next(stream)
        del stream
        assert server.hung_up.wait(PATIENCE)


class TestRefusal:
    """What SDKs have that is no iterable."""

    @pytest.fixture
    def vendor(self) -> StreamVendor:
        """The vendor whose client is wanted."""
        return HTTPX

    def test_of_context_managers(self, client: Any, config: ExecuteConfig, server: StreamServer) -> None:
        """They are to be entered by a generator function: nothing was asked of the vendor yet."""
        with pytest.raises(InvalidConfigError, match="fn must return an iterable, not _GeneratorContextMan"):
            execute_stream(
                [NamedProvider("1", client)], config, lambda each: each.client.stream("POST", "/lines")
            )
        assert server.asked == []

    def test_of_asynchronous_clients(self, config: ExecuteConfig, server: StreamServer) -> None:
        """Their coroutine is closed; nothing was asked of the vendor yet."""
        client = openai.AsyncOpenAI(api_key="not-really-a-key", base_url=server.url)
        with pytest.raises(InvalidConfigError, match="fn must return an iterable, not coroutine"):
            execute_stream(
                [NamedProvider("1", client)],
                config,
                lambda each: each.client.chat.completions.create(model="any", messages=[], stream=True),  # type: ignore[arg-type,return-value]  # what is tested
            )
        assert server.asked == []

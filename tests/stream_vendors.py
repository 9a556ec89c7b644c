"""Vendors whose streams are read by their real SDKs, and a loopback server that streams as it is told to."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anthropic
import attrs
import httpx
import httpx2
import openai
import requests

from helpers import PATIENCE

API_KEY = "not-really-a-key"

#: Seconds after which a client gives up on a server that says nothing.
READ_TIMEOUT = 0.3

#: The header that says what is to happen.
SCRIPT = "x-script"

WELL = "head word word end"
WAITS = "head word wait"

#: What a vendor says in its stream when it cannot go on.
COMPLAINT = "overloaded"


def sse(data: object, *, named: bool = True) -> bytes:
    """Return a server-sent event, named for its type where the dialect names them."""
    name = f"event: {data['type']}\n" if named and isinstance(data, dict) and "type" in data else ""
    text = data if isinstance(data, str) else json.dumps(data)
    return f"{name}data: {text}\n\n".encode()


@attrs.frozen
class Dialect:
    """How a vendor writes a stream."""

    begins: bytes
    word: bytes
    error: bytes
    ends: bytes


_CHUNK = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "any"}
_MESSAGE: dict[str, object] = {
    "id": "1",
    "type": "message",
    "role": "assistant",
    "model": "any",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
_AT = {"item_id": "1", "output_index": 0, "content_index": 0, "sequence_number": 1, "logprobs": []}

DIALECTS = {
    "/chat/completions": Dialect(
        begins=b"",
        word=sse({**_CHUNK, "choices": [{"index": 0, "delta": {"content": "word"}, "finish_reason": None}]}),
        error=sse({"error": {"message": COMPLAINT, "type": "server_error", "param": None, "code": None}}),
        ends=sse("[DONE]"),
    ),
    "/responses": Dialect(
        begins=sse({"type": "response.created", "sequence_number": 0, "response": {"id": "1"}}),
        word=sse({"type": "response.output_text.delta", "delta": "word", **_AT}),
        error=sse({"type": "error", "code": "server_error", "message": COMPLAINT, "sequence_number": 1}),
        ends=sse({"type": "response.completed", "sequence_number": 2, "response": {"id": "1"}}),
    ),
    "/v1/messages": Dialect(
        begins=sse({"type": "message_start", "message": _MESSAGE})
        + sse({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        word=sse(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "word"}}
        ),
        error=sse({"type": "error", "error": {"type": "overloaded_error", "message": COMPLAINT}}),
        ends=sse({"type": "content_block_stop", "index": 0}) + sse({"type": "message_stop"}),
    ),
    "/lines": Dialect(begins=b"", word=b"word\n", error=f"error: {COMPLAINT}\n".encode(), ends=b""),
}

_LAST_CHUNK = b"0\r\n\r\n"


class StreamServer(ThreadingHTTPServer):
    """Serves one test.

    Attributes:
        hung_up: Set when a client has closed its connection while the server waited for it.
        goes_on: What the server waits for before it resets a connection: that the reader has its item.
        asked: The scripts of the requests, in order.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Streaming)
        self.hung_up = threading.Event()
        self.goes_on = threading.Event()
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


class _Streaming(BaseHTTPRequestHandler):
    """Does the steps of the script that the request names."""

    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    server: StreamServer

    def do_POST(self) -> None:
        self.close_connection = True
        self.rfile.read(int(self.headers["content-length"]))
        script = self.headers[SCRIPT]
        self.server.asked.append(script)
        self._pending = DIALECTS[self.path].begins
        for step in script.split():
            getattr(self, f"_{step}")()

    def _head(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def _send(self, event: bytes, after: bytes = b"") -> None:
        event = self._pending + event
        self._pending = b""
        chunk = b"%x\r\n%s\r\n" % (len(event), event) if event else b""
        self.wfile.write(chunk + after)

    def _word(self) -> None:
        self._send(DIALECTS[self.path].word)

    def _error(self) -> None:
        self._pending = b""  # a vendor that complains at once says nothing else before
        self._send(DIALECTS[self.path].error)

    def _end(self) -> None:
        # In one piece: a client that has seen the last event may hang up.
        self._send(DIALECTS[self.path].ends, after=_LAST_CHUNK)

    def _finish(self) -> None:
        self._send(b"", after=_LAST_CHUNK)

    def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):  # where nobody hangs up, the test says so
            try:
                received = self.connection.recv(1)
            except ConnectionResetError:
                received = b""
            if not received:
                self.server.hung_up.set()

    def _once_read(self) -> None:
        self.server.goes_on.wait(PATIENCE)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is given
        """Say nothing."""


@contextlib.contextmanager
def stream_server() -> Iterator[StreamServer]:
    """Serve on loopback."""
    with StreamServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class ComplaintError(Exception):
    """What code of the user's raises when it reads that the vendor cannot go on."""


@attrs.frozen
class StreamVendor:
    """A way to read a stream.

    Attributes:
        name: What it is called.
        opens: Given the server's URL, returns a client: a context manager.
        talks: Given the client and a script, returns the stream: what a user's `fn` would return.
        text: The text in one of its items, empty where there is none.
        timeouts: What it raises when the server says nothing for too long.
        breaks: What it raises when the connection breaks.
        complaints: What it raises when the vendor says that it cannot go on.
    """

    name: str
    opens: Callable[[str], contextlib.AbstractContextManager[Any]]
    talks: Callable[[Any, str], Iterable[Any]]
    text: Callable[[Any], str]
    timeouts: tuple[type[Exception], ...]
    breaks: tuple[type[Exception], ...]
    complaints: type[Exception]


def open_openai(url: str) -> openai.OpenAI:
    """Return a client that tries once."""
    timeout = openai.Timeout(PATIENCE, read=READ_TIMEOUT)
    return openai.OpenAI(api_key=API_KEY, base_url=url, max_retries=0, timeout=timeout)


def open_anthropic(url: str) -> anthropic.Anthropic:
    """Return a client that tries once."""
    timeout = anthropic.Timeout(PATIENCE, read=READ_TIMEOUT)
    return anthropic.Anthropic(api_key=API_KEY, base_url=url, max_retries=0, timeout=timeout)


def open_httpx(url: str) -> httpx.Client:
    """Return a client with the server as its base."""
    return httpx.Client(base_url=url, timeout=httpx.Timeout(PATIENCE, read=READ_TIMEOUT), trust_env=False)


@contextlib.contextmanager
def open_requests(url: str) -> Iterator[tuple[requests.Session, str]]:
    """Return a session, and the URL, as sessions know none."""
    with requests.Session() as session:
        session.trust_env = False
        yield session, url


def chat(client: openai.OpenAI, script: str) -> Iterable[Any]:
    """Return the SDK's stream as it is."""
    return client.chat.completions.create(
        model="any",
        messages=[{"role": "user", "content": "hello"}],
        stream=True,
        extra_headers={SCRIPT: script},
    )


def raw_responses(client: openai.OpenAI, script: str) -> Iterable[Any]:
    """Return the SDK's stream as it is: an error is one of its items."""
    return client.responses.create(model="any", input="hello", stream=True, extra_headers={SCRIPT: script})


def responses(client: openai.OpenAI, script: str) -> Iterator[str]:
    """Yield texts alone, and raise what the SDK yields as an error."""
    with contextlib.closing(raw_responses(client, script)) as events:  # type: ignore[type-var]  # it has a close()
        for event in events:
            if event.type == "error":
                raise ComplaintError(event.message)
            if event.type == "response.output_text.delta":
                yield event.delta


def messages(client: anthropic.Anthropic, script: str) -> Iterable[Any]:
    """Return the SDK's stream as it is."""
    return client.messages.create(
        model="any",
        max_tokens=1,
        messages=[{"role": "user", "content": "hello"}],
        stream=True,
        extra_headers={SCRIPT: script},
    )


def message_texts(client: anthropic.Anthropic, script: str) -> Iterator[str]:
    """Yield texts alone, by the SDK's own helper, which is no iterable but a context manager."""
    with client.messages.stream(
        model="any",
        max_tokens=1,
        messages=[{"role": "user", "content": "hello"}],
        extra_headers={SCRIPT: script},
    ) as stream:
        yield from stream.text_stream


def without_complaints(lines: Iterable[str | bytes]) -> Iterator[str]:
    """Yield the lines until one of them says that the vendor cannot go on."""
    for line in lines:
        text = line.decode() if isinstance(line, bytes) else line
        if text.startswith("error: "):
            raise ComplaintError(text)
        yield text


def httpx_lines(client: httpx.Client, script: str) -> Iterator[str]:
    """Yield lines while the response is open."""
    with client.stream("POST", "/lines", json={}, headers={SCRIPT: script}) as response:
        response.raise_for_status()
        yield from without_complaints(response.iter_lines())


def requests_lines(client: tuple[requests.Session, str], script: str) -> Iterator[str]:
    """Yield lines while the response is open."""
    session, url = client
    with session.post(
        f"{url}/lines",
        json={},
        headers={SCRIPT: script},
        stream=True,
        timeout=(PATIENCE, READ_TIMEOUT),
    ) as response:
        response.raise_for_status()
        yield from without_complaints(response.iter_lines())


OPENAI_CHAT = StreamVendor(
    "openai chat",
    open_openai,
    chat,
    lambda chunk: chunk.choices[0].delta.content,
    timeouts=(openai.APITimeoutError,),
    breaks=(openai.APIConnectionError,),
    complaints=openai.APIError,
)
OPENAI_RESPONSES = StreamVendor(
    "openai responses",
    open_openai,
    responses,
    str,
    timeouts=(openai.APITimeoutError,),
    breaks=(openai.APIConnectionError,),
    complaints=ComplaintError,
)
ANTHROPIC_EVENTS = StreamVendor(
    "anthropic events",
    open_anthropic,
    messages,
    lambda event: event.delta.text if event.type == "content_block_delta" else "",
    # Once the head is there, the errors are those of its HTTP client.
    timeouts=(anthropic.APITimeoutError, httpx2.TimeoutException),
    breaks=(anthropic.APIConnectionError, httpx2.TransportError),
    complaints=anthropic.APIStatusError,
)
ANTHROPIC_TEXT = StreamVendor(
    "anthropic text",
    open_anthropic,
    message_texts,
    str,
    timeouts=(anthropic.APITimeoutError, httpx2.TimeoutException),
    breaks=(anthropic.APIConnectionError, httpx2.TransportError),
    complaints=anthropic.APIStatusError,
)
HTTPX = StreamVendor(
    "httpx",
    open_httpx,
    httpx_lines,
    str,
    timeouts=(httpx.TimeoutException,),
    breaks=(httpx.TransportError,),
    complaints=ComplaintError,
)
REQUESTS = StreamVendor(
    "requests",
    open_requests,
    requests_lines,
    str,
    # Once the head is there, a timeout is a ConnectionError to requests.
    timeouts=(requests.Timeout, requests.ConnectionError),
    breaks=(requests.ConnectionError, requests.exceptions.ChunkedEncodingError),
    complaints=ComplaintError,
)

VENDORS = [OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC_EVENTS, ANTHROPIC_TEXT, HTTPX, REQUESTS]

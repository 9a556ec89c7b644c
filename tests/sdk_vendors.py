"""Vendors that are called with their real SDKs, and a loopback server that refuses them."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anthropic
import openai

from fallback_exec import AllProvidersFailedError, ExecuteConfig, NamedProvider, Strategy, execute

#: A path of the server's that answers nothing: it hangs up.
HANG_UP = "0"

#: What both SDKs send in a header.
API_KEY = "not-really-a-key"

_BODY = json.dumps({"error": {"type": "trouble", "message": "slow down"}}).encode()


class _Refusing(BaseHTTPRequestHandler):
    """Answers every request with the status that its path begins with."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        status = self.path.split("/")[1]
        if status == HANG_UP:
            self.close_connection = True
            return
        self.send_response(int(status))
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(_BODY)))
        self.end_headers()
        self.wfile.write(_BODY)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is given
        """Say nothing."""


@contextlib.contextmanager
def refusing_server() -> Iterator[str]:
    """Serve on loopback; the URL wants a path that begins with a status."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def ask_openai(url: str) -> object:
    """Ask for a completion, once."""
    with openai.OpenAI(api_key=API_KEY, base_url=url, max_retries=0) as client:
        return client.chat.completions.create(model="any", messages=[{"role": "user", "content": "hello"}])


def ask_anthropic(url: str) -> object:
    """Ask for a message, once."""
    with anthropic.Anthropic(api_key=API_KEY, base_url=url, max_retries=0) as client:
        return client.messages.create(
            model="any", max_tokens=1, messages=[{"role": "user", "content": "hello"}]
        )


CHAIN = [NamedProvider("openai", ask_openai), NamedProvider("anthropic", ask_anthropic)]


def failing_sdks(url: str) -> AllProvidersFailedError:
    """Return what comes of a chain of both vendors, which the server refuses."""
    logger = logging.Logger("quiet", logging.CRITICAL)  # noqa: LOG001
    config = ExecuteConfig(strategy=Strategy.FALLBACK, logger=logger)
    try:
        execute(CHAIN, config, lambda provider: provider.client(url))
    except AllProvidersFailedError as error:
        return error
    raise AssertionError("the server answered")


def raise_failing_sdks(url: str) -> None:
    """Do in a worker process what `failing_sdks()` does."""
    raise failing_sdks(url)

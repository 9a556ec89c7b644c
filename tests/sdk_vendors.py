"""Vendors that are called with their real SDKs, and a loopback server that refuses them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import anthropic
import openai

from fallback_exec import AllProvidersFailedError, ExecuteConfig, NamedProvider, Strategy, execute
from vendors.cases import CASES
from vendors.sdks import API_KEY
from vendors.server import serving

#: A path of the server's that answers nothing: it hangs up.
HANG_UP = "hang-up"


@contextlib.contextmanager
def refusing_server() -> Iterator[str]:
    """Serve on loopback; the URL wants a path that begins with a status, or with `HANG_UP`."""
    with serving(CASES) as vendor:
        yield vendor.url


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

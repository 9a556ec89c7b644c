"""How each SDK over HTTP is asked, once, with its own retries off, or as it comes."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

#: Where, which reply, and after how many seconds to give up: does one call, as a user does it.
Ask = Callable[[str, str, float], object]

#: Opens an SDK; with its retries as they come, or off.
Opener = Callable[[bool], contextlib.AbstractContextManager[Ask]]

API_KEY = "not-really-a-key"

_HELLO: list[Any] = [{"role": "user", "content": "hello"}]

_JSON = {"content-type": "application/json"}


def _at(url: str, name: str) -> str:
    return f"{url}/{quote(name)}"


@contextlib.contextmanager
def open_openai(retries: bool) -> Iterator[Ask]:  # one setting, named at each call's place
    """Ask for a completion."""
    import openai as sdk

    settings: dict[str, Any] = {} if retries else {"max_retries": 0}
    with sdk.OpenAI(api_key=API_KEY, **settings) as client:

        def ask(url: str, name: str, timeout: float) -> object:
            there = client.with_options(base_url=_at(url, name), timeout=timeout)
            return there.chat.completions.create(model="any", messages=_HELLO)

        yield ask


@contextlib.contextmanager
def open_anthropic(retries: bool) -> Iterator[Ask]:  # as above
    """Ask for a message."""
    import anthropic as sdk

    settings: dict[str, Any] = {} if retries else {"max_retries": 0}
    with sdk.Anthropic(api_key=API_KEY, **settings) as client:

        def ask(url: str, name: str, timeout: float) -> object:
            there = client.with_options(base_url=_at(url, name), timeout=timeout)
            return there.messages.create(model="any", max_tokens=1, messages=_HELLO)

        yield ask


@contextlib.contextmanager
def open_google_genai(retries: bool) -> Iterator[Ask]:  # as above
    """Ask for content. Its retries are off as it comes; on, they are those of `HttpRetryOptions()`."""
    from google import genai
    from google.genai import types

    options = types.HttpOptions(retry_options=types.HttpRetryOptions() if retries else None)
    client = genai.Client(api_key=API_KEY, http_options=options)
    with contextlib.closing(client):

        def ask(url: str, name: str, timeout: float) -> object:
            here = types.HttpOptions(base_url=_at(url, name), timeout=round(timeout * 1000))
            config = types.GenerateContentConfig(http_options=here)
            return client.models.generate_content(model="any", contents="hello", config=config)

        yield ask


@contextlib.contextmanager
def open_httpx(retries: bool) -> Iterator[Ask]:  # it has none
    """Post, and read the answer as JSON."""
    import httpx as library

    with library.Client() as client:

        def ask(url: str, name: str, timeout: float) -> object:
            response = client.post(_at(url, name), json=_HELLO, timeout=timeout)
            return response.raise_for_status().json()

        yield ask


@contextlib.contextmanager
def open_httpx2(retries: bool) -> Iterator[Ask]:  # it has none
    """Post, and read the answer as JSON."""
    import httpx2 as library

    with library.Client() as client:

        def ask(url: str, name: str, timeout: float) -> object:
            response = client.post(_at(url, name), json=_HELLO, timeout=timeout)
            return response.raise_for_status().json()

        yield ask


@contextlib.contextmanager
def open_requests(retries: bool) -> Iterator[Ask]:  # it has none
    """Post, and read the answer as JSON."""
    import requests as library

    with library.Session() as session:

        def ask(url: str, name: str, timeout: float) -> object:
            response = session.post(_at(url, name), json=_HELLO, timeout=timeout)
            response.raise_for_status()
            return response.json()

        yield ask


@contextlib.contextmanager
def open_urllib(retries: bool) -> Iterator[Ask]:  # it has none
    """Post, and read the answer as JSON."""

    def ask(url: str, name: str, timeout: float) -> object:
        request = urllib.request.Request(_at(url, name), json.dumps(_HELLO).encode(), _JSON)
        with contextlib.closing(urllib.request.urlopen(request, timeout=timeout)) as response:
            return json.load(response)

    yield ask


@contextlib.contextmanager
def open_urllib3(retries: bool) -> Iterator[Ask]:  # as above
    """Post, and read the answer as JSON, whatever its status is: urllib3 does not raise for one."""
    import urllib3 as library

    settings: dict[str, Any] = {} if retries else {"retries": False}
    with library.PoolManager(**settings) as pool:

        def ask(url: str, name: str, timeout: float) -> object:
            response = pool.request("PUT", _at(url, name), json=_HELLO, timeout=timeout)
            return response.json()

        yield ask


@contextlib.contextmanager
def open_boto3(retries: bool) -> Iterator[Ask]:  # as above
    """Ask Bedrock for a model's answer."""
    import boto3 as sdk
    from botocore.config import Config

    # Nothing of the machine's own configuration counts.
    os.environ.update(AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE=os.devnull)
    session = sdk.Session(API_KEY, API_KEY, region_name="us-east-1")
    settings: dict[str, Any] = {} if retries else {"retries": {"max_attempts": 0}}

    @functools.cache
    def client_for(url: str, timeout: float) -> Any:
        config = Config(connect_timeout=timeout, read_timeout=timeout, **settings)
        return session.client("bedrock-runtime", endpoint_url=url, config=config)

    def ask(url: str, name: str, timeout: float) -> object:
        answer: Any = client_for(url, timeout).invoke_model(modelId=name, body=json.dumps(_HELLO))
        return answer["body"].read()

    yield ask


@contextlib.contextmanager
def open_sendgrid(retries: bool) -> Iterator[Ask]:  # it has none
    """Send a mail."""
    import sendgrid as sdk

    def ask(url: str, name: str, timeout: float) -> object:
        api = sdk.SendGridAPIClient(API_KEY, host=_at(url, name))
        api.client.timeout = timeout
        return api.send({"subject": "hello"})

    yield ask


SDKS: dict[str, Opener] = {
    "openai": open_openai,
    "anthropic": open_anthropic,
    "google-genai": open_google_genai,
    "httpx": open_httpx,
    "httpx2": open_httpx2,
    "requests": open_requests,
    "urllib": open_urllib,
    "urllib3": open_urllib3,
    "boto3": open_boto3,
    "sendgrid": open_sendgrid,
}

"""The demo's providers: clients of the loopback vendors, made of the standard library."""

from __future__ import annotations

import contextlib
import http.client
import json

import attrs

from fallback_exec.demo.vendors import HOST


class VendorError(Exception):
    """A vendor answered with something else than 200.

    Args:
        status_code: The HTTP status.
        headers: The answer's headers.
    """

    def __init__(self, status_code: int, headers: http.client.HTTPMessage) -> None:
        super().__init__(status_code, headers)
        self.status_code = status_code
        self.headers = headers

    def __str__(self) -> str:
        reason = http.client.responses.get(self.status_code, "unknown status")
        return f"HTTP {self.status_code} {reason}"


@attrs.frozen
class VendorClient:
    """A provider that asks one vendor. A connection a request, so safe to share between threads.

    Attributes:
        name: The provider's name.
        port: The vendor's TCP port on 127.0.0.1.
    """

    name: str
    port: int

    def ask(self, prompt: str, *, timeout: float | None) -> str:
        """Send one request.

        Args:
            prompt: What to ask.
            timeout: Seconds that connecting, and each wait for data, may take; None waits for ever.

        Returns:
            The name of the vendor that says it answered.

        Raises:
            VendorError: The status is not 200.
            OSError: The connection was refused, reset or timed out.
        """
        body = json.dumps({"prompt": prompt})
        with contextlib.closing(http.client.HTTPConnection(HOST, self.port, timeout=timeout)) as connection:
            connection.request("POST", "/v1/generate", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            content = response.read()
        if response.status != http.HTTPStatus.OK:
            raise VendorError(response.status, response.headers)
        return str(json.loads(content)["vendor"])

"""The pictures of the status page in the docs: `tox run -e screenshots` draws them anew."""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest import mock

import httpx2
import openai
from flask import Flask
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory
from google.genai.errors import ServerError

from browser import chromium
from browser.chromium import DESKTOP, PHONE, Tab
from browser.hours import Hour, Outage
from browser.serving import Server
from fallback_exec.flask import FallbackExec

FOLDER = Path(__file__).parents[2] / "docs" / "images"


def _overloaded() -> Exception:
    return ServerError(503, {"error": {"message": "The model is overloaded", "status": "UNAVAILABLE"}})


def _over_quota() -> Exception:
    answer = httpx2.Response(429, request=httpx2.Request("POST", "https://grok.example/v1/images"))
    return openai.RateLimitError("Rate limit reached", response=answer, body=None)


#: Gemini is overloaded twice, the second time until now; grok runs into its quota; for a minute, laozhang,
#: which is always attempted, fails, too.
NIGHT = (
    Outage("gemini", 8, 16, _overloaded),
    Outage("grok", 12, 15, _over_quota),
    Outage("laozhang", 13, 14, lambda: ConnectionResetError("Connection reset by peer")),
    Outage("gemini", 41, 44, lambda: TimeoutError("The read operation timed out")),
    Outage("gemini", 55, 61, _overloaded),
)
#: Which screens there are pictures of: width and height, the scheme of colours, pixels a CSS pixel.
SCREENS = {
    "status-light": (DESKTOP, "light", 1.0),
    "status-dark": (DESKTOP, "dark", 1.0),
    "status-phone": (PHONE, "light", 2.0),
}


def main() -> None:
    """Let an hour go by, and take pictures of the page at its end."""
    with (
        tempfile.TemporaryDirectory() as profile,
        chromium.running(Path(profile)) as driver,
        freeze_time("2026-03-09 02:14:00") as clock,
        mock.patch("os.getpid", return_value=4711),
    ):
        assert isinstance(clock, FrozenDateTimeFactory)
        hour = Hour(clock, outages=NIGHT)
        hour.live(60)
        app = Flask(__name__)
        extension = FallbackExec(app, tracker=hour.tracker, recorder=hour.recorder)
        app.register_blueprint(extension.blueprint, url_prefix="/vendors")
        server = Server(app)
        try:
            for name, (size, scheme, scale) in SCREENS.items():
                tab = Tab(driver)
                tab.show(*size, scale=scale)
                tab.prefer(color_scheme=scheme, reduced_motion="reduce")
                # Nor does a second go by while the picture is taken.
                still = "performance.now = () => 0"
                tab.devtools("Page.addScriptToEvaluateOnNewDocument", source=still)
                tab.open(f"{server.url}/vendors/")
                (FOLDER / f"{name}.png").write_bytes(tab.picture())
                tab.close()
        finally:
            server.stop()


if __name__ == "__main__":
    main()

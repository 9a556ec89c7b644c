"""Headless Chromium from Debian's packages, and what tests ask of it.

It talks to loopback alone: nothing is downloaded for it, and it reports nothing to its makers.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.support.wait import WebDriverWait

from helpers import PATIENCE

T = TypeVar("T")

CHROMIUM = Path("/usr/bin/chromium")
CHROMEDRIVER = Path("/usr/bin/chromedriver")
DESKTOP = (1100, 800)  # width and height in CSS pixels
PHONE = (360, 740)

_MARKS = itertools.count(1)
_ARGUMENTS = (
    "--headless",
    "--no-sandbox",  # it has none where root runs it
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",  # which is small in containers
    # Nothing but the pages of the tests is asked for.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--hide-scrollbars",
)


def missing() -> str | None:
    """Return why there is no browser here, or None where there is one."""
    absent = [str(path) for path in (CHROMIUM, CHROMEDRIVER) if not path.is_file()]
    return f"needs Debian's chromium and chromium-driver: no {', '.join(absent)}" if absent else None


@contextlib.contextmanager
def running(profile: Path) -> Iterator[Chrome]:
    """Start Chromium with a profile of its own, an empty folder; end it."""
    # Selenium looks for drivers elsewhere, and counts its users, only where these do not stand.
    os.environ.update(SE_OFFLINE="true", SE_AVOID_STATS="true")
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in (*_ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options, ChromeService(str(CHROMEDRIVER)))
    browser: int = driver.capabilities["goog:processID"]
    with contextlib.ExitStack() as stack:
        stack.callback(_kill, browser)
        stack.callback(driver.quit)
        yield driver


def _kill(browser: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended, as it was told to
        os.kill(browser, signal.SIGKILL)


class Tab:
    """A tab of the browser, in which nothing is left of what other tests did.

    Attributes:
        driver: The browser, as Selenium drives it.
    """

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver
        self._home = driver.current_window_handle
        driver.switch_to.new_window("tab")
        for log in ("browser", "performance"):
            driver.get_log(log)
        self._console: list[str] = []
        self._requests: list[str] = []
        self.show(*DESKTOP)

    def close(self) -> None:
        """Close it."""
        self.driver.delete_all_cookies()
        self.driver.close()
        self.driver.switch_to.window(self._home)

    def open(self, url: str) -> None:
        """Load a page."""
        self.driver.get(url)

    def devtools(self, command: str, **parameters: object) -> dict[str, Any]:
        """Send a command of the Chrome DevTools Protocol; return its result."""
        result: dict[str, Any] = self.driver.execute_cdp_cmd(command, parameters)
        return result

    def run(self, script: str, *arguments: object) -> Any:
        """Run the body of a function in the page; return what it returns."""
        return self.driver.execute_script(script, *arguments)

    def run_async(self, script: str, *arguments: object) -> Any:
        """Run the body of a function whose last argument is a function to call at its end."""
        return self.driver.execute_async_script(script, *arguments)

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """Have nobody see the page until the end of the block."""
        self.driver.minimize_window()
        try:
            self.until(lambda: self.run("return document.hidden"), "the page is hidden")
            yield
        finally:
            self.driver.set_window_rect(0, 0, *DESKTOP)

    def show(self, width: int, height: int, *, scale: float = 1.0) -> None:
        """Be a screen of that size, in CSS pixels: a phone's where it is narrow."""
        self._width = width
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 500,
        )

    def prefer(self, **features: str) -> None:
        """Have the user's preferences be these: `color_scheme="dark"`, `reduced_motion="reduce"`."""
        told = [
            {"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in features.items()
        ]
        self.devtools("Emulation.setEmulatedMedia", features=told)

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the screen, to which it must not be shrunk."""
        pixels: int = self.run("return document.documentElement.scrollWidth - arguments[0]", self._width)
        return pixels

    def until(self, condition: Callable[[], T], what: str) -> T:
        """Wait until the condition holds, and return its value."""
        # An element that the page has replaced meanwhile is looked for again.
        replaced = [StaleElementReferenceException]
        waiting = WebDriverWait(self.driver, PATIENCE, 0.05, ignored_exceptions=replaced)
        try:
            return waiting.until(lambda _driver: condition())
        except TimeoutException:
            raise AssertionError(f"not within {PATIENCE} seconds: {what}") from None

    def console(self) -> list[str]:
        """Return what the browser has to complain of since the tab was opened, in the order of time.

        That is: errors of scripts and of requests, breaches of the content's policy, and what scripts print.
        """
        # The log is written a little later: what is printed now comes after all that happened.
        mark = f"mark {next(_MARKS)}"
        self.run("console.info(arguments[0])", mark)

        def has_mark() -> bool:
            told = [f"{entry['level']} {entry['message']}" for entry in self.driver.get_log("browser")]
            self._console.extend(line for line in told if mark not in line)
            return any(mark in line for line in told)

        self.until(has_mark, "what was printed stands in the log")
        return self._console

    def violations(self) -> list[str]:
        """Return what axe-core finds that keeps people from using the page, with the elements that do."""
        from axe_selenium_python import Axe

        axe = Axe(self.driver)
        axe.inject()
        return [
            f"{found['id']}: {found['help']}: {node['html']}: {node['failureSummary']}"
            for found in axe.run()["violations"]
            for node in found["nodes"]
        ]

    def requests(self) -> list[str]:
        """Return the URLs of all requests since the tab was opened, in the order of time."""
        self.console()  # the logs are written until now
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self._requests.append(message["params"]["request"]["url"])
        return self._requests

    def picture(self) -> bytes:
        """Return the whole page as a PNG, also what is below the screen."""
        size = self.devtools("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(shot["data"])

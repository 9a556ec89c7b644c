"""The status page as its users see it: in a real browser, of a real server, with real executions.

Each test ends with a look at what the browser has to complain of, and at whom the page has asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from flask import Flask, Response, redirect
from freezegun.api import FrozenDateTimeFactory
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from browser.chromium import DESKTOP, PHONE, Tab
from browser.hours import Hour, Outage
from browser.serving import Server
from fallback_exec.flask import FallbackExec
from helpers import VendorError

TRIO = ("gemini", "grok", "laozhang")
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></style></script><svg onload=alert(1)>",
    "{{ 7 * 7 }}",
    "javascript:alert(1)",
    "x" * 1000,
    "a name of many words " * 20,
    "\u202egnp.exe",
)
SMALLEST = (320, 568)
#: What is on the cards, in their order.
_CARDS = """
    const text = (element) => element === null ? null : element.textContent.trim().replace(/\\s+/g, " ");
    return [...document.querySelectorAll(".card")].map((card) => ({
        name: card.querySelector("h2").textContent,
        state: text(card.querySelector(".state strong")),
        countdown: text(card.querySelector(".countdown")),
        facts: Object.fromEntries([...card.querySelectorAll("dl div")].map(
            (fact) => [text(fact.querySelector("dt")), text(fact.querySelector("dd"))])),
    }))
"""


class Page:
    """The status page in a tab, of an app that lives by the clock of the test."""

    def __init__(self, tab: Tab, hour: Hour, server: Server) -> None:
        self.tab = tab
        self.hour = hour
        self.server = server
        self.url = f"{server.url}/vendors/"
        #: What the browser may complain of, as the test has seen to it.
        self.forgiven: str | None = None

    def open(self) -> None:
        """Load it."""
        self.tab.open(self.url)

    def cards(self) -> list[dict[str, Any]]:
        """Return what is shown of the providers, in order."""
        cards: list[dict[str, Any]] = self.tab.run(_CARDS)
        return cards

    def card(self, name: str) -> dict[str, Any]:
        """Return what is shown of one provider."""
        (card,) = (card for card in self.cards() if card["name"] == name)
        return card

    def state(self, name: str) -> str:
        """Return the state that is shown."""
        state: str = self.card(name)["state"]
        return state

    def seconds(self, name: str) -> int:
        """Return the remaining cooldown that is shown, less than a minute."""
        return int(self.card(name)["countdown"].removesuffix(" s"))

    def button(self, label: str) -> WebElement:
        """Return the button that is called so."""
        return self.tab.driver.find_element(By.CSS_SELECTOR, f'button[aria-label="{label}"]')

    def until_state(self, name: str, state: str) -> None:
        """Wait until that state is shown."""
        self.tab.until(lambda: self.state(name) == state, f"{name} is shown as {state}")

    def gist(self) -> str:
        """Return what is said of the last hour in a few words."""
        return str(self.tab.driver.find_element(By.CLASS_NAME, "gist").text)

    def away(self) -> str:
        """Return what is said when the server does not answer."""
        return str(self.tab.run('return document.getElementById("away").textContent'))


Opens = Callable[..., Page]


@pytest.fixture
def opens(tab: Tab, clock: FrozenDateTimeFactory) -> Iterator[Opens]:
    """Serves an app with a chain of vendors, and opens its page.

    At the end, the browser may have complained of nothing, and the page may have asked nobody but its server.
    """
    with ExitStack() as stack:
        pages: list[Page] = []

        def open_page(
            names: tuple[str, ...] = TRIO,
            outages: tuple[Outage, ...] = (),
            *,
            minutes: float = 0,
            controls: bool = False,
            is_hasty: bool = False,
        ) -> Page:
            hour = Hour(clock, names, outages)
            hour.live(minutes)
            if is_hasty:
                hour.hurry()
            app = Flask(__name__)
            app.secret_key = "a secret"
            extension = FallbackExec(
                app, tracker=hour.tracker, recorder=hour.recorder, providers=names, controls=controls
            )
            app.register_blueprint(extension.blueprint, url_prefix="/vendors")
            server = Server(app)
            stack.callback(server.stop)
            page = Page(tab, hour, server)
            page.open()
            pages.append(page)
            return page

        yield open_page
        for page in pages:
            forgiven = page.forgiven
            assert [line for line in tab.console() if forgiven is None or forgiven not in line] == []
            foreign = [url for url in tab.requests() if not url.startswith((page.url, "data:"))]
            assert foreign == []


class TestLoading:
    """What is there once the page is."""

    def test_shows_each_provider_in_order(self, opens: Opens) -> None:
        """The chain's order is that of the cards and of the lanes."""
        page = opens(minutes=1)
        lanes = page.tab.run('return [...document.querySelectorAll(".lane .name")].map((e) => e.textContent)')
        assert [card["name"] for card in page.cards()] == list(TRIO)
        assert lanes == [name for name in TRIO if name in lanes]
        assert "gemini" in lanes

    def test_tells_how_it_stands(self, opens: Opens) -> None:
        """A provider that cools down is shown with its state, failures and error; and so is who stands in."""
        page = opens(outages=(Outage("gemini", 1, 3, lambda: VendorError("down")),), minutes=2)
        status = page.hour.tracker.snapshot()["gemini"]
        assert status.state == "open"
        card = page.card("gemini")
        assert card["state"] == "open"
        assert card["facts"]["Failures in a row"] == str(status.failures)
        assert card["facts"]["Last error, 00:01"] == "helpers.VendorError"
        assert page.card("grok")["state"] == "closed"
        assert page.gist().startswith("grok answered last, at 00:0")


class TestCountdown:
    """The seconds that are left."""

    def test_counts_down(self, opens: Opens) -> None:
        """It goes down by itself, while the server's clock stands still."""
        page = opens()
        page.hour.tracker.cool_down("gemini", 50)
        page.open()
        first = page.seconds("gemini")
        assert first <= 50
        page.tab.until(lambda: page.seconds("gemini") < first, "fewer seconds")

    def test_ends_half_open(self, opens: Opens) -> None:
        """When no second is left, the page asks, and learns that the next call is a probe."""
        page = opens()
        page.hour.tracker.cool_down("gemini", 1.5)
        page.open()
        assert page.state("gemini") == "open"
        page.hour.pass_by(1.5)
        page.until_state("gemini", "half-open")
        assert page.card("gemini")["countdown"] is None


class TestUpdates:
    """The page changes without being loaded again."""

    def test_follows_a_provider(self, opens: Opens) -> None:
        """A provider fails, cools and comes back: each is shown, and what the reader did there stays."""
        page = opens(minutes=1, controls=True, is_hasty=True)
        page.tab.run("window.isStillThere = true")
        page.tab.run('document.querySelector("details").open = true')
        page.tab.run('document.querySelector(".card button").focus()')
        focused = page.tab.run("return document.activeElement.id")

        page.hour.failing["gemini"] = VendorError("down")
        for _ in range(3):
            page.hour.call()
        page.until_state("gemini", "open")
        assert page.card("gemini")["facts"]["Failures in a row"] == "3"

        del page.hour.failing["gemini"]
        page.hour.pass_by(90)
        page.hour.hurry()
        page.hour.call()
        page.until_state("gemini", "closed")
        assert page.tab.run("return window.isStillThere")
        assert page.tab.run('return document.querySelector("details").open')
        assert focused == page.tab.run("return document.activeElement.id") != ""

    def test_says_that_the_server_is_away(self, opens: Opens) -> None:
        """What is shown then is old, and the page says so, until the server is back."""
        page = opens(is_hasty=True)
        assert page.away() == ""
        page.server.stop()
        page.tab.until(page.away, "the page says that the server is away")
        assert "does not answer" in page.away()
        page.hour.tracker.cool_down("gemini", 60)
        page.server.start()
        page.until_state("gemini", "open")
        assert page.away() == ""
        # Of each request that was refused, the browser itself complains.
        page.forgiven = "net::ERR_CONNECTION_"

    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            (Response("operators only", 401), "answers 401"),
            (redirect("/vendors/login"), "sends you elsewhere, to log in perhaps"),
            (Response("<h1>Maintenance</h1>"), "answers with another page"),
        ],
        ids=["refused", "redirected", "replaced"],
    )
    def test_says_how_the_server_refuses(self, opens: Opens, answer: Response, told: str) -> None:
        """A login that is over is no server that is away; what is shown is as old."""
        page = opens(is_hasty=True)
        page.server.stop()
        page.server.app = answer
        page.server.start()
        page.tab.until(page.away, "the page says that it cannot be renewed")
        assert page.away().startswith(f"The server {told}. What you see is of ")
        # Of a refusal, the browser itself complains.
        page.forgiven = "the server responded with a status of 401"

    def test_rests_while_nobody_looks(self, opens: Opens) -> None:
        """A page in the background asks for nothing; at the next look it asks at once."""
        page = opens()
        page.hour.tracker.cool_down("gemini", 0.5)  # so that it would ask within about a second
        page.open()
        with page.tab.hidden():
            asked = len(page.tab.requests())
            # Timers come in the order in which they are due: one of the page's, if any, before this one.
            page.tab.run_async("setTimeout(arguments[0], 1500)")
            assert len(page.tab.requests()) == asked
            page.hour.pass_by(0.5)
        page.until_state("gemini", "half-open")


class TestScreens:
    """Whatever the screen and whatever providers call themselves, the page can be read."""

    @pytest.mark.parametrize("screen", [SMALLEST, PHONE, DESKTOP])
    @pytest.mark.parametrize(
        "names",
        [TRIO, HOSTILE, tuple(f"vendor-{number}.example.com" for number in range(30))],
        ids=["three", "hostile", "thirty"],
    )
    def test_does_not_scroll_sideways(
        self, opens: Opens, names: tuple[str, ...], screen: tuple[int, int]
    ) -> None:
        """Nothing is wider than the screen: of cards, buttons, lanes, and the table."""
        page = opens(names, (Outage(names[0], 1, 5, lambda: VendorError("down")),), minutes=2, controls=True)
        page.tab.run('document.querySelector("details").open = true')
        page.tab.show(*screen)
        assert page.tab.overflow() == 0
        assert len(page.cards()) == len(names)

    def test_takes_large_text(self, opens: Opens) -> None:
        """For who reads text twice as large, it is not too wide either."""
        page = opens(outages=(Outage("gemini", 1, 5, lambda: VendorError("down")),), minutes=2, controls=True)
        page.tab.run('document.documentElement.style.fontSize = "200%"')
        for screen in (PHONE, SMALLEST):
            page.tab.show(*screen)
            assert page.tab.overflow() == 0

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_follows_the_scheme(self, opens: Opens, scheme: str) -> None:
        """A page is dark for who likes it dark."""
        page = opens()
        page.tab.prefer(color_scheme=scheme)
        red = page.tab.run("return getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
        assert (int(red) < 128) == (scheme == "dark")

    def test_moves_nothing(self, opens: Opens) -> None:
        """For who asked for little motion, nothing moves."""
        page = opens(controls=True, is_hasty=True)
        page.tab.prefer(reduced_motion="reduce")
        page.hour.tracker.cool_down("gemini", 60)
        page.until_state("gemini", "open")
        assert page.tab.run("return document.getAnimations().length") == 0


class TestAccessibility:
    """What axe-core finds."""

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("screen", [PHONE, DESKTOP])
    @pytest.mark.parametrize("names", [TRIO, HOSTILE], ids=["three", "hostile"])
    def test_has_no_violation(
        self, opens: Opens, names: tuple[str, ...], screen: tuple[int, int], scheme: str
    ) -> None:
        """With all that can be on it: each state, buttons, the table."""
        page = opens(names, (Outage(names[0], 1, 5, lambda: VendorError("down")),), minutes=2, controls=True)
        page.hour.tracker.breaker(names[1]).half_open()
        page.tab.show(*screen)
        page.tab.prefer(color_scheme=scheme)
        page.open()
        page.tab.run('document.querySelector("details").open = true')
        assert {card["state"] for card in page.cards()} == {"open", "half-open", "closed"}
        assert page.tab.violations() == []

    def test_has_none_without_providers(self, opens: Opens) -> None:
        """A page on which there is little yet."""
        assert opens(()).tab.violations() == []


class TestHostileNames:
    """Providers may call themselves anything."""

    def test_are_shown_as_text(self, opens: Opens) -> None:
        """A name is on its card as it is; nothing of it is an element, and nothing of it runs."""
        page = opens(
            HOSTILE, (Outage(HOSTILE[0], 1, 5, lambda: VendorError("down")),), minutes=2, is_hasty=True
        )
        page.hour.tracker.cool_down(HOSTILE[1], 30)
        page.until_state(HOSTILE[1], "open")  # also as the script puts them there
        # Of what a reader could not see, or could be misled by, there is a text that says it.
        shown = [name.replace("\u202e", "\\u202e") for name in HOSTILE]
        assert [card["name"] for card in page.cards()] == shown
        assert page.tab.run('return document.querySelectorAll("img, svg[onload]").length') == 0
        assert page.tab.run("return document.scripts.length") == 1


class TestControls:
    """The buttons that cool a provider down and reset it."""

    def test_are_not_there_unasked(self, opens: Opens) -> None:
        """There is nothing to press where the user did not ask for it."""
        page = opens()
        assert page.tab.run('return document.querySelectorAll("button, form").length') == 0

    def test_work_by_mouse(self, opens: Opens) -> None:
        """A click on a provider's button is about that provider."""
        page = opens(controls=True)
        page.button("Cool down grok").click()
        page.until_state("grok", "open")
        assert page.hour.tracker.snapshot()["grok"].state == "open"
        assert [card["state"] for card in page.cards()] == ["closed", "open", "closed"]
        page.button("Reset grok").click()
        page.until_state("grok", "closed")
        assert page.hour.tracker.snapshot()["grok"].state == "closed"

    def test_work_by_keyboard(self, opens: Opens) -> None:
        """From the top of the page, the first two stops are the first provider's buttons, and can be seen."""
        page = opens(controls=True)
        for stop, key, state in (1, Keys.ENTER, "open"), (2, Keys.SPACE, "closed"):
            page.open()
            ActionChains(page.tab.driver).send_keys(*[Keys.TAB] * stop).perform()
            outline = "return getComputedStyle(document.activeElement).outlineStyle"
            assert page.tab.run(outline) == "solid"
            ActionChains(page.tab.driver).send_keys(key).perform()
            page.until_state("gemini", state)
            assert page.hour.tracker.snapshot()["gemini"].state == state

    def test_work_without_scripts(self, opens: Opens) -> None:
        """Buttons are those of forms; and a page without scripts says when it loads itself again."""
        page = opens(controls=True)
        page.tab.devtools("Emulation.setScriptExecutionDisabled", value=True)
        page.open()
        page.button("Cool down gemini").click()
        page.until_state("gemini", "open")
        assert page.tab.run('return document.querySelector("meta[http-equiv=refresh]").content') == "10"

    def test_work_after_an_update(self, opens: Opens) -> None:
        """The buttons that the script has put there are as good as the first ones."""
        page = opens(controls=True, is_hasty=True)
        page.hour.tracker.cool_down("gemini", 60)
        page.until_state("gemini", "open")
        page.button("Reset gemini").click()
        page.until_state("gemini", "closed")

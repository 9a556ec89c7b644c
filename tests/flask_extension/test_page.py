"""The status page."""

from __future__ import annotations

import datetime as dt
import os
import re
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from werkzeug.middleware.proxy_fix import ProxyFix

from fallback_exec import BreakerCooldownTracker
from fallback_exec._text import name_text
from fallback_exec.events import AttemptFailed, Event
from fallback_exec.recorder import Recorder
from fallback_exec.results import Outcome
from fallback_exec.shared import InMemoryCooldownStore
from flask_sites import Element, Site, read, site
from helpers import Vendor, VendorError

HOSTILE = [
    '<script>alert("x")</script>',
    "\"><img src=x onerror=alert('x')>",
    "' onmouseover='alert(1)",
    "</title></svg></style><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "]]><!--",
    "&lt;b&gt;&quot;",
    "javascript:alert(1)",
    "line\nbreak\u202eesrever\x00",
    "\ud800 alone",
]


def page_of(tried: Site, path: str = "/providers/") -> Element:
    """Return the page, which must be one."""
    answer = tried.get(path)
    assert answer.status_code == 200
    assert answer.content_type == "text/html; charset=utf-8"
    return read(answer)


def facts(card: Element) -> dict[str, str]:
    """Return what a card says of a provider, by its labels without the hours in them."""
    return {line.one("dt").text.partition(",")[0]: line.one("dd").text for line in card.one("dl").all("div")}


def states(page: Element) -> dict[str, str]:
    """Return the line about the state of each provider, by its name."""
    return {card.one("h2").text: card.one("p", class_="state").text for card in page.all("li", class_="card")}


def shapes(page: Element, class_: str) -> list[str]:
    """Return which shapes stand in the paragraphs of a class."""
    return [found.one("use").attributes["href"] for found in page.all("p", class_=class_)]


class TestStates:
    """What the tracker knows."""

    def test_of_each_provider(self, clock: FrozenDateTimeFactory) -> None:
        """In words and by a shape: the settings' first, then whom the tracker has met."""
        tried = site(providers=["laozhang", "probing"])
        tried.open("probing", "due")
        clock.tick(10)
        tried.open("cooling")
        clock.tick(20)
        probe = tried.tracker.acquire("probing")
        page = page_of(tried)
        assert list(states(page).items()) == [
            ("laozhang", "closed: exempt, always called"),
            ("probing", "half-open: a probe is under way"),
            ("due", "half-open: its next call is a probe"),
            ("cooling", "open: cooling down for 10 s"),
        ]
        assert shapes(page, "state") == [
            f"#shape-{state}" for state in ("closed", *["half-open"] * 2, "open")
        ]
        del probe

    @pytest.mark.parametrize(
        ("opened", "headline", "shape"),
        [
            ([], "All providers are called as usual", "#shape-closed"),
            (["grok"], "1 of 2 providers are called as usual", "#shape-warning"),
            (["grok", "gemini"], "No provider is callable", "#shape-open"),
        ],
    )
    def test_in_one_line(self, opened: list[str], headline: str, shape: str) -> None:
        """The headline is the title of the window, too, and where the script finds it."""
        tried = site(providers=["grok", "gemini"])
        tried.open(*opened)
        page = page_of(tried)
        assert page.one("p", class_="headline").text == headline
        assert page.one("head").one("title").text == headline
        assert page.one("div", id="state").attributes["data-headline"] == headline
        assert shapes(page, "headline") == [shape]

    def test_of_nobody(self) -> None:
        """Before the first call there is nothing to show, and the page says so."""
        page = page_of(site())
        assert page.one("p", class_="headline").text == "No provider is known yet"
        assert page.all("ul") == []
        assert page.one("p", class_="nothing").text.startswith("Nothing was recorded since ")

    def test_has_shapes_for_all_of_them(self) -> None:
        """Whatever is referred to is defined in the page."""
        page = page_of(site())
        defined = {each.attributes["id"] for each in page.all("symbol")}
        assert defined == {f"shape-{name}" for name in ("closed", "open", "half-open", "warning", "unknown")}


class TestCard:
    """What is told of a provider."""

    def test_has_the_figures(self, clock: FrozenDateTimeFactory) -> None:
        """Failures in a row, cooldowns, the last error's type, and the share of the answers."""
        tried = site("grok", "gemini")
        for _ in range(3):
            tried.answer(grok="an answer", gemini="never asked")
        for _ in range(2):
            tried.answer(grok=VendorError("a secret"), gemini="an answer")
        page = page_of(tried)
        grok, gemini = map(facts, page.all("li", class_="card"))
        assert grok == {
            "Failures in a row": "2",
            "Cooldowns so far": "1",
            "Last error": "helpers.VendorError",
            "Share of answers": "60 % (3)",
        }
        assert gemini == {
            "Failures in a row": "0",
            "Cooldowns so far": "0",
            "Last error": "none",
            "Share of answers": "40 % (2)",
        }
        widths = [
            card.one("rect", class_="bar").attributes["width"] for card in page.all("li", class_="card")
        ]
        assert widths == ["60.0", "40.0"]

    def test_has_no_share_where_there_are_no_answers(self) -> None:
        """Nothing is not 0 %."""
        (card,) = page_of(site(providers=["grok"])).all("li", class_="card")
        assert facts(card)["Share of answers"] == "none"
        assert card.one("rect", class_="bar").attributes["width"] == "0.0"

    @pytest.mark.parametrize(
        ("error", "shown"),
        [
            (VendorError("a secret"), "helpers.VendorError"),
            (ConnectionError("a secret"), "ConnectionError"),
            (type("line\nbreak", (Exception,), {"__module__": "vendor"})(), "vendor.line\\nbreak"),
        ],
        ids=["a class", "a builtin", "a forged name"],
    )
    def test_tells_the_type_of_the_last_error_and_no_more(self, error: Exception, shown: str) -> None:
        """Its text may tell what an operator's screen should not."""
        tried = site("grok", "gemini")
        tried.answer(grok=KeyError("a secret"), gemini="an answer")
        tried.answer(grok=error, gemini="an answer")
        page = page_of(tried)
        assert facts(page.all("li", class_="card")[0])["Last error"] == shown
        assert "secret" not in tried.get("/providers/").text

    def test_takes_errors_of_a_recorder_that_keeps_them_whole(self) -> None:
        """A recorder of the user's may keep other objects."""

        class Whole(Recorder):
            def events(self) -> list[Event]:
                return [
                    AttemptFailed(
                        execution_id="0" * 32,
                        time=dt.datetime.now(dt.UTC),
                        provider="grok",
                        attempt_num=1,
                        latency=0.1,
                        error=VendorError("a secret"),
                        outcome=Outcome.FAILURE,
                        was_terminus=False,
                        cooldown_remaining=None,
                    )
                ]

        (card,) = page_of(site(recorder=Whole(), providers=["grok"])).all("li", class_="card")
        assert facts(card)["Last error"] == "VendorError"

    @pytest.mark.parametrize(
        ("seconds", "shown"),
        [
            (0.2, "1 s"),
            (59, "59 s"),
            (59.2, "1 min 00 s"),
            (3599, "59 min 59 s"),
            (3600, "1 h 00 min"),
            (7384, "2 h 03 min"),
            (90000, "25 h 00 min"),
        ],
    )
    def test_counts_in_units_of_people(
        self, clock: FrozenDateTimeFactory, seconds: float, shown: str
    ) -> None:
        """Seconds, minutes or hours, rounded up; the script has the exact figure of the server's clock."""
        tried = site()
        tried.tracker.cool_down("grok", seconds)
        countdown = page_of(tried).one("span", class_="countdown")
        assert countdown.text == shown
        assert countdown.attributes["data-remaining"] == f"{seconds:.3f}"

    def test_is_there_for_whom_only_the_recorder_knows(self) -> None:
        """Under the strategies that ask no tracker, say: what it does not know is not called closed."""
        tried = site("grok", controls=True)
        tried.answer(grok="an answer")
        page = page_of(Site(tried.app, tried.ext, tried.tracker, []))
        assert states(page) == {"grok": "closed: called as usual"}
        other = site(recorder=tried.ext.recorder, controls=True)
        page = page_of(other)
        assert states(page) == {"grok": "unknown: the tracker has not met it"}
        assert page.all("form") == []

    def test_all_names_fit(self) -> None:
        """A long name is there as a whole; how it wraps is up to the style."""
        name = "n" * 1000
        assert list(states(page_of(site(providers=[name])))) == [name]


class TestScope:
    """For whom the page speaks."""

    def test_is_one_worker(self) -> None:
        """By default cooldowns are a process's own."""
        told = page_of(site()).one("p", class_="scope")
        assert told.one("strong").text == "This speaks for one worker process only"
        assert f"(pid {os.getpid()})" in told.text

    def test_is_all_of_them_with_a_store(self) -> None:
        """The states are everybody's, and the rest is this worker's."""
        shared = BreakerCooldownTracker(shared=InMemoryCooldownStore())
        told = page_of(site(tracker=shared)).one("p", class_="scope")
        assert told.one("strong").text == "States are those of all processes"
        assert "Shares, errors and the timeline are of this worker alone." in told.text

    def test_has_a_time(self, clock: FrozenDateTimeFactory) -> None:
        """The server's, in UTC."""
        page = page_of(site())
        assert page.one("time").attributes["datetime"] == "2026-01-01T00:00:00+00:00"
        assert page.one("time").text == "00:00:00 UTC"
        assert page.one("div", id="state").attributes["data-at"] == "00:00:00"


class TestTimeline:
    """What happened in the last hour."""

    def test_shows_who_served_who_cooled_and_where_it_fell_back(self, clock: FrozenDateTimeFactory) -> None:
        """A lane each, in the order of the cards; in the drawing, in its name, and in a table."""
        tried = site("grok", "gemini", providers=["grok", "gemini"])
        for _ in range(2):
            tried.answer(grok=VendorError("down"), gemini="an answer")
        clock.tick(40)
        tried.answer(grok="an answer")
        page = page_of(tried)
        grok, gemini = page.all("figure")
        assert grok.one("svg").attributes["role"] == "img"
        assert grok.one("svg").attributes["aria-label"] == "grok: 1 answer, 2 failures, 1 cooldown"
        assert grok.one("figcaption").text == "grok 1 answer, 2 failures, 1 cooldown"
        assert [each.text for each in grok.all("title")] == [
            "00:00:00 to 00:00:30: cooling down",
            "23:59 to 00:00: 1 answer, 2 failures",
        ]
        assert [len(grok.all("rect", class_=name)) for name in ("hatched", "answers", "failures")] == [
            1,
            1,
            1,
        ]
        assert grok.all("path", class_="stand-in") == []
        places = {
            name: [
                grok.one("rect", class_=name).attributes.get(side) for side in ("x", "y", "width", "height")
            ]
            for name in ("hatched", "answers", "failures")
        }
        assert places == {
            "hatched": ["712.0", None, "6.0", "48"],
            "answers": ["709.0", "22.0", "10.0", "10.0"],
            "failures": ["709.0", "32", "10.0", "14.0"],
        }
        assert gemini.one("title").text == "23:59 to 00:00: 2 answers (2 in place of another)"
        assert len(gemini.all("path", class_="stand-in")) == 1
        rows = [
            [cell.text for cell in row if cell.tag in {"th", "td"}] for row in page.one("table").all("tr")
        ]
        assert rows == [
            ["When", "Answers", "In place of another", "Failures", "Skips", "Cooling"],
            ["grok"],
            ["23:55 to 00:00", "1", "0", "2", "0", "yes"],
            ["gemini"],
            ["23:55 to 00:00", "2", "2", "0", "0", "no"],
        ]

    def test_has_hours_and_a_legend(self, clock: FrozenDateTimeFactory) -> None:
        """Every sign that is drawn is explained."""
        tried = site("grok")
        tried.answer(grok="an answer")
        page = page_of(tried)
        assert page.one("p", class_="hours").text == "23:0023:1523:3023:45now"
        assert [each.text for each in page.one("ul", class_="legend").all("li")] == [
            "answers, upwards",
            "failures, downwards",
            "cooling down",
            "answered in place of another",
        ]

    def test_forgets(self, clock: FrozenDateTimeFactory) -> None:
        """After an hour, nothing is left of an hour ago."""
        tried = site("grok")
        tried.answer(grok="an answer")
        clock.tick(3601)
        assert page_of(tried).all("figure") == []

    def test_has_the_lanes_in_the_order_of_the_cards(self, clock: FrozenDateTimeFactory) -> None:
        """And not in the order in which they were first called."""
        tried = site("grok", "gemini", providers=["gemini"])
        tried.answer(grok=VendorError("down"), gemini="an answer")
        page = page_of(tried)
        assert list(states(page)) == ["gemini", "grok"]
        assert [each.one("span", class_="name").text for each in page.all("figure")] == ["gemini", "grok"]

    def test_has_one_lane_for_the_rest_of_many(self) -> None:
        """All have a card; fifty have a lane."""
        names = [f"vendor {number}" for number in range(60)]
        tried = site(*names)
        for name in names:
            Site(tried.app, tried.ext, tried.tracker, [Vendor(name)]).answer(**{name: "an answer"})
        page = page_of(tried)
        assert len(page.all("li", class_="card")) == 60
        lanes = [each.one("span", class_="name").text for each in page.all("figure")]
        assert lanes == [*names[:50], "other providers"]


class TestSafety:
    """What providers call themselves."""

    @pytest.mark.parametrize("name", HOSTILE)
    def test_is_text_wherever_it_stands(self, name: str) -> None:
        """The page has the same elements and attributes as that of a harmless name."""
        pages = []
        for each in (name, "harmless"):
            tried = site(each, each, controls=True)
            tried.answer(**{each: "an answer"})
            tried.open(each)
            pages.append(page_of(tried))
        hostile, harmless = ([(each.tag, sorted(each.attributes)) for each in page] for page in pages)
        assert hostile == harmless
        assert pages[0].all("h2")[0].text == " ".join(name_text(name).split())

    def test_has_no_credentials(self) -> None:
        """A name may be a URL: what is shown of it is masked, and what forms send is not the name."""
        tried = site("https://me:pa55word@one.test/", controls=True)
        tried.answer(**{"https://me:pa55word@one.test/": "an answer"})
        assert "pa55word" not in tried.get("/providers/").text

    def test_is_escaped_in_an_app_that_escapes_nothing(self) -> None:
        """An app may have turned it off for its own templates."""
        tried = site(providers=["<b>grok</b>"])
        tried.app.jinja_env.autoescape = False
        assert list(states(page_of(tried))) == ["<b>grok</b>"]


class TestHeaders:
    """What a browser is told to allow."""

    def test_allow_nothing_but_what_the_page_has(self) -> None:
        """No script and no style but those two that have this answer's nonce; nothing from elsewhere."""
        answer = site().get("/providers/")
        policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
        (nonce,) = {each.attributes["nonce"] for each in read(answer) if "nonce" in each.attributes}
        assert policy == {
            "default-src": "'none'",
            "script-src": f"'nonce-{nonce}'",
            "style-src": f"'nonce-{nonce}'",
            "connect-src": "'self'",
            "img-src": "data:",
            "form-action": "'self'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "same-origin"

    def test_have_a_nonce_for_one_answer(self) -> None:
        """A nonce that is known before is none."""
        tried = site()
        policies = {tried.get("/providers/").headers["Content-Security-Policy"] for _ in range(3)}
        assert len(policies) == 3

    def test_are_kept_by_the_page(self) -> None:
        """It needs no exception: no handler or style in an attribute, no address of another host."""
        tried = site("grok", controls=True)
        tried.answer(grok="an answer")
        tried.open("grok")
        for path in ("/providers/", "/providers/?fragment=1"):
            page = page_of(tried, path)
            names = {name for each in page for name in each.attributes}
            assert not [name for name in names if name == "style" or name.startswith("on")]
            links = {each.attributes.get(name, "") for each in page for name in ("src", "href", "action")}
            assert all(link.startswith(("data:", "#", "/providers/")) for link in links - {""})
        addresses = set(re.findall(r"https?://[^'\" ]+", tried.get("/providers/").text))
        assert addresses == {"http://www.w3.org/2000/svg"}  # a name, and not fetched


class TestForm:
    """The page as a document."""

    def test_is_readable_on_a_phone_and_in_the_dark(self) -> None:
        """The window's width is the page's, and there are colours for both schemes."""
        page = page_of(site())
        assert (
            page.one("meta", name="viewport").attributes["content"] == "width=device-width, initial-scale=1"
        )
        assert page.one("meta", name="color-scheme").attributes["content"] == "light dark"
        assert "@media (prefers-color-scheme: dark)" in page.one("style").text

    def test_is_for_no_search_engine(self) -> None:
        """Should it be exposed by mistake."""
        assert page_of(site()).one("meta", name="robots").attributes["content"] == "noindex, nofollow"

    def test_has_a_language_and_headings_in_order(self) -> None:
        """One first heading, and below it one for each provider and the timeline."""
        page = page_of(site(providers=["grok"]))
        assert page.one("html").attributes["lang"] == "en"
        headings = [(each.tag, each.text) for each in page if re.fullmatch("h[1-6]", each.tag)]
        assert headings == [("h1", "Providers"), ("h2", "grok"), ("h2", "The last hour")]

    def test_refers_to_what_is_there(self) -> None:
        """Each identifier that an attribute names is one of the page's."""
        tried = site("grok")
        tried.answer(grok="an answer")
        tried.open("grok")
        page = page_of(tried)
        ids = {each.attributes["id"] for each in page if "id" in each.attributes}
        named = {each.attributes["aria-labelledby"] for each in page if "aria-labelledby" in each.attributes}
        named |= {each.attributes["href"].removeprefix("#") for each in page.all("use")}
        fills = {each.attributes.get("fill", "") for each in page.all("rect", class_="hatched")}
        assert fills == {"url(#hatching)"}
        assert named | {"hatching"} <= ids

    def test_hides_drawings_that_say_nothing_new(self) -> None:
        """Every drawing has a name, or is hidden from who cannot see it."""
        tried = site("grok")
        tried.answer(grok="an answer")
        for drawing in page_of(tried).all("svg"):
            assert "aria-label" in drawing.attributes or drawing.attributes["aria-hidden"] == "true"


class TestUpdate:
    """How the page stays young."""

    def test_is_a_part_of_the_page(self, clock: FrozenDateTimeFactory) -> None:
        """What the script asks for is what stands in the page, alone: no script and no style come with it."""
        tried = site("grok", controls=True)
        tried.open("grok")
        client = tried.app.test_client()
        page, part = (read(client.get(path)) for path in ("/providers/", "/providers/?fragment=1"))
        assert part.one("div", id="state") == page.one("div", id="state")
        assert {each.tag for each in part}.isdisjoint({"html", "script", "style", "noscript"})

    def test_has_places_for_the_script(self) -> None:
        """What the script looks for is there."""
        page = page_of(site())
        script = page.one("script").text
        for name in re.findall(r'getElementById\("([\w-]+)"\)', script):
            assert name in {each.attributes.get("id") for each in page}
        assert page.one("div", id="live").all("div")[0].attributes["id"] == "state"
        assert page.one("p", id="away").attributes["role"] == "status"

    def test_works_without_scripts(self) -> None:
        """The page loads itself again, and says so, where scripts do not run."""
        ahead, below = page_of(site()).all("noscript")
        assert ahead.one("meta").attributes == {"http-equiv": "refresh", "content": "10"}
        assert "loads itself again every ten seconds" in below.text


class TestTrouble:
    """Parts that cannot be asked."""

    def test_a_broken_recorder_hides_no_state(self, caplog: pytest.LogCaptureFixture) -> None:
        """The rest is shown, with a note; the log has the reason."""

        class Broken(Recorder):
            def events(self) -> Any:
                raise VendorError("a secret")

        page = page_of(site(recorder=Broken(), providers=["grok"]))
        assert states(page) == {"grok": "closed: called as usual"}
        assert page.one("p", class_="trouble").text == "The recorder cannot be asked: VendorError."
        assert caplog.messages == ["the recorder of fallback_exec cannot be asked: a secret"]

    def test_a_broken_tracker_hides_no_timeline(self, caplog: pytest.LogCaptureFixture) -> None:
        """Nor does it make a state of what nobody knows."""

        class Broken(BreakerCooldownTracker):
            def is_available(self, name: str) -> bool:
                raise VendorError("a secret")

        tried = site("grok", tracker=Broken(fail_max=1))
        tried.answer(grok="an answer")
        tried.tracker.cool_down("grok")
        page = page_of(tried)
        assert page.one("p", class_="headline").text == "The states are not known"
        assert states(page) == {"grok": "unknown: the tracker has not met it"}
        assert [each.one("span", class_="name").text for each in page.all("figure")] == ["grok"]
        assert page.one("p", class_="trouble").text == "The tracker cannot be asked: VendorError."


class TestPlace:
    """Behind whatever there is before the app."""

    def test_works_behind_a_proxy_with_a_prefix(self) -> None:
        """Forms lead to where the proxy has the page, and so does the cookie."""
        tried = site(providers=["grok"], controls=True)
        tried.app.wsgi_app = ProxyFix(tried.app.wsgi_app, x_prefix=1, x_proto=1)  # type: ignore[method-assign]
        answer = tried.get(
            "/providers/", headers={"X-Forwarded-Prefix": "/shop", "X-Forwarded-Proto": "https"}
        )
        form = read(answer).one("form")
        assert form.attributes["action"] == "/shop/providers/reset"
        assert [each.attributes.get("formaction") for each in form.all("button")] == [
            "/shop/providers/cool-down",
            None,
        ]
        cookie = answer.headers["Set-Cookie"].split("; ")[1:]
        assert sorted(cookie) == ["HttpOnly", "Path=/shop/providers/", "SameSite=Strict", "Secure"]

    def test_answers_head_and_options(self) -> None:
        """As any page does."""
        client = site().app.test_client()
        answer = client.head("/providers/")
        assert (answer.status_code, answer.data) == (200, b"")
        assert set(client.options("/providers/").allow or ()) == {"GET", "HEAD", "OPTIONS"}
        assert client.post("/providers/").status_code == 405
        assert client.get("/providers").headers["Location"].endswith("/providers/")

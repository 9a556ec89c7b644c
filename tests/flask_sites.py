"""Apps that the tests of the Flask extension ask, and a reader of the pages that they answer with."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

import attrs
from flask import Flask
from werkzeug.test import TestResponse

from fallback_exec import BreakerCooldownTracker, ExecuteConfig, Strategy, execute
from fallback_exec.flask import FallbackExec
from helpers import Vendor, fail, logger_with, raise_this, replying, vendors

#: Elements that have no end.
_VOID = {"input", "link", "meta"}
#: In SVG, elements without content end with a slash.
_OF_SVG = {"circle", "path", "rect", "use"}


@attrs.frozen
class Site:
    """An app with the extension, and what is behind it.

    Attributes:
        chain: Its providers.
    """

    app: Flask
    ext: FallbackExec
    tracker: BreakerCooldownTracker
    chain: list[Vendor]

    @property
    def config(self) -> ExecuteConfig:
        """What it executes with; nothing is logged."""
        return ExecuteConfig(
            strategy=Strategy.FALLBACK,
            cooldown=self.tracker,
            logger=logger_with(logging.NullHandler()),
            listeners=[self.ext.recorder],
        )

    def answer(self, **replies: object) -> None:
        """Execute once, with as many providers failing as raise."""
        execute(self.chain, self.config, replying(**replies))

    def open(self, *names: str) -> None:
        """Have the providers fail until they cool down."""
        for name in names:
            while self.tracker.is_available(name):
                self.tracker.record_failure(name, ConnectionError("a secret of the vendor's"))

    def get(self, path: str, **options: Any) -> TestResponse:
        """Ask once, without cookies of before."""
        return self.app.test_client().get(path, **options)


def site(*names: str, prefix: str = "/providers", **settings: Any) -> Site:
    """Return an app whose tracker opens at the second failure, for 30 seconds."""
    app = Flask("site")
    app.secret_key = "of the tests"
    tracker = settings.pop("tracker", None) or BreakerCooldownTracker(fail_max=2, reset_timeout=30)
    ext = FallbackExec(app, tracker=tracker, **settings)
    app.register_blueprint(ext.blueprint, url_prefix=prefix)
    return Site(app, ext, tracker, vendors(*names))


def exhausting(tried: Site, deadline: float | None = None) -> Callable[[], Any]:
    """Return a view that executes in vain."""
    return lambda: execute(tried.chain, tried.config, fail, deadline=deadline)


def raising(error: Exception) -> Callable[[], Any]:
    """Return a view that raises the error."""
    return lambda: raise_this(error)


# Reading.


@attrs.frozen
class Element:
    """An element of a page."""

    tag: str
    attributes: dict[str, str]
    content: list[Element | str] = attrs.field(factory=list)

    def __iter__(self) -> Iterator[Element]:
        """All elements below, in order."""
        for each in self.content:
            if isinstance(each, Element):
                yield each
                yield from each

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """Return the elements below that have this tag, and these attributes; `class_` is one of several."""
        return [each for each in self if each.tag == tag and each._has(attributes)]

    def one(self, tag: str, **attributes: str) -> Element:
        """Return the only one."""
        (found,) = self.all(tag, **attributes)
        return found

    @property
    def text(self) -> str:
        """All text below, with single spaces."""
        parts = [each if isinstance(each, str) else each.text for each in self.content]
        return " ".join("".join(parts).split())

    def _has(self, attributes: dict[str, str]) -> bool:
        wanted = dict(attributes)
        word = wanted.pop("class_", None)
        has_word = word is None or word in self.attributes.get("class", "").split()
        return has_word and wanted.items() <= self.attributes.items()


class _Reader(HTMLParser):
    """Reads a page, and bears nothing that a browser would have to guess at."""

    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in _OF_SVG, f"<{tag}> has no slash"
        self._begin(tag, attrs)
        if tag in _VOID:
            self.open.pop()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _OF_SVG, f"<{tag}/> has a slash"
        self._begin(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].content.append(data)

    def _begin(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"<{tag}> has an attribute twice"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].content.append(element)
        self.open.append(element)


def read(response: TestResponse | str) -> Element:
    """Return the root of a page whose elements are nested well, and whose identifiers are all different."""
    reader = _Reader()
    reader.feed(response if isinstance(response, str) else response.text)
    reader.close()
    (root,) = reader.open
    ids = [each.attributes["id"] for each in root if "id" in each.attributes]
    assert len(set(ids)) == len(ids)
    return root

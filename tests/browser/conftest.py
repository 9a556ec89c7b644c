"""The browser: one for all tests, a tab for each."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome

from browser import chromium
from browser.chromium import Tab

# One Python drives the browser, to which all are alike; for older ones there is no current axe-core.
collect_ignore_glob = ["test_*.py"] if sys.version_info < (3, 13) else []


@pytest.fixture(scope="package")  # nothing of it is there any more when other tests measure what lives on
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Chromium, with a fresh profile."""
    why = chromium.missing()
    if why is not None:
        pytest.skip(why)
    with chromium.running(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def tab(driver: Chrome) -> Iterator[Tab]:
    """A fresh tab."""
    tab = Tab(driver)
    yield tab
    tab.close()

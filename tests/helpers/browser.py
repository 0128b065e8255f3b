"""A real browser for the tests of pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def browser(*more_flags: str) -> Iterator[Browser]:
    """A running Chromium; skips the test where there is none."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine; CI installs one")
    from playwright.sync_api import sync_playwright

    flags = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-sync",
        "--no-first-run",
        *more_flags,
    ]
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield found
        found.close()


@contextmanager
def page_of(running: Browser, width: int) -> Iterator[Page]:
    """An empty page, so many pixels wide, of a browser that others use too."""
    page = running.new_page(viewport={"width": width, "height": 900})
    yield page
    page.close()


@contextmanager
def browser_page(width: int, *more_flags: str) -> Iterator[Page]:
    """An empty page, so many pixels wide, of a browser of its own."""
    with browser(*more_flags) as running, page_of(running, width) as page:
        yield page

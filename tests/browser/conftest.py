"""One `lakehouse dev` for all tests that only look, and one browser."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from lakehouse.settings import PROJECT_ROOT
from tests.browser.pages import chromium, dev

WAREHOUSE = Path(os.environ.get("LAKEHOUSE_BROWSER_WAREHOUSE", PROJECT_ROOT / "warehouse"))


@pytest.fixture(scope="session")
def links() -> Iterator[dict[str, str]]:
    """The links of `lakehouse dev` on a warehouse with a training run, as `make demo` leaves one."""
    if not (WAREHOUSE / "mlflow" / "mlflow.db").is_file():
        pytest.fail(f"{WAREHOUSE} has no training run: run `make demo`, or set LAKEHOUSE_BROWSER_WAREHOUSE")
    with dev(WAREHOUSE) as found:
        yield found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    yield from chromium()


@pytest.fixture(scope="module")
def page(links: dict[str, str], browser: Browser) -> Iterator[Page]:
    """A page of a browser that was let in."""
    context = browser.new_context(viewport={"width": 2000, "height": 1100})
    opened = context.new_page()
    opened.goto(links["Lakehouse"])
    yield opened
    context.close()

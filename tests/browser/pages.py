"""`lakehouse dev` as a person has it: started on a warehouse, its printed links, and Chromium before it."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from lakehouse.engine.ports import free_port
from lakehouse.settings import PROJECT_ROOT

# The pictures of README and docs are taken by these tests.
IMAGES = PROJECT_ROOT / "docs" / "images"
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
# Of a test that needs nothing to run by itself.
QUIET = {"LAKEHOUSE_AUTOMATION": "false"}


def environment(warehouse: Path) -> dict[str, str]:
    """The variables of commands on a warehouse."""
    return {**os.environ, **QUIET, "LAKEHOUSE_WAREHOUSE": str(warehouse)}


def lakehouse(*arguments: str) -> list[str]:
    """The command line of this environment."""
    return [str(Path(sys.executable).with_name("lakehouse")), *arguments]


@contextmanager
def dev(warehouse: Path) -> Generator[dict[str, str]]:
    """The links that `lakehouse dev` prints, by name, and `home` without a token; Ctrl-C at the end."""
    variables = {**environment(warehouse), "LAKEHOUSE_UI_PORT": str(free_port())}
    with subprocess.Popen(lakehouse("dev"), env=variables, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found: dict[str, str] = {}
        for line in process.stdout:
            name, _, value = line.strip().partition("  ")
            found[name] = value.strip()
            if "Ctrl-C" in line:
                break
        # The first visit takes the token out of the address.
        found["home"], _, found["token"] = found["Lakehouse"].partition("/?token=")
        yield found
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0


def chromium() -> Iterator[Browser]:
    """A browser, until the tests that use it have ended."""
    if not Path(CHROMIUM).is_file():
        pytest.fail(f"there is no {CHROMIUM}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()

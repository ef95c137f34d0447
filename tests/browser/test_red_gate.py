"""A gate that failed: the first page says so and leads to what it found, and Dagster's check does."""

import subprocess
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, expect

from demo.publish import publish
from tests.browser.pages import IMAGES, dev, environment, lakehouse

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

DAY = date(2013, 5, 6)
# So many rows of the day's 72 were delivered.
DELIVERED = 20


def materialize(warehouse: Path) -> "subprocess.CompletedProcess[str]":
    selection = 'group:landing or group:bronze or key:"gates/bronze"'
    return subprocess.run(
        lakehouse("materialize", "--select", selection, "--date", str(DAY)),
        env=environment(warehouse),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_failed_check_leads_to_what_it_found(tmp_path: Path, browser: Browser) -> None:
    warehouse = tmp_path / "warehouse"
    publish(DAY, DAY, landing=warehouse / "landing")
    weather = warehouse / "landing" / "weather_observations" / f"weather_observations_{DAY}.parquet"
    pq.write_table(pq.read_table(weather).slice(0, DELIVERED), weather)
    with dev(warehouse) as links:
        # By the engine that runs: the failure is one of data.
        failed = materialize(warehouse)
        assert failed.returncode != 0 and "bronze.weather_observations" in failed.stderr, failed.stderr
        context = browser.new_context(viewport={"width": 1400, "height": 900})
        page = context.new_page()
        page.goto(links["Lakehouse"])
        expect(page.get_by_text("failed on")).to_be_visible()
        page.screenshot(path=IMAGES / "red-gate.png", clip={"x": 0, "y": 0, "width": 1400, "height": 560})
        page.get_by_role("link", name="bronze.weather_observations").click()
        expect(page.get_by_text("Failed").first).to_be_visible(timeout=30_000)
        expect(page.get_by_text(str(DELIVERED), exact=True).first).to_be_visible()
        asset = f"{links['home']}/dagster/assets/bronze/weather_observations?view=checks"
        page.goto(asset)
        expect(page.get_by_text("great_expectations").first).to_be_visible(timeout=120_000)
        expect(page.get_by_text("Failed").first).to_be_visible(timeout=30_000)
        page.get_by_role("link", name="/data_docs/").first.click()
        context.close()
    subprocess.run(lakehouse("down"), env=environment(warehouse), check=False)

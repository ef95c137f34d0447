"""What a person looks up about one thing: a model's picture, a column's origin, drift, a version, a backfill.

Needs what `test_ui.py` needs.
"""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.pages import IMAGES

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

PATIENCE = 120_000


def show_picture(page: Page, label: str) -> None:
    """Open what a row of an asset's metadata draws, and see that it is a picture with something in it."""
    row = page.locator("tr", has=page.get_by_text(label, exact=True)).first
    row.get_by_text("Show Markdown").click(timeout=PATIENCE)
    picture = page.locator('img[src^="data:image/png"]').first
    expect(picture).to_be_visible(timeout=30_000)
    assert picture.evaluate("image => image.naturalWidth") > 200


def test_a_model_shows_its_picture(links: dict[str, str], page: Page) -> None:
    page.goto(f"{links['home']}/dagster/assets/models/arrival_delay?view=events")
    show_picture(page, "calibration")
    page.screenshot(path=IMAGES / "model-asset.png")


def test_drift_is_drawn_by_day(links: dict[str, str], page: Page) -> None:
    page.goto(f"{links['home']}/dagster/assets/monitoring/arrival_delay?view=events")
    show_picture(page, "outputs")
    page.screenshot(path=IMAGES / "drift.png")


def test_a_column_shows_where_it_comes_from(links: dict[str, str], page: Page) -> None:
    page.goto(f"{links['home']}/dagster/assets/features/flight_features?view=lineage&column=carrier_code")
    for asset in ("int_flights", "flight_features"):
        expect(page.get_by_text(asset, exact=True).first).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("carrier_code").first).to_be_visible(timeout=30_000)
    page.screenshot(path=IMAGES / "column-lineage.png")


def test_a_version_in_mlflow_says_what_it_is(links: dict[str, str], page: Page) -> None:
    page.goto(f"{links['home']}/mlflow/#/models/arrival_delay/versions/1")
    expect(page.get_by_text("Version 1").first).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text(re.compile("training set", re.IGNORECASE)).first).to_be_visible(timeout=30_000)
    page.screenshot(path=IMAGES / "model-version.png")

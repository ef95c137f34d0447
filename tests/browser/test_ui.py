"""What a person sees of `lakehouse dev`: the lineage in Dagster, and a training run in MLflow.

Needs Chromium, and a warehouse with a training run as `make demo` leaves one (LAKEHOUSE_BROWSER_WAREHOUSE).
The pictures of the README are taken here.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from playwright.sync_api import FloatRect, Page, expect, sync_playwright

from lakehouse.engine.ports import free_port
from lakehouse.settings import PROJECT_ROOT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

IMAGES = PROJECT_ROOT / "docs" / "images"
WAREHOUSE = Path(os.environ.get("LAKEHOUSE_BROWSER_WAREHOUSE", PROJECT_ROOT / "warehouse"))
# The groups of the graph, from what arrives to how good the scores were.
LAYERS = (
    *("landing", "bronze", "gates", "staging", "history", "intermediate", "features", "published"),
    *("training", "models", "predictions", "marts"),
)
# The part of the page that holds the graph.
GRAPH = FloatRect(x=372, y=400, width=1470, height=310)
# The part that holds a training run; beside it MLflow offers an assistant.
RUN = FloatRect(x=200, y=0, width=1290, height=1100)
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="module")
def links() -> Iterator[dict[str, str]]:
    """The links that `lakehouse dev` prints, by name; Ctrl-C at the end."""
    if not (WAREHOUSE / "mlflow" / "mlflow.db").is_file():
        pytest.fail(f"{WAREHOUSE} has no training run: run `make demo`, or set LAKEHOUSE_BROWSER_WAREHOUSE")
    environment = {
        **os.environ,
        "LAKEHOUSE_WAREHOUSE": str(WAREHOUSE),
        "LAKEHOUSE_DAGSTER_PORT": str(free_port()),
        "LAKEHOUSE_MLFLOW_PORT": str(free_port()),
        "LAKEHOUSE_DOCS_PORT": str(free_port()),
    }
    command = [str(Path(sys.executable).with_name("lakehouse")), "dev"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found: dict[str, str] = {}
        for line in process.stdout:
            name, _, value = line.strip().partition("  ")
            found[name] = value.strip()
            if "Ctrl-C" in line:
                break
        yield found
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    if not Path(CHROMIUM).is_file():
        pytest.fail(f"there is no {CHROMIUM}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser.new_page(viewport={"width": 2000, "height": 1100})
        browser.close()


def test_the_lineage_shows_the_whole_way(links: dict[str, str], page: Page) -> None:
    page.goto(links["lineage"])
    for layer in LAYERS:
        expect(page.locator("svg").get_by_text(layer, exact=True)).to_be_visible(timeout=120_000)
    page.get_by_text("Hide navigation").click()
    page.screenshot(path=IMAGES / "lineage.png", clip=GRAPH)


def test_an_asset_shows_what_it_stands_on_and_what_stands_on_it(links: dict[str, str], page: Page) -> None:
    page.goto(f"{links['Dagster']}/assets/features/flight_features?view=lineage")
    for asset in ("int_flights", "feat_aircraft_legs", "flight_features"):
        expect(page.locator("svg").get_by_text(asset, exact=True).first).to_be_visible(timeout=120_000)


def test_a_training_run_shows_its_metrics(links: dict[str, str], page: Page) -> None:
    store = MlflowClient(tracking_uri=links["MLflow"])
    experiment = store.get_experiment_by_name("arrival_delay")
    assert experiment is not None, f"{WAREHOUSE} has no model: run `make demo`"
    run = store.search_runs([experiment.experiment_id], max_results=1)[0].info
    page.goto(f"{links['MLflow']}/#/experiments/{run.experiment_id}/runs/{run.run_id}")
    expect(page.get_by_text(str(run.run_name)).first).to_be_visible(timeout=120_000)
    expect(page.get_by_text("best_log_loss").first).to_be_visible(timeout=30_000)
    page.screenshot(path=IMAGES / "training-run.png", clip=RUN)
    page.goto(f"{links['MLflow']}/#/experiments/{run.experiment_id}/runs/{run.run_id}/model-metrics")
    expect(page.get_by_text("log_loss").first).to_be_visible(timeout=60_000)


def test_data_docs_list_results_and_load_nothing_from_elsewhere(links: dict[str, str], page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(links["Data Docs"])
    page.locator("table a").first.click()
    expect(page.get_by_text("Evaluated Expectations")).to_be_visible(timeout=30_000)
    assert len(asked) >= 2
    assert [url for url in asked if not url.startswith(links["Data Docs"])] == []

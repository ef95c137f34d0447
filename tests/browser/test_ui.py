"""What a person sees of `lakehouse dev`: how things stand, the graph, assets, Data Docs, training runs.

Needs Chromium, and a warehouse with a training run as `make demo` leaves one (LAKEHOUSE_BROWSER_WAREHOUSE).
The pictures of README and docs are taken here.
"""

import pytest
from mlflow.tracking import MlflowClient
from playwright.sync_api import FloatRect, Page, expect

from tests.browser.pages import IMAGES

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

# The groups of the graph, from what arrives to how good the scores were.
LAYERS = (
    *("landing", "bronze", "gates", "staging", "history", "intermediate", "features", "published"),
    *("training", "models", "predictions", "marts"),
)
# The part of the page that holds the graph.
GRAPH = FloatRect(x=372, y=400, width=1470, height=310)
# The part that holds a training run; beside it MLflow offers an assistant.
RUN = FloatRect(x=200, y=0, width=1290, height=1100)


def test_the_first_page_says_how_things_stand(links: dict[str, str], page: Page) -> None:
    page.goto(f"{links['home']}/")
    for name in ("Engine", "Gates", "Models", "Last runs", "By itself"):
        expect(page.get_by_role("heading", name=name)).to_be_visible()
    expect(page.get_by_text("passed").first).to_be_visible()
    expect(page.get_by_role("link", name="version 1").first).to_be_visible()
    page.set_viewport_size({"width": 1150, "height": 900})
    page.screenshot(path=IMAGES / "first-page.png")
    page.set_viewport_size({"width": 2000, "height": 1100})


def test_without_the_cookie_nothing_is_seen(links: dict[str, str], page: Page) -> None:
    assert page.context.browser is not None
    other = page.context.browser.new_context()
    answer = other.request.get(f"{links['home']}/dagster/runs")
    assert answer.status == 401 and "dagster" not in answer.text().lower()
    other.close()


def test_dbt_docs_open_below_the_address(links: dict[str, str], page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{links['home']}/dbt_docs/#!/model/model.lakehouse.flight_features")
    expect(page.get_by_text("flight_features").first).to_be_visible(timeout=120_000)
    assert [url for url in asked if not url.startswith((links["home"], "data:", "blob:"))] == []


def test_the_lineage_shows_the_whole_way(links: dict[str, str], page: Page) -> None:
    page.goto(f"{links['home']}/dagster/asset-groups")
    for layer in LAYERS:
        expect(page.locator("svg").get_by_text(layer, exact=True)).to_be_visible(timeout=120_000)
    page.get_by_text("Hide navigation").click()
    page.screenshot(path=IMAGES / "lineage.png", clip=GRAPH)


def test_an_asset_shows_what_it_stands_on_and_what_stands_on_it(links: dict[str, str], page: Page) -> None:
    page.goto(f"{links['home']}/dagster/assets/features/flight_features?view=lineage")
    for asset in ("int_flights", "feat_aircraft_legs", "flight_features"):
        expect(page.locator("svg").get_by_text(asset, exact=True).first).to_be_visible(timeout=120_000)


def test_a_training_run_shows_its_metrics(links: dict[str, str], page: Page) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_TOKEN", links["token"])
        store = MlflowClient(tracking_uri=f"{links['home']}/mlflow")
        experiment = store.get_experiment_by_name("arrival_delay")
        assert experiment is not None, "there is no model: run `make demo`"
        run = store.search_runs([experiment.experiment_id], max_results=1)[0].info
    page.goto(f"{links['home']}/mlflow/#/experiments/{run.experiment_id}/runs/{run.run_id}")
    expect(page.get_by_text(str(run.run_name)).first).to_be_visible(timeout=120_000)
    expect(page.get_by_text("best_log_loss").first).to_be_visible(timeout=30_000)
    page.screenshot(path=IMAGES / "training-run.png", clip=RUN)
    page.goto(f"{links['home']}/mlflow/#/experiments/{run.experiment_id}/runs/{run.run_id}/model-metrics")
    expect(page.get_by_text("log_loss").first).to_be_visible(timeout=60_000)


def test_data_docs_list_results_and_load_nothing_from_elsewhere(links: dict[str, str], page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{links['home']}/data_docs/index.html")
    page.locator("table a").first.click()
    expect(page.get_by_text("Evaluated Expectations")).to_be_visible(timeout=30_000)
    assert len(asked) >= 2
    assert [url for url in asked if not url.startswith(links["home"])] == []

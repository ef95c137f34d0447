"""Column lineage stands where Dagster's UI looks for it, in runs of any kind."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg

from orchestration.column_lineage import origins_of, show_column_lineage
from orchestration.partitions import DAYS, ONE_RUN, range_tags

DAYS_OF_RUN = (date(2013, 10, 1), date(2013, 10, 3))
SCORES, MODEL = dg.AssetKey("scores"), dg.AssetKey("model")
FEATURES = dg.AssetKey(["published", "flights"])


@dg.multi_asset(specs=[dg.AssetSpec(SCORES, deps=[FEATURES])], partitions_def=DAYS, backfill_policy=ONE_RUN)
def scores(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
    show_column_lineage(context, SCORES, {"score": [("features.flights", "delay")]})
    yield dg.MaterializeResult(asset_key=SCORES)


@dg.asset(key=MODEL, deps=[FEATURES])
def model(context: dg.AssetExecutionContext) -> None:
    show_column_lineage(context, MODEL, {"delay": [("features.flights", "delay")]})


def test_the_newest_day_of_a_range_says_it_once_and_names_what_the_gate_published() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize([scores], tags=range_tags(DAYS_OF_RUN), instance=instance)
        newest = instance.get_latest_materialization_event(SCORES)
    found = {
        event.partition: origins_of({name: it.value for name, it in event.materialization.metadata.items()})
        for event in run.get_asset_materialization_events()
    }
    expected = {"score": [("published.flights", "delay")]}
    assert found == {"2013-10-01": {}, "2013-10-02": {}, "2013-10-03": expected}
    assert newest is not None and newest.asset_materialization is not None
    assert newest.asset_materialization.partition == "2013-10-03"


def test_what_has_no_days_is_told_in_a_run_that_has() -> None:
    """A month's retraining trains a model and scores a day in one run."""
    (event,) = dg.materialize([model], tags=range_tags(DAYS_OF_RUN)).get_asset_materialization_events()
    shown = {name: it.value for name, it in event.materialization.metadata.items()}
    assert origins_of(shown) == {"delay": [("published.flights", "delay")]}

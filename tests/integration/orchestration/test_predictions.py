"""A spec that was never trained does not stop a day's run: its scores are skipped, and the run says why."""

from datetime import date
from pathlib import Path

import dagster as dg

from ml.spec import load_spec
from orchestration.assets.models import champion_key
from orchestration.assets.predictions import predictions_asset
from orchestration.instance import open_instance
from orchestration.partitions import DAYS, ONE_RUN
from orchestration.progress import progress_logger
from orchestration.run import materialize

DAY = date(2013, 6, 1)


def test_without_a_champion_scores_are_skipped_and_the_run_goes_on(warehouse: Path) -> None:
    spec = load_spec("arrival_delay").model_copy(
        update={"registered_model": "never_trained", "predictions_table": "predictions.never_trained"}
    )
    scores = predictions_asset(spec)

    @dg.asset(deps=[scores], partitions_def=DAYS, backfill_policy=ONE_RUN)
    def reads_the_scores() -> None: ...

    @dg.asset(partitions_def=DAYS, backfill_policy=ONE_RUN)
    def reads_other_tables() -> None: ...

    summary = materialize(
        "*",
        (DAY, DAY),
        definitions=dg.Definitions(
            [dg.AssetSpec(champion_key(spec)), scores, reads_the_scores, reads_other_tables],
            loggers={"console": progress_logger},
            executor=dg.in_process_executor,
        ),
    )

    assert summary.materialized == {"reads_other_tables": 1}
    assert list(summary.skipped) == ["predictions/never_trained"]
    said = summary.skipped["predictions/never_trained"]
    assert "model never_trained has no champion yet" in said
    assert "lakehouse train --spec arrival_delay --as-of DAY" in said
    with open_instance() as instance:
        assert not instance.get_materialized_partitions(scores.key)

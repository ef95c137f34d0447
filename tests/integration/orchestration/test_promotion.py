"""The champion's asset: what it decided, and from what, is its metadata."""

from typing import Any

import dagster as dg

from orchestration.assets.models import champion_asset, champion_key
from tests.integration.ml.conftest import build_platform, train_platform


def test_a_challenger_that_is_no_better_does_not_score(spark, schema) -> None:
    own = build_platform(spark, schema)
    asset = champion_asset(own.spec)

    def decided() -> dict[str, Any]:
        result = dg.materialize([asset])
        (event,) = result.asset_materializations_for_node(asset.node_def.name)
        assert event.asset_key == champion_key(own.spec)
        return {name: entry.value for name, entry in event.metadata.items()}

    train_platform(own)
    assert decided() == {"model_version": "1", "decision": "there is no challenger"}
    train_platform(own)
    second = decided()
    assert second["model_version"] == "1"
    assert second["decision"].startswith(
        "refused: log_loss: gain +0.0000 [+0.0000, +0.0000] at 95% over 31 days"
    )
    assert second["evaluation_rows"] == 31 * 8

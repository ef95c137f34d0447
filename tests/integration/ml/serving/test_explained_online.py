"""A score made only online is explained by its id, back to the raw rows, and made again to the bit."""

from datetime import date
from pathlib import Path

import pytest

from lakehouse.errors import LakehouseError
from ml.scoring.score import score
from ml.serving.flush import flush
from tests.integration.ml.serving.started import starting
from tests.integration.ml.test_explain import Served
from tests.integration.ml.test_explain import served as served  # a fixture

# No batch scores it: `served` scores the two days before.
DAY = date(2013, 9, 5)


def test_an_online_score_is_followed_back_by_its_id(served: Served, tmp_path: Path) -> None:
    platform = served.platform
    row = platform.spark.table(platform.features).where(f"flight_date = '{DAY}' and wind_mph is not null")
    flight = row.orderBy("flight_id").collect()[0]
    with pytest.raises(LakehouseError):
        served.explain(flight.flight_id)

    with starting(platform, tmp_path, DAY) as start:
        (answer,) = start().scores(flight.flight_id)
    flush(platform.spark, [platform.spec], platform.models)
    found = served.explain(flight.flight_id, prediction_id=answer["prediction_id"])

    assert found.identical
    assert found.recomputed == found.prediction.score == answer["score"]
    assert found.prediction.prediction_id == answer["prediction_id"]
    assert str(found.prediction.features.version) == str(answer["features"]["version"])
    assert found.prediction.features.table_id == answer["features"]["table_id"]
    assert (found.run_id, found.prediction.model_version) == (served.model.run_id, answer["model_version"])
    assert {each.name: each.value for each in found.features} == {
        "carrier_code": flight.carrier_code,
        "origin_code": flight.origin_code,
        "hour": flight.hour,
        "wait_minutes": flight.wait_minutes,
        "wind_mph": float(flight.wind_mph),
    }
    # The raw rows, with the files that they were delivered in.
    assert {(each.table.partition(".")[2], each.file) for each in found.bronze_rows} == {
        (f"bronze_{name}", f"{name}/{name}_{DAY}.csv") for name in ("plan", "wind", "events")
    }
    assert {each.file for each in found.batches} == {
        f"{name}/{name}_2013-09-0{day}.csv" for name in ("plan", "wind") for day in (4, 5)
    }
    # Batch scoring finds that score there.
    batch = score(platform.spark, platform.spec, DAY, DAY, models=platform.models)
    assert (batch.rows_scored, batch.rows_written) == (8, 7)

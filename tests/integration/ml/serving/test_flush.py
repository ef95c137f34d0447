"""Online scores on the tiny platform: bits and ids of batch scoring, each once in Delta despite kills."""

import uuid
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from lakehouse.delta.table import TableVersion, current_version
from lakehouse.settings import settings
from ml.scoring.score import score
from ml.serving import flush as flushing
from ml.serving.flush import TABLE, Flushed, flush
from ml.training.train import TrainedModel
from tests.integration.ml.conftest import Platform
from tests.integration.ml.serving.started import Starter, starting

DAY = date(2013, 9, 24)


@pytest.fixture
def start(platform: Platform, model: TrainedModel, tmp_path: Path) -> Iterator[Starter]:
    """Starts services; the store has the features as they are published."""
    with starting(platform, tmp_path, DAY) as starter:
        yield starter
    flush(platform.spark, [platform.spec], platform.models)


def flights(platform: Platform) -> list[str]:
    found = platform.spark.table(platform.features).where(f"flight_date = '{DAY}'").select("flight_id")
    return sorted(row[0] for row in found.collect())


def predictions(platform: Platform) -> dict[str, tuple[str, float]]:
    found = platform.spark.table(platform.spec.predictions_table).where(f"flight_date = '{DAY}'").collect()
    assert len({row.prediction_id for row in found}) == len(found)
    return {row.flight_id: (row.prediction_id, row.score) for row in found}


def logged(platform: Platform) -> int:
    return platform.spark.table(TABLE).where(f"spec = '{platform.spec.name}'").count()


def again(platform: Platform) -> Flushed:
    return flush(platform.spark, [platform.spec], platform.models)


def test_online_scores_are_batch_scorings_and_stand_in_delta_once(platform: Platform, start: Starter) -> None:
    first, second = start(), start()
    names = flights(platform)
    online = {each["entity"]["flight_id"]: each for each in first.scores(*names) + second.scores(names[0])}
    done = again(platform)
    assert (done.read, done.logged, done.segments_left) == (9, 9, 2)
    assert done.predictions == {platform.spec.predictions_table: 8}
    there = predictions(platform)
    assert there == {key: (each["prediction_id"], each["score"]) for key, each in online.items()}

    # What `lakehouse explain` goes back by.
    features = current_version(platform.spark, platform.features)
    versions = platform.spark.table(platform.spec.predictions_table).where(f"flight_date = '{DAY}'")
    named = versions.select("features_table", "features_table_id", "features_version").distinct().collect()
    assert [TableVersion(*row) for row in named] == [features]

    version = current_version(platform.spark, platform.spec.predictions_table)
    repeated = again(platform)
    assert (repeated.read, repeated.logged) == (9, 0)
    first.kill()
    second.kill()
    removed = again(platform)
    # Each service had made another segment ahead.
    assert (removed.logged, removed.segments_removed, removed.segments_left) == (0, 4, 0)
    assert again(platform) == Flushed()
    # Batch scoring finds its own scores there: the same entity, version and bits are the same prediction.
    batch = score(platform.spark, platform.spec, DAY, DAY, models=platform.models)
    assert (batch.rows_scored, batch.rows_written) == (8, 0)
    assert current_version(platform.spark, platform.spec.predictions_table) == version


@pytest.mark.slow
def test_what_was_answered_outlives_the_service_and_a_flush_that_dies(
    platform: Platform, start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, names = start(), flights(platform)
    before = logged(platform) if platform.spark.catalog.tableExists(TABLE) else 0
    answered = [service.scores(name)[0] for name in names]
    service.kill()
    for part in ("_predict", "_forget_old"):
        died = f"killed in {part} {uuid.uuid4()}"

        def die(*_: object, died: str = died) -> None:
            raise RuntimeError(died)

        with monkeypatch.context() as patched:
            patched.setattr(flushing, part, die)
            with pytest.raises(RuntimeError, match=died):
                again(platform)
    again(platform)
    assert logged(platform) == before + len(names)
    there = predictions(platform)
    assert {there[each["entity"]["flight_id"]] for each in answered} == {
        (each["prediction_id"], each["score"]) for each in answered
    }
    assert list((settings().serving_dir / "journal").glob("*.log")) == []

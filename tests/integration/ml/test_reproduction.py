"""A run's training set is read again after corrections, and what was tampered with is named."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from lakehouse.delta.table import at_version, location
from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT
from ml.model.bundle import WEIGHTS
from ml.provenance.code_archive import archive, unpack
from ml.provenance.lineage import pin
from ml.provenance.logged_run import TrainingRun, logged_run
from ml.provenance.verify import pin_differences
from ml.reproduction import reproduce
from ml.reproduction.diff import diff
from ml.reproduction.retrain import INSTALLED, OWN, TOO_OLD, TRAINER
from ml.reproduction.train_again import Outcome, Task
from ml.spec import Spec
from ml.tracking.registry import model_of_run
from ml.training.train import TrainedModel
from tests.integration.ml.conftest import Platform, build_platform, train_platform


@pytest.fixture
def own(spark: SparkSession, schema: str) -> Platform:
    return build_platform(spark, schema)


def test_reproduced_after_a_correction_but_not_after_tampering(own: Platform) -> None:
    spark = own.spark
    first = train_platform(own)
    spark.sql(
        f"update {own.training} "
        "set is_late = not is_late, wind_mph = if(flight_id = 'f0004', null, wind_mph) "
        "where flight_id in ('f0003', 'f0004')"
    )
    spark.sql(f"delete from {own.training} where flight_id = 'f0007'")
    own.publish(own.training)
    second = train_platform(own)

    report = reproduce.read(spark, logged_run(first.run_id))
    assert report.identical, report.differences
    assert reproduce.read(spark, logged_run(second.run_id)).identical
    assert second.alias == "challenger"

    difference = diff(spark, first.run_id, second.run_id).rows
    assert (difference.rows_a, difference.rows_b) == (62 * 8, 62 * 8 - 1)
    assert (difference.rows_added, difference.rows_removed, difference.rows_changed) == (0, 1, 2)
    assert difference.changed_columns == {"is_late": 2, "wind_mph": 1}
    assert difference.samples == {
        "is_late": ("f0003", "f0004"),
        "wind_mph": ("f0004",),
        "(removed)": ("f0007",),
    }

    path = _alter_in_place(own, "hour")
    altered = reproduce.read(spark, logged_run(first.run_id))
    assert not altered.identical
    assert ("column", "hour") in [(found.kind, found.name) for found in altered.differences]
    assert {found.name for found in altered.differences if found.kind == "column"} == {"hour"}

    # The newest version may share this file.
    spark.sql(f"create table {own.schema}.copy using delta as select * from {own.training}")
    path.unlink()
    lost = reproduce.read(spark, logged_run(first.run_id))
    assert [found.kind for found in lost.differences] == ["file"]
    assert lost.differences[0].after == "missing"
    assert path.name in lost.differences[0].before

    spark.sql(f"drop table {own.training}")
    spark.sql(f"create table {own.training} using delta as select * from {own.schema}.copy")
    remade = reproduce.read(spark, logged_run(first.run_id))
    assert [(found.kind, found.name) for found in remade.differences] == [("table", own.training)]


def _alter_in_place(own: Platform, column: str) -> Path:
    """Difference one value in the file that version 0 was written as, below Delta's log."""
    folder = location(own.spark, own.training)
    path = min(folder.glob("part-*.parquet"), key=lambda file: file.stat().st_mtime)
    rows = pq.read_table(path)
    values = rows.column(column).to_numpy().copy()
    values[0] += 1
    at = rows.schema.get_field_index(column)
    altered = rows.set_column(at, column, pa.array(values, rows.schema.field(column).type))
    pq.write_table(altered, path, use_deprecated_int96_timestamps=True)
    (folder / f".{path.name}.crc").unlink()
    return path


def test_an_unknown_run_is_refused(spark: SparkSession) -> None:
    with pytest.raises(LakehouseError, match="there is no training run 'nonsense'"):
        reproduce.read(spark, logged_run("nonsense"))


def test_a_model_is_trained_again_to_the_same_weights(model: TrainedModel, spark: SparkSession) -> None:
    report = reproduce.retrain(spark, logged_run(model.run_id))
    assert (report.level, report.identical) == ("retrain", True), report.differences

    # Two threads may round otherwise: whether they do or not, they are named.
    told = reproduce.retrain(spark, logged_run(model.run_id), threads=2).changes
    assert [(change.before, change.after) for change in told if change.kind == "threads"] == [("1", "2")]


def _with_code(run: TrainingRun, folder: Path, name: str, old: str, new: str) -> TrainingRun:
    """The run, as if one of its files had been another."""
    file = unpack(run.archive, folder) / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return _of_code(run, folder)


def _of_code(run: TrainingRun, folder: Path) -> TrainingRun:
    """The run, as if it had archived this folder."""
    code = run.manifest.code.model_copy(update={"archive_sha256": sha256(archive(folder)).hexdigest()})
    return replace(run, archive=archive(folder), manifest=run.manifest.model_copy(update={"code": code}))


def test_a_model_is_trained_again_by_the_code_that_trained_it(
    model: TrainedModel, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = logged_run(model.run_id)
    network = "ml/model/network.py"
    by_this_checkout = "ml.reproduction.retrain.train_again"
    monkeypatch.setattr(by_this_checkout, lambda *_: pytest.fail("trained by this checkout's code"))

    # Other code that does the same, with a package that PYTHONPATH lays over the installed ones.
    (tmp_path / "laid").mkdir()
    (tmp_path / "laid" / "laid_over.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "laid"))
    said: list[str] = []
    new = "import laid_over\n\n\nclass TabularNetwork"
    alike = _with_code(run, tmp_path / "alike", network, "class TabularNetwork", new)
    report = reproduce.retrain(spark, alike, progress=said.append)
    assert report.identical, report.differences
    assert network in [change.name for change in report.changes if change.kind == "code"]
    assert report.trained_by == OWN
    assert f"training by {OWN}" in said
    assert any("epoch 6/6" in line for line in said), said

    # It may be from before something became a setting: its spec has none, and its code would refuse it.
    setting = "    leak_auc: float = Field(default=0.95, gt=0.5, le=1)\n"
    older = _with_code(run, tmp_path / "older", "ml/spec.py", setting, "")
    spec = run.manifest.spec.model_dump(mode="json")
    del spec["leak_auc"]
    older = replace(older, manifest=older.manifest.model_copy(update={"spec": Spec.model_validate(spec)}))
    report = reproduce.retrain(spark, older)
    assert report.identical, report.differences

    other = _with_code(run, tmp_path / "other", network, "sum(widths)) ** -0.5", "sum(widths)) ** -0.4")
    found = [difference.kind for difference in reproduce.retrain(spark, other).differences]
    assert found[0] == "weights"
    assert found[-1] == "predictions"

    broken = _with_code(run, tmp_path / "broken", network, "class Shape:", "class Shape(Missing):")
    with pytest.raises(LakehouseError, match=r"own code failed:(.|\n)*name 'Missing' is not defined"):
        reproduce.retrain(spark, broken)
    killed = _with_code(
        run, tmp_path / "killed", TRAINER, "    outcome = ", "    os.kill(os.getpid(), 9)\n    _ = "
    )
    killed = _with_code(killed, tmp_path / "killing", TRAINER, "import sys\n", "import os\nimport sys\n")
    with pytest.raises(LakehouseError, match="own code was killed by signal 9"):
        reproduce.retrain(spark, killed)
    silent = _with_code(run, tmp_path / "silent", TRAINER, "    main(Path", "    print(Path")
    with pytest.raises(LakehouseError, match=r"did not say what came of it: .*outcome\.json"):
        reproduce.retrain(spark, silent)


def test_several_workers_train_by_what_is_installed(
    model: TrainedModel, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _with_code(
        logged_run(model.run_id), tmp_path, "ml/model/network.py", "class Shape:", "\nclass Shape:"
    )
    budget = run.manifest.spec.training.model_copy(update={"workers": 2})
    spec = run.manifest.spec.model_copy(update={"training": budget})
    asked: list[Task] = []

    def trained(task: Task, _: object) -> Outcome:
        asked.append(task)
        return Outcome(metrics=run.metrics, weights_hash="other", furthest=0.5)

    monkeypatch.setattr("ml.reproduction.retrain.train_again", trained)
    report = reproduce.retrain(spark, replace(run, manifest=run.manifest.model_copy(update={"spec": spec})))
    assert report.trained_by == INSTALLED
    assert [task.spec.training.workers for task in asked] == [2]
    assert [found.kind for found in report.differences] == ["weights", "predictions"]


def test_code_that_cannot_train_by_itself_is_replaced_by_this_checkouts(
    model: TrainedModel, spark: SparkSession, tmp_path: Path
) -> None:
    run = logged_run(model.run_id)
    (unpack(run.archive, tmp_path) / TRAINER).unlink()
    said: list[str] = []
    report = reproduce.retrain(spark, _of_code(run, tmp_path), progress=said.append)
    assert report.identical, report.differences
    assert report.trained_by == TOO_OLD
    assert f"training by {TOO_OLD}" in said


@pytest.mark.parametrize("altered", [archive(PROJECT_ROOT / "docs"), archive(PROJECT_ROOT)[:1000], b""])
def test_code_that_is_not_what_was_logged_is_not_run(
    model: TrainedModel, spark: SparkSession, altered: bytes
) -> None:
    run, said = replace(logged_run(model.run_id), archive=altered), list[str]()
    report = reproduce.retrain(spark, run, progress=said.append)
    assert [found.kind for found in report.differences] == ["archive"]
    assert [change.name for change in report.changes if change.kind == "code"] == ["code.tar.gz"]
    assert report.trained_by is None
    assert not any(line.startswith("training by") for line in said), said
    assert reproduce.read(spark, run).identical


def test_a_model_with_other_weights_is_told(own: Platform) -> None:
    run = train_platform(own)
    weights = model_of_run(run.run_id).folder / WEIGHTS
    content = bytearray(weights.read_bytes())
    # The sign of the last number in the file.
    content[-1] ^= 0x80
    weights.write_bytes(content)
    differences = reproduce.retrain(own.spark, logged_run(run.run_id)).differences
    assert [found.kind for found in differences] == ["weights", "predictions"]


def test_what_became_of_a_pinned_version_is_named(own: Platform) -> None:
    spark, table = own.spark, f"{own.schema}.bronze_flights"
    spark.sql(f"insert into {table} values (1), (2)")
    spark.sql(f"insert into {table} values (3)")
    pinned = pin(spark, at_version(spark, table, 2), "read")
    folder = location(spark, table)
    assert pin_differences(spark, pinned) == ()

    file = next(folder.glob("part-*.parquet"))
    content = file.read_bytes()
    file.write_bytes(content + b" ")
    assert [(found.kind, found.after) for found in pin_differences(spark, pinned)] == [
        ("file", f"{len(content) + 1} bytes")
    ]
    file.unlink()
    assert [(found.kind, found.after) for found in pin_differences(spark, pinned)] == [("file", "missing")]
    file.write_bytes(content)

    log = folder / "_delta_log" / "00000000000000000001.json"
    log.rename(log.with_suffix(".gone"))
    assert [found.kind for found in pin_differences(spark, pinned)] == ["log"]
    log.with_suffix(".gone").rename(log)
    assert pin_differences(spark, pinned) == ()

    spark.sql(f"drop table {table}")
    assert [found.after for found in pin_differences(spark, pinned)] == ["does not exist"]
    spark.sql(f"create table {table} (id bigint) using delta")
    assert "recreated" in pin_differences(spark, pinned)[0].after

"""A run's training set is built again from bronze as it was, with its own SQL; what differs is named."""

import json
import re
import shutil
import tarfile
from datetime import date
from pathlib import Path

import mlflow
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.dbt.manifest import DbtModels
from lakehouse.delta.publications import publish
from lakehouse.delta.table import at_version, current_version, location
from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT
from ml.data.columns import columns_of
from ml.data.training_rows import InMemoryRows
from ml.data.training_set import split_at, training_set
from ml.encoding.tensors import labels_of
from ml.evaluation.metrics import metrics
from ml.provenance.code_archive import archive, unpack
from ml.provenance.digests import record
from ml.provenance.logged_run import logged_run
from ml.provenance.manifest import Manifest, manifest_of
from ml.reproduction.export import export_run, imported_run
from ml.reproduction.reproduce import rebuild
from ml.spec import load_spec
from ml.tracking import runs
from ml.tracking.registry import log_and_register
from ml.training.fit_bundle import fit_bundle, served_bundle
from ml.training.inputs import read_training_rows, training_manifest
from tests.integration.dbt.conftest import Lakehouse

pytestmark = pytest.mark.slow

# The second chapter's training set: the third chapter's corrections came later.
VERSION, AS_OF = 1, date(2013, 9, 5)


def _log_run(lakehouse: Lakehouse, code: bytes) -> str:
    """A training run on few days: the shipped spec's network, for one epoch."""
    spark, spec = lakehouse.spark, load_spec("arrival_delay")
    spec = spec.model_copy(update={"training": spec.training.model_copy(update={"epochs": 1})})
    models = DbtModels(json.loads((lakehouse.target(lakehouse.schema) / "manifest.json").read_text()))
    columns = columns_of(models, spec.training_model)
    table = at_version(spark, f"{lakehouse.schema}.flight_training_set", VERSION)
    publish(spark, [table], "test", "test")
    pinned = training_set(table, columns, AS_OF, spec.time_zone)
    rows = read_training_rows(spark, spec, pinned)
    parts = split_at(rows.column(columns.partition), date(2013, 9, 3), AS_OF)
    manifest = training_manifest(spark, spec, pinned, parts, models, code)
    with runs.training_run("rebuild", "rebuild") as run_id:
        in_parts = InMemoryRows.of(rows, parts, columns)
        bundle, fitted = fit_bundle(spec, pinned, in_parts)
        validation = rows.filter(pa.array(parts.validation))
        measured = metrics(labels_of(validation, str(columns.label)), bundle.predict(validation))
        mlflow.log_metrics({f"best_{name}": value for name, value in measured.items()})
        runs.log_bytes(run_id, runs.MANIFEST, manifest.to_json().encode())
        runs.log_bytes(run_id, runs.ARCHIVE, code)
        record(spark, run_id, {runs.MANIFEST: manifest.to_json().encode(), runs.ARCHIVE: code})
        served = served_bundle(spec, pinned, in_parts, bundle, fitted)
        log_and_register(served, f"rebuild_{lakehouse.schema}", columns, rows.slice(0, 5))
    return run_id


@pytest.fixture(scope="module")
def run_id(story) -> str:
    return _log_run(story.lakehouse, archive(PROJECT_ROOT))


def _source(manifest: Manifest, name: str):
    return next(pin for pin in manifest.upstream if pin.name.endswith(f".{name}"))


def test_sources_are_pinned_as_the_builds_read_them(story, run_id) -> None:
    spark, manifest = story.lakehouse.spark, manifest_of(run_id)
    sources = {pin.name.rpartition(".")[2]: pin for pin in manifest.upstream if pin.is_source}
    assert set(sources) >= {"flight_schedule", "flight_actuals", "weather_observations", "deliveries"}
    actuals = sources["flight_actuals"]
    # The table is made empty; each of the three chapters' deliveries is a commit.
    assert (actuals.version, actuals.pinned_by) == (2, "read")
    assert current_version(spark, actuals.name).version == 3


def test_set_and_model_are_rebuilt_identical_though_corrections_came(story, run_id) -> None:
    spark, said, schema = story.lakehouse.spark, list[str](), f"rebuild_{run_id[:12]}"
    told: list[tuple[bool, bool]] = []
    report = rebuild(
        spark,
        logged_run(run_id),
        train=True,
        progress=said.append,
        on_report=lambda each: told.append((each.identical, spark.catalog.databaseExists(schema))),
    )
    assert report.identical, report.differences
    assert told == [(True, True)], "the report comes before anything is cleaned up"
    assert any(re.match(r"\d+ of \d+ OK created .*flight_training_set", line) for line in said), said
    moved = {change.name.rpartition(".")[2] for change in report.changes if change.kind == "source"}
    assert "flight_actuals" in moved
    assert not spark.catalog.databaseExists(schema)


def test_a_bundle_is_all_it_takes(story, run_id, tmp_path) -> None:
    """The sources, the derived tables and MLflow's run are out of reach under their names."""
    spark = story.lakehouse.spark
    bundle = export_run(spark, logged_run(run_id), tmp_path / "run.tar")
    with imported_run(spark, bundle) as run:
        names = {pin.name for pin in run.manifest.upstream if pin.is_source}
        assert all(name.startswith(f"import_{run_id[:12]}.") for name in names)
        report = rebuild(spark, run, train=True)
        assert report.identical, report.differences
    assert not spark.catalog.databaseExists(f"import_{run_id[:12]}")

    _cut(bundle, tmp_path / "half.tar", bundle.stat().st_size // 2)
    with tarfile.open(bundle) as tar:
        last = tar.getmembers()[-1]
    _cut(bundle, tmp_path / "short.tar", last.offset)
    for name in ("half", "short"):
        with (
            pytest.raises(LakehouseError, match=rf"{name}\.tar is damaged"),
            imported_run(spark, tmp_path / f"{name}.tar"),
        ):
            pass
        assert not spark.catalog.databaseExists(f"import_{run_id[:12]}")
    with (
        pytest.raises(LakehouseError, match="is not a bundle of a run"),
        imported_run(spark, tmp_path / "none"),
    ):
        pass


def _cut(path: Path, cut: Path, size: int) -> None:
    cut.write_bytes(path.read_bytes()[:size])


def test_other_code_is_told_by_table_and_column(story, tmp_path) -> None:
    """A model's SQL, a macro and the columns of the training set are not those that made it."""
    lakehouse = story.lakehouse
    project = unpack(archive(PROJECT_ROOT), tmp_path)
    _replace(
        project / "dbt_project/models/features/feat_carrier_arrivals.sql",
        "    en_route_minutes_6h as carrier_en_route_minutes_6h",
        "    en_route_minutes_6h + 1 as carrier_en_route_minutes_6h",
    )
    _replace(
        project / "dbt_project/macros/flights/departure_windows.sql",
        "coalesce(delay_by_45, 30) >= 30",
        "coalesce(delay_by_45, 30) >= 31",
    )
    training = project / "dbt_project/models/training/flight_training_set"
    _replace(
        training.with_suffix(".sql"),
        "    label_versions.arr_delay_minutes\nfrom",
        "    label_versions.arr_delay_minutes,\n    7 as planted\nfrom",
    )
    columns = "    columns:\n"
    planted = "      - {name: planted, data_type: int, description: Another column}\n"
    _replace(training.with_suffix(".yml"), columns, columns + planted)

    report = rebuild(lakehouse.spark, logged_run(_log_run(lakehouse, archive(project))))
    assert not report.identical
    assert [found.name for found in report.differences if found.kind == "column added"] == ["planted"]
    differing = {found.name: found for found in report.differences if found.kind == "column"}
    late_30 = {name for name in differing if "late_30" in name}
    assert late_30 and set(differing) == {*late_30, "carrier_en_route_minutes_6h"}
    assert differing["carrier_en_route_minutes_6h"].samples
    tables = {found.name.rpartition(".")[2] for found in report.differences if found.kind == "table"}
    assert tables >= {"feat_carrier_arrivals", "feat_origin_departures", "flight_features"}
    assert "feat_origin_weather" not in tables
    changed = {
        Path(change.name).name: change for change in report.changes if change.kind in ("model", "macro")
    }
    assert {name: change.kind for name, change in changed.items()} == {
        "departure_windows.sql": "macro",
        "feat_carrier_arrivals.sql": "model",
        "flight_training_set.sql": "model",
        "flight_training_set.yml": "model",
    }
    line = "-    en_route_minutes_6h + 1 as carrier_en_route_minutes_6h"
    assert line in changed["feat_carrier_arrivals.sql"].diff


def _replace(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, after))


def test_another_archive_is_not_built(story, run_id, tmp_path) -> None:
    path = runs.artifact(run_id, runs.ARCHIVE)
    kept = path.read_bytes()
    (tmp_path / "dbt_project.yml").write_text("name: other")
    path.write_bytes(archive(tmp_path))
    try:
        report = rebuild(story.lakehouse.spark, logged_run(run_id))
    finally:
        path.write_bytes(kept)
    assert [found.kind for found in report.differences] == ["archive"]


def test_a_row_changed_in_place_in_bronze_is_told_by_column_row_and_file(story, run_id, tmp_path) -> None:
    spark = story.lakehouse.spark
    pin = _source(manifest_of(run_id), "flight_actuals")
    path, flight = _delay_an_arrival(location(spark, pin.name), tmp_path)
    try:
        report = rebuild(spark, logged_run(run_id))
    finally:
        shutil.copy2(tmp_path / path.name, path)
    assert "file" not in {found.kind for found in report.differences}
    columns = {found.name: found for found in report.differences if found.kind == "column"}
    assert columns["arr_delay_minutes"].samples == (flight,)
    touched = [change for change in report.changes if "written again" in change.after]
    assert [(change.name, change.before.split(" ")[0]) for change in touched] == [(pin.name, path.name)]


def _delay_an_arrival(folder: Path, kept: Path) -> tuple[Path, str]:
    """Difference a value below Delta's log, in a file that keeps its size; gives file and flight."""
    path = max(folder.glob("part-*.parquet"), key=lambda file: file.stat().st_size)
    shutil.copy2(path, kept)
    rows = pq.read_table(path)
    events = rows.select(
        ["event_type", "carrier_code", "flight_number", "origin_code", "sched_dep_at"]
    ).to_pylist()
    chosen = next(
        number
        for number, event in enumerate(events)
        if event["event_type"] == "arrived" and f"{event['sched_dep_at']:%Y-%m-%dT%H}" == "2013-09-01T15"
    )
    at = rows.schema.get_field_index("delay_minutes")
    delays = rows.column("delay_minutes").to_pylist()
    delays[chosen] += 1
    changed = rows.set_column(at, "delay_minutes", pa.array(delays, rows.schema.field(at).type))
    _write_in_size(changed, path, path.stat().st_size)
    # Hadoop's own checksum would find it out; what is meant to change bytes unnoticed does away with it.
    (folder / f".{path.name}.crc").unlink(missing_ok=True)
    event = events[chosen]
    return path, "-".join(
        (
            event["carrier_code"],
            str(event["flight_number"]),
            event["origin_code"],
            f"{event['sched_dep_at']:%Y%m%d%H%M}",
        )
    )


def _write_in_size(rows: pa.Table, path: Path, size: int) -> None:
    """Write a file of exactly so many bytes: denser than Spark does, and padded in its metadata."""
    # A text's length takes another byte from some sizes on, so one text alone can miss the size by one.
    for more in ("", "."):
        padding, tried = 0, set[int]()
        while padding >= 0 and padding not in tried:
            tried.add(padding)
            options = {"compression": "zstd", "use_deprecated_int96_timestamps": True, "store_schema": False}
            with pq.ParquetWriter(path, rows.schema, **options) as writer:
                writer.write_table(rows)
                writer.add_key_value_metadata({"padding": "." * padding, "more": more})
            if path.stat().st_size == size:
                return
            padding += size - path.stat().st_size
    raise AssertionError(f"{path} cannot be written in {size} bytes")


def test_a_source_that_is_gone_is_named(story, run_id) -> None:
    spark = story.lakehouse.spark
    pin = _source(manifest_of(run_id), "weather_observations")
    path = next(location(spark, pin.name).glob("part-*.parquet"))
    hidden = path.with_suffix(".hidden")
    path.rename(hidden)
    try:
        report = rebuild(spark, logged_run(run_id))
    finally:
        hidden.rename(path)
    assert [(found.kind, found.name, found.after) for found in report.differences] == [
        ("file", pin.name, "missing")
    ]
    assert path.name in report.differences[0].before

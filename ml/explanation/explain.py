"""The way back from one prediction: model, features, the rows they come from, batches and landing files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cache, partial, reduce
from typing import Any

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from lakehouse.dbt.manifest import DbtModels, current_models
from lakehouse.dbt.notes import Commit, commits
from lakehouse.dbt.origins import Batch, SourceDays, batches
from lakehouse.delta.table import TableVersion, read_at, table_exists
from lakehouse.errors import LakehouseError
from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.source import Source
from lakehouse.progress import Progress, silent
from ml.data.columns import Columns, columns_of
from ml.explanation.bronze_rows import BronzeRow, bronze_rows, by_table
from ml.explanation.feature_rows import Deliveries, FeaturesDay, FoundRow, feature_rows, look_up, read_rows
from ml.model.bundle import Bundle
from ml.provenance.logged_run import files_of
from ml.scoring.inference import with_scores
from ml.spec import Spec
from ml.tracking.registry import CHAMPION, model_by_alias, model_version
from ml.tracking.runs import find_run


@dataclass(frozen=True)
class Prediction:
    """A stored score of an entity.

    Args:
        missing_features: how many features were NULL or NaN.
        unseen_categories: the categorical features whose value training had not, or too rarely.
    """

    prediction_id: str
    model_version: str
    score: float
    scored_at: datetime
    features: TableVersion
    missing_features: int
    unseen_categories: str | None


@dataclass(frozen=True)
class FeatureValue:
    """A feature as the model read it.

    Args:
        row: the place in `rows` of the row it comes from; None where dbt's YAML declares none.
        is_copied: whether it is a column of that row; else it was computed from it.
    """

    name: str
    value: Any
    row: int | None
    is_copied: bool


@dataclass(frozen=True)
class Explanation:
    """The way back from a prediction.

    Args:
        asked_at: the instant whose knowledge it uses.
        others: other scores of the entity by the model version, by time.
        as_of, training_set: of the model's run, as it logged them.
        recomputed: the same model's score of the same features; identical when it has the stored one's bits.
        built_in: the commit of the features table that computed the entity's day; None where none noted it.
        batches: those behind the rows, each once.
    """

    entity: dict[str, str]
    day: date
    asked_at: datetime
    prediction: Prediction
    others: tuple[Prediction, ...]
    model_name: str
    run_id: str
    as_of: str
    training_set: str
    recomputed: float
    identical: bool
    built_in: int | None
    features: tuple[FeatureValue, ...]
    rows: tuple[FoundRow, ...]
    bronze_rows: tuple[BronzeRow, ...]
    batches: tuple[Batch, ...]


def explain(
    spark: SparkSession,
    spec: Spec,
    entity: Sequence[str],
    version: str | None = None,
    prediction_id: str | None = None,
    progress: Progress = silent,
    models: DbtModels | None = None,
    sources: Mapping[str, Source] | None = None,
) -> Explanation:
    """Follow a prediction back, and make it again.

    Args:
        entity: values of the spec's entity columns, in alphabetical order of these.
        version: of the model; by default the champion.
        prediction_id: which of its scores, or how that id begins; by default the first, which was served.
        models, sources: what dbt and the sources' declarations say; by default this checkout's.

    Raises:
        LakehouseError: there is no such entity, the version did not score it, or its features are gone.
    """
    models = models or current_models()
    columns = columns_of(models, spec.features_model)
    key = _entity(columns, entity)
    version = version or model_by_alias(spec.registered_model, CHAMPION).version
    scored = _scored(spark, spec, models, columns, key, version)
    served = [_prediction(row) for row in scored]
    chosen = _chosen(served, prediction_id)
    model = model_version(spec.registered_model, version)
    run = find_run(model.run_id).data
    day, asked_at = scored[0][columns.partition], scored[0][columns.event_time].astimezone(UTC)

    progress(f"scoring {_text(key)} from {chosen.features} with {model.name} version {version}")
    files = files_of(model)
    its_row = _of_entity(read_at(spark, chosen.features), key).where(F.col(columns.partition) == F.lit(day))
    again = with_scores(its_row, columns, files).collect()
    if not again:
        raise LakehouseError(
            f"{chosen.features} has no row of {_text(key)}",
            "its log or its files were changed: lakehouse reproduce",
        )

    progress("looking up the rows that its features come from")
    names = Bundle.from_files(files).encoding.features
    values = read_rows({0: its_row})[0][0]
    log = cache(partial(_log, spark))
    features_day = FeaturesDay(
        spark, models, log, spec.features_model, chosen.features, columns.partition, day
    )
    rows = look_up(features_day, feature_rows(models, spec.features_model, names), values)
    declared = by_table(models, load_sources() if sources is None else sources)
    held = batches(spark, [days for row in rows for days in row.days], declared)
    built_in = features_day.built_in
    return Explanation(
        entity=key,
        day=day,
        asked_at=asked_at,
        prediction=chosen,
        others=tuple(each for each in served if each != chosen),
        model_name=model.name,
        run_id=model.run_id,
        as_of=run.params["as_of"],
        training_set=run.tags["training_set.table"],
        recomputed=again[0]["score"],
        identical=again[0]["score"] == chosen.score,
        built_in=built_in.version if built_in else None,
        features=tuple(_features(names, rows, values)),
        rows=tuple(
            replace(row, computed_from=tuple(_deliveries(days, held.get(days, ())) for days in row.days))
            for row in rows
        ),
        bronze_rows=bronze_rows(spark, rows, declared, asked_at),
        batches=_distinct(held),
    )


def _entity(columns: Columns, values: Sequence[str]) -> dict[str, str]:
    if len(values) != len(columns.entity):
        raise LakehouseError(
            f"{len(values)} values do not name an entity",
            f"give one for each of {', '.join(columns.entity)}, in this order",
        )
    return dict(zip(columns.entity, values, strict=True))


def _text(key: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in key.items())


def _of_entity(rows: DataFrame, key: Mapping[str, str]) -> DataFrame:
    # As text: what a person mistyped then finds nothing, whatever the column's type.
    return reduce(lambda kept, name: kept.where(F.col(name).cast("string") == key[name]), key, rows)


def _scored(
    spark: SparkSession, spec: Spec, models: DbtModels, columns: Columns, key: dict[str, str], version: str
) -> list[Row]:
    """The entity's predictions by a model version, the first one first."""
    table = spec.predictions_table
    found = _of_entity(spark.table(table), key).collect() if table_exists(spark, table) else []
    scored = [row for row in found if row["model_version"] == version]
    if scored:
        return sorted(scored, key=lambda row: (row["scored_at"], row["prediction_id"]))
    unscored = f"{_text(key)} was not scored by {spec.registered_model} version {version}"
    if found:
        others = sorted({str(row["model_version"]) for row in found})
        raise LakehouseError(unscored, f"it was by version {', '.join(others)}: give --model-version")
    population = models.table(spec.population_model or spec.features_model)
    known = _of_entity(spark.table(population), key).select(columns.partition).collect()
    if not known:
        raise LakehouseError(f"{population} has no {_text(key)}", _nearest(spark.table(population), key))
    again = f"lakehouse score --spec {spec.name} --date {known[0][0]}"
    raise LakehouseError(unscored, f"if it is due by now: {again}")


def _nearest(rows: DataFrame, key: Mapping[str, str]) -> str:
    """A hint with the keys that are written most like one that is not there."""
    written = F.concat_ws(", ", *(F.col(name).cast("string") for name in key))
    asked = F.lit(", ".join(key.values()))
    like = rows.select(written.alias("key")).distinct().orderBy(F.levenshtein("key", asked), "key").limit(3)
    found = [row["key"] for row in like.collect()]
    return f"did you mean {' or '.join(found)}?" if found else "it has no row: build and publish it first"


def _prediction(row: Row) -> Prediction:
    return Prediction(
        prediction_id=row["prediction_id"],
        model_version=row["model_version"],
        score=row["score"],
        scored_at=row["scored_at"].astimezone(UTC),
        features=TableVersion(row["features_table"], row["features_table_id"], row["features_version"]),
        missing_features=row["missing_features"],
        unseen_categories=row["unseen_categories"],
    )


def _chosen(served: Sequence[Prediction], prediction_id: str | None) -> Prediction:
    if prediction_id is None:
        return served[0]
    found = [each for each in served if each.prediction_id.startswith(prediction_id)]
    if len(found) != 1:
        known = ", ".join(each.prediction_id for each in served)
        raise LakehouseError(
            f"{prediction_id!r} is {'none' if not found else 'not one'} of its predictions by this version",
            f"these are {known}",
        )
    return found[0]


def _log(spark: SparkSession, name: str) -> list[Commit]:
    return commits(spark, name) if table_exists(spark, name) else []


def _features(
    names: Sequence[str], rows: Sequence[FoundRow], values: Mapping[str, Any]
) -> Iterator[FeatureValue]:
    """By the rows that they come from, then by name; last those of which no row is declared."""
    places = {
        name: (place, name in row.of.copied)
        for place, row in enumerate(rows)
        for name in sorted(row.of.copied + row.of.computed)
    }
    for name, (place, is_copied) in places.items():
        yield FeatureValue(name, values[name], place, is_copied)
    for name in sorted(set(names) - set(places)):
        yield FeatureValue(name, values[name], None, is_copied=False)


def _deliveries(days: SourceDays, held: Sequence[Batch]) -> Deliveries:
    return Deliveries(
        table=days.table,
        version=days.version,
        first=days.first,
        last=days.last,
        batches=len(held),
        rows=sum(batch.rows for batch in held),
        first_batch=held[0].batch_id if held else None,
        last_batch=held[-1].batch_id if held else None,
        is_held=days.is_held,
    )


def _distinct(held: Mapping[SourceDays, Sequence[Batch]]) -> tuple[Batch, ...]:
    """Each batch once, as the widest days saw it."""
    found: dict[tuple[str, str], Batch] = {}
    for batch in sorted((batch for group in held.values() for batch in group), key=lambda each: each.rows):
        found[batch.table, batch.batch_id] = batch
    return tuple(found[key] for key in sorted(found))

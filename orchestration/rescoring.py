"""Days of before whose features are new since the graph last scored: a correction reached them.

A run scores the days that it was asked for. A delivery that comes late changes features of other days, which
are found here by what dbt's builds noted in their commits, so that nobody has to ask for them.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import date

import dagster as dg

from lakehouse.dbt.manifest import current_models
from lakehouse.dbt.notes import Commit, commits
from lakehouse.delta.publications import published_version
from lakehouse.delta.table import TableVersion
from lakehouse.engine.session import spark_session
from ml.data.columns import columns_of
from ml.spec import Spec
from orchestration.partitions import ranges_of
from orchestration.records import days_in
from orchestration.translator import table_key

# What a materialization of scores says of the features that it was made from.
FEATURES_VERSION = "features_version"
FEATURES_ID = "features_table_id"


def features_metadata(features: TableVersion) -> dict[str, str]:
    """What a materialization of scores notes, so that the next one knows what was scored."""
    return {FEATURES_VERSION: str(features), FEATURES_ID: features.table_id}


def days_to_score_again(
    instance: dg.DagsterInstance, spec: Spec, asked: tuple[date, date]
) -> list[tuple[date, date]]:
    """The ranges of days, beside those asked for, that have scores from features that are replaced since.

    Nothing where no run of the graph has scored before.
    """
    seen = _last_scored(instance, spec)
    if seen is None:
        return []
    spark, models = spark_session(), current_models()
    features = published_version(spark, models.table(spec.features_model))
    if features == seen:
        return []
    scored = days_in(spec.predictions_table, columns_of(models, spec.features_model).partition)
    again = replaced_days(commits(spark, features.name), seen, features, scored)
    return list(ranges_of(sorted(day for day in again if not asked[0] <= day <= asked[1])))


def replaced_days(
    history: Iterable[Commit], seen: TableVersion, now: TableVersion, among: AbstractSet[date]
) -> set[date]:
    """The days of some that builds replaced after one version of a table, up to another one.

    A table that was recreated has replaced all.
    """
    if seen.table_id != now.table_id:
        return set(among)
    later = [each for each in history if seen.version < each.version <= now.version]
    return {day for day in among if any(each.wrote(day, day) for each in later)}


def _last_scored(instance: dg.DagsterInstance, spec: Spec) -> TableVersion | None:
    """The features that the graph's last scores were made from."""
    record = instance.get_latest_materialization_event(table_key(spec.predictions_table))
    if record is None or record.asset_materialization is None:
        return None
    metadata = record.asset_materialization.metadata
    if FEATURES_ID not in metadata:
        return None
    name, _, version = str(metadata[FEATURES_VERSION].value).rpartition("@v")
    return TableVersion(name, str(metadata[FEATURES_ID].value), int(version))


def described(ranges: Sequence[tuple[date, date]]) -> list[str]:
    """Ranges of days, for people."""
    return [str(first) if first == last else f"{first} … {last}" for first, last in ranges]

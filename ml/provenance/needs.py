"""The table versions that registered models need."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import mlflow
from mlflow.entities.model_registry import ModelVersion

from lakehouse.delta.pins import Need
from lakehouse.errors import LakehouseError
from lakehouse.settings import settings
from ml.provenance.manifest import manifest_of
from ml.tracking.names import WEIGHTS_DIGEST
from ml.tracking.runs import client


@dataclass(frozen=True)
class ModelNeeds:
    """What registered models need.

    Args:
        untold: a line for each version of which nobody knows what it needs.
    """

    needs: tuple[Need, ...]
    untold: tuple[str, ...]


def model_needs(now: datetime | None = None) -> ModelNeeds:
    """What model versions were built from that must be kept: training set and all tables upstream.

    Those are the versions with an alias, and, of those with a tag (each that was decided on has one), a
    model's newest `kept_model_versions` and all that are younger than `kept_model_days`.

    Args:
        now: when it is asked; the present by default.
    """
    # Makes MLflow's own functions, which follow the pages of long lists, look at the warehouse.
    client()
    aliases: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for model in mlflow.search_registered_models():
        for alias, version in sorted(model.aliases.items()):
            aliases[model.name, str(version)].append(alias)
    found = list(mlflow.search_model_versions())
    kept = _kept_by_tag(found, now or datetime.now(UTC))
    needs: list[Need] = []
    untold: list[str] = []
    for each in found:
        name, version = str(each.name), str(each.version)
        tags = [f"tag {tag}" for tag in _of_people(each)] if (name, version) in kept else []
        marks = [*aliases[name, version], *tags]
        if not marks:
            continue
        who, why = f"model {name} version {version}", ", ".join(marks)
        try:
            needs += _needs(who, why, str(each.run_id))
        except LakehouseError as error:
            untold.append(
                f"what {who} ({why}) needs cannot be told, so nothing is freed: {error.what}; "
                "bring the run's file back, or take the model's aliases and tags away"
            )
    return ModelNeeds(tuple(needs), tuple(untold))


def _of_people(version: ModelVersion) -> list[str]:
    """The names of a version's tags, but for the digest that every one has."""
    return sorted(version.tags.keys() - {WEIGHTS_DIGEST})


def _kept_by_tag(versions: Iterable[ModelVersion], now: datetime) -> set[tuple[str, str]]:
    """The versions whose tags hold what they were built from: a model's newest ones, and the young ones."""
    by_model: defaultdict[str, list[ModelVersion]] = defaultdict(list)
    for version in versions:
        if _of_people(version):
            by_model[str(version.name)].append(version)
    kept: set[tuple[str, str]] = set()
    for name, tagged in by_model.items():
        tagged.sort(key=lambda each: int(each.version), reverse=True)
        newest: Sequence[ModelVersion] = tagged[: settings().kept_model_versions]
        young = [each for each in tagged if _made_at(each) > now - timedelta(days=settings().kept_model_days)]
        kept |= {(name, str(each.version)) for each in (*newest, *young)}
    return kept


def _made_at(version: ModelVersion) -> datetime:
    return datetime.fromtimestamp(float(version.creation_timestamp or 0) / 1000, UTC)


def _needs(who: str, why: str, run_id: str) -> list[Need]:
    manifest = manifest_of(run_id)
    return [Need(pinned.table, who, why) for pinned in (manifest.training_set, *manifest.upstream)]

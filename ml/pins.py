"""The table versions that registered models need."""

from collections import defaultdict

import mlflow

from lakehouse.delta.pins import Need
from lakehouse.errors import LakehouseError
from ml.manifest import manifest_of
from ml.tracking import client


def model_needs() -> list[Need]:
    """What every model version with an alias or a tag was built from: training set and all tables upstream.

    Raises:
        LakehouseError: the run of one of them does not tell, so that nobody knows what it needs.
    """
    # Makes MLflow's own functions, which follow the pages of long lists, look at the warehouse.
    client()
    held: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for model in mlflow.search_registered_models():
        for alias, version in sorted(model.aliases.items()):
            held[model.name, str(version)].append(alias)
    needs: list[Need] = []
    for found in mlflow.search_model_versions():
        marks = [*held[found.name, str(found.version)], *(f"tag {tag}" for tag in sorted(found.tags))]
        if marks:
            needs += _needs(
                f"model {found.name} version {found.version}", ", ".join(marks), str(found.run_id)
            )
    return needs


def _needs(who: str, why: str, run_id: str) -> list[Need]:
    try:
        manifest = manifest_of(run_id)
    except LakehouseError as error:
        raise LakehouseError(
            f"what {who} ({why}) needs cannot be told: {error.what}",
            "bring the run's file back, or take the model's aliases and tags away",
        ) from error
    return [Need(pinned.table, who, why) for pinned in (manifest.training_set, *manifest.upstream)]

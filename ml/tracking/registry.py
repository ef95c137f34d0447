"""Registered models: logged with their run, found by alias."""

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING, Any

import mlflow
import pyarrow as pa
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType

from lakehouse.errors import LakehouseError
from ml.data.columns import Columns
from ml.encoding.arrow import ArrowTable
from ml.encoding.encode import numbers
from ml.tracking.names import CHALLENGER, CHAMPION, PREVIOUS, WEIGHTS_DIGEST
from ml.tracking.runs import client, copies, tracking_uri

if TYPE_CHECKING:
    # torch, which only the bundle needs, takes seconds to import.
    from ml.model.bundle import Bundle

LOADER = Path(__file__).parents[1] / "model" / "pyfunc.py"
_REQUIREMENTS = ("mlflow", "torch", "safetensors", "numpy", "pyarrow", "pandas")


@dataclass(frozen=True)
class ModelVersion:
    """A registered model version.

    Args:
        folder: where its bundle lies on this machine.
    """

    name: str
    version: str
    run_id: str
    folder: Path


def log_and_register(
    bundle: "Bundle", name: str, columns: Columns, example: ArrowTable, description: str = ""
) -> tuple[str, str]:
    """Log a model to the running MLflow run and register it.

    The first version becomes the champion, later ones the challenger.

    Args:
        example: a few rows of raw features.
        description: of the version, Markdown.

    Returns:
        version and alias.
    """
    inputs: list[ColSpec | TensorSpec] = [
        # MLflow takes no int64 for a double, and a frame has an integer column as int64, or as float64 where
        # one is NULL. The bundle itself refuses what is not a number.
        *(ColSpec(AnyType(), column, required=False) for column in columns.numeric),
        *(ColSpec("string", column, required=False) for column in columns.categorical),
    ]
    signature = ModelSignature(Schema(inputs), Schema([ColSpec("float", "score")]))
    with tempfile.TemporaryDirectory(prefix="lakehouse-model-") as scratch:
        bundle.save(Path(scratch) / "bundle")
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(LOADER),
            artifacts={"bundle": str(Path(scratch) / "bundle")},
            signature=signature,
            input_example=model_input(example, columns).to_pandas(),
            conda_env=environment(),
            registered_model_name=name,
            metadata={WEIGHTS_DIGEST: bundle.weights_hash()},
        )
    version = str(logged.registered_model_version)
    tag_version(name, version, WEIGHTS_DIGEST, bundle.weights_hash())
    client().update_model_version(name, version, description)
    alias = CHALLENGER if aliases(name).get(CHAMPION) else CHAMPION
    client().set_registered_model_alias(name, alias, version)
    return version, alias


def environment() -> dict[str, Any]:
    """What a model needs where it is loaded.

    All of it: of packages alone, MLflow would look for the version of pip, which an environment made by uv
    does not have, and say so at each training.
    """
    packages = [f"{package}=={installed(package)}" for package in _REQUIREMENTS]
    return {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python_version()}", "pip", {"pip": packages}],
    }


def model_input(rows: ArrowTable, columns: Columns) -> ArrowTable:
    """Raw features as double and string."""
    arrays: dict[str, Any] = {
        name: pa.array(numbers(rows, name).astype("float64"), from_pandas=True) for name in columns.numeric
    }
    return pa.table(arrays | {name: rows.column(name).cast(pa.string()) for name in columns.categorical})


def model_by_alias(name: str, alias: str) -> ModelVersion:
    """The model version that has an alias.

    Raises:
        LakehouseError: the model or the alias does not exist, or its files are gone.
    """
    version = aliases(name).get(alias)
    if version is None:
        known = ", ".join(sorted(aliases(name))) or "none"
        raise LakehouseError(
            f"model {name} has no alias {alias} (it has: {known})",
            "train one first: lakehouse train --spec SPEC --as-of 2013-10-01",
        )
    return model_version(name, version)


def model_version(name: str, version: str) -> ModelVersion:
    """A model version by its number.

    Raises:
        LakehouseError: it does not exist, or its files are gone.
    """
    try:
        found = client().get_model_version(name, version)
        folder = _folder(name, version)
    except (MlflowException, OSError) as error:
        raise LakehouseError(f"model {name} version {version} cannot be loaded: {error}") from error
    return ModelVersion(name, version, str(found.run_id), folder / "artifacts" / "bundle")


def _folder(name: str, version: str) -> Path:
    """A model's files: where they lie, or a copy where that is not on this machine."""
    uri = f"models:/{name}/{version}"
    place = str(client().get_model_version_download_uri(name, version))
    if place.startswith(("file:", "/")):
        return Path(download_artifacts(uri, tracking_uri=tracking_uri()))
    copy = copies(hashlib.sha256(f"{place} {uri}".encode()).hexdigest()[:16])
    return Path(download_artifacts(uri, tracking_uri=tracking_uri(), dst_path=copy))


def all_versions() -> Iterator[tuple[str, str]]:
    """Name and version of everything that is registered."""
    token: str | None = None
    while True:
        page = client().search_model_versions(page_token=token)
        yield from ((found.name, str(found.version)) for found in page)
        token = page.token
        if not token:
            return


def model_of_run(run_id: str) -> ModelVersion:
    """The model version that a training run registered.

    Raises:
        LakehouseError: it registered none, or its files are gone.
    """
    found = client().search_model_versions(f"run_id = '{run_id}'")
    if not found:
        raise LakehouseError(f"run {run_id} registered no model", "did its training end?")
    return model_version(found[0].name, str(found[0].version))


def promote(name: str, version: str) -> str | None:
    """Make a version the champion; the champion before it becomes `previous`.

    Returns:
        the version that was champion before, None when there was none.

    Raises:
        LakehouseError: there is no such version.
    """
    model_version(name, version)
    held = aliases(name)
    before = held.get(CHAMPION)
    if before == version:
        return before
    if before is not None:
        client().set_registered_model_alias(name, PREVIOUS, before)
    client().set_registered_model_alias(name, CHAMPION, version)
    if held.get(CHALLENGER) == version:
        client().delete_registered_model_alias(name, CHALLENGER)
    return before


def rollback(name: str) -> tuple[str, str]:
    """Make the version that was champion before the champion again.

    Returns:
        the version that was champion, and the one that is now.

    Raises:
        LakehouseError: there is no version before it.
    """
    if PREVIOUS not in aliases(name):
        raise LakehouseError(
            f"model {name} has had no champion before the one it has",
            "there is one once `lakehouse promote` has replaced a champion; to choose a version by name: "
            "lakehouse promote --version N --by NAME --reason WHY",
        )
    now, before = model_by_alias(name, CHAMPION), model_by_alias(name, PREVIOUS)
    client().set_registered_model_alias(name, CHAMPION, before.version)
    client().delete_registered_model_alias(name, PREVIOUS)
    tag_version(name, now.version, "promotion", f"rolled back to version {before.version}")
    return now.version, before.version


def tag_version(name: str, version: str, key: str, value: str) -> None:
    """Write something down with a model version."""
    client().set_model_version_tag(name, version, key, value)


def aliases(name: str) -> dict[str, str]:
    """Alias to version; empty when there is no such model."""
    found = client().search_registered_models(filter_string=f"name = '{name}'")
    return {alias: str(version) for alias, version in found[0].aliases.items()} if found else {}

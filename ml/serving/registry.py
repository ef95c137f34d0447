"""Which version has which alias, asked once a second.

MLflow keeps aliases in tables of its database. The warehouse's own SQLite file is read directly: importing
MLflow takes this process 5 s. A team's database or server is asked through MLflow, which also fetches bundles
that lie elsewhere.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlparse

import yaml

from lakehouse.errors import LakehouseError
from lakehouse.settings import settings
from ml.tracking.names import CHALLENGER, CHAMPION, WEIGHTS_DIGEST

_SERVED = (CHAMPION, CHALLENGER)


@dataclass(frozen=True)
class Registered:
    """A registered version with an alias.

    Args:
        run_id: of the run that registered it.
        folder: of its bundle, on this machine.
        digest: SHA-256 of the weights, as it was registered; None where it was not.
    """

    name: str
    version: str
    run_id: str
    folder: Path
    digest: str | None


Aliases = dict[str, Registered | LakehouseError]


class Registry(Protocol):
    """What is asked of a registry."""

    def aliases(self, name: str) -> Aliases:
        """The versions of a model by alias; empty when there is no such model.

        Returns:
            the version, or why it cannot be had, which is nothing to another alias.

        Raises:
            LakehouseError: the registry does not answer.
        """
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def open_registry() -> Registry:
    """The registry of this warehouse: its own file, or the database or server that the settings name."""
    if settings().mlflow_tracking_uri is None:
        return SqliteRegistry(settings().mlflow_dir / "mlflow.db")
    return MlflowRegistry()


_VERSIONS = """
    select
        aliases.alias,
        versions.version,
        versions.run_id,
        coalesce(versions.storage_location, versions.source),
        tags.value
    from registered_model_aliases as aliases
    inner join model_versions as versions
        on aliases.name = versions.name
        and cast(aliases.version as text) = cast(versions.version as text)
    left join model_version_tags as tags
        on versions.name = tags.name
        and cast(versions.version as text) = cast(tags.version as text)
        and tags.key = ?
    where aliases.name = ?
"""


class SqliteRegistry:
    """MLflow's SQLite file.

    Args:
        path: of the file; before the first training there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def aliases(self, name: str) -> Aliases:
        """See `Registry`."""
        if not self._path.is_file():
            return {}
        try:
            with closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True, timeout=5)) as database:
                found = database.execute(_VERSIONS, (WEIGHTS_DIGEST, name)).fetchall()
        except sqlite3.Error as error:
            raise LakehouseError(
                f"MLflow's database {self._path} cannot be read: {error}",
                "is it one of MLflow's? `lakehouse doctor` looks at the warehouse",
            ) from error
        return {
            alias: _or_why(partial(_registered, name, str(version), str(run_id), str(place), digest))
            for alias, version, run_id, place, digest in found
        }

    def close(self) -> None:
        """See `Registry`."""


class MlflowRegistry:
    """MLflow's own client on a team's database or server; a bundle is fetched once per version."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Registered] = {}
        # By default MLflow's client waits for two minutes, seven times; the next look is a second away. A
        # server that hands out weights fetches them whole before it begins.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")

    def aliases(self, name: str) -> Aliases:
        """See `Registry`."""
        from mlflow.exceptions import MlflowException

        from ml.tracking.registry import aliases

        try:
            asked = aliases(name)
        except MlflowException as error:
            raise LakehouseError(f"MLflow does not answer: {error}", "is its server up?") from error
        # Not what people call other versions: the bundle of each is fetched.
        return {
            alias: _or_why(partial(self._registered, name, version))
            for alias, version in asked.items()
            if alias in _SERVED
        }

    def _registered(self, name: str, version: str) -> Registered:
        from mlflow.exceptions import MlflowException

        from ml.tracking.registry import model_version
        from ml.tracking.runs import client

        known = self._found.get((name, version))
        if known is None:
            try:
                bundle = model_version(name, version).folder
                found = client().get_model_version(name, version)
            except MlflowException as error:
                raise LakehouseError(
                    f"MLflow does not give it: {error}", "are its files where MLflow says?"
                ) from error
            digest = found.tags.get(WEIGHTS_DIGEST) or _digest_in(bundle.parents[1])
            known = Registered(name, version, str(found.run_id), bundle, digest)
            self._found[name, version] = known
        return known

    def close(self) -> None:
        """See `Registry`."""


def _or_why(find: Callable[[], Registered]) -> Registered | LakehouseError:
    try:
        return find()
    except LakehouseError as error:
        return error
    except Exception as error:  # noqa: BLE001 - stores of files have errors of their own
        said = f"{type(error).__name__}: {error}"
        return LakehouseError(f"its files cannot be had: {said}", "are they where MLflow says?")


def _registered(name: str, version: str, run_id: str, place: str, digest: str | None) -> Registered:
    uri = urlparse(place)
    if uri.scheme not in ("", "file"):
        raise LakehouseError(
            f"model {name} version {version} lies at {place}, not on this machine",
            "the service reads bundles from the warehouse's own folder of MLflow",
        )
    folder = Path(unquote(uri.path))
    return Registered(name, version, run_id, folder / "artifacts" / "bundle", digest or _digest_in(folder))


def _digest_in(folder: Path) -> str | None:
    """What the model's own description says; versions of before have no tag."""
    path = folder / "MLmodel"
    described: Any = yaml.safe_load(path.read_text()) if path.is_file() else {}
    return (described.get("metadata") or {}).get(WEIGHTS_DIGEST)

"""MLflow: where runs are kept, and what goes into them."""

import atexit
import fcntl
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlparse

import mlflow
from matplotlib.figure import Figure
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from lakehouse.addresses import mlflow_run
from lakehouse.engine.state import exclusive
from lakehouse.errors import LakehouseError
from lakehouse.settings import settings

# Files of every training run.
MANIFEST, ARCHIVE = "training_set.json", "code.tar.gz"
# And of one whose model was trained again on its validation rows: the model that these measured.
VALIDATED = "validated"
_VARIABLE = "MLFLOW_TRACKING_URI"


def tracking_uri() -> str:
    """The server or database of the settings, or the SQLite file of the warehouse."""
    return settings().mlflow_tracking_uri or f"sqlite:///{settings().mlflow_dir / 'mlflow.db'}"


def shown_uri() -> str:
    """The same without a password, for people."""
    return re.sub(r"//[^/@]*@", "//", tracking_uri())


def has_server() -> bool:
    """Whether MLflow is a server of the team's: it decides where files lie, and has a page of its own."""
    return tracking_uri().startswith("http")


def client() -> MlflowClient:
    """MLflow's client on the warehouse, which also becomes the one of MLflow's own functions.

    The first of several processes makes or migrates the database, and the others wait.
    """
    settings().mlflow_dir.mkdir(parents=True, exist_ok=True)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    uri = tracking_uri()
    _make_default(uri)
    _migrate(uri)
    return MlflowClient()


def _make_default(uri: str) -> None:
    """The address of MLflow's own functions, in this process alone.

    MLflow sets its variable for child processes as well, where one with another warehouse would take it for
    what its user wants.
    """
    given = os.environ.get(_VARIABLE)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    if given is None:
        os.environ.pop(_VARIABLE, None)
    else:
        os.environ[_VARIABLE] = given


def migrated(uri: str) -> str:
    """The address of a database of MLflow's whose tables are this version's."""
    _migrate(uri)
    return uri


@cache
def _migrate(uri: str) -> None:
    """Open the database, once in a process: MLflow makes its tables then, and two at once collide."""
    with exclusive(settings().mlflow_dir / "migrate.lock"):
        connection = MlflowClient(uri, uri)
        # Runs and models are two stores on one database, each with a look of its own.
        connection.search_experiments(max_results=1)
        connection.search_registered_models(max_results=1)


@contextmanager
def training_run(experiment: str, name: str, resumed: str | None = None) -> Generator[str]:
    """A run of an experiment; it ends as failed when the block raises. Gives the run's id.

    Args:
        resumed: the id of a run to go on with, instead of a new one.

    Raises:
        LakehouseError: there is no run to go on with.
    """
    connection = client()
    if resumed is not None:
        with mlflow.start_run(run_id=find_run(resumed).info.run_id):
            yield resumed
        return
    found = connection.get_experiment_by_name(experiment)
    if found is None:
        experiment_id = connection.create_experiment(experiment, artifact_location=_artifacts(experiment))
    else:
        experiment_id = found.experiment_id
    with mlflow.start_run(experiment_id=experiment_id, run_name=name) as run:
        yield run.info.run_id


def _artifacts(experiment: str) -> str | None:
    """Where a new experiment keeps its files; None where MLflow's server says it."""
    if settings().mlflow_artifacts is not None:
        return f"{str(settings().mlflow_artifacts).rstrip('/')}/{experiment}"
    return None if has_server() else (settings().mlflow_dir / "artifacts" / experiment).as_uri()


@contextmanager
def resumed_run(run_id: str) -> Generator[None]:
    """A run that goes on; it ends as `training_run` does."""
    client()
    with mlflow.start_run(run_id=run_id):
        yield


@contextmanager
def checkpoints(run_id: str) -> Generator[Path]:
    """The folder of a run's checkpoint, for this process alone; it is removed when the block ends well.

    When the block raises, or the process dies, the folder stays for `lakehouse train --resume`.

    Raises:
        LakehouseError: another process is training this run.
    """
    folder = settings().mlflow_dir / "checkpoints" / run_id
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LakehouseError(
                f"run {run_id} is being trained by another process", "wait for it"
            ) from error
        yield folder
        shutil.rmtree(folder)


def forget_checkpoints(days: int, now: datetime | None = None) -> dict[str, int]:
    """Remove the checkpoints of trainings that died long ago; one that runs keeps its own.

    Args:
        days: for so long one stays after its last change.

    Returns:
        the ids of their runs, and how many bytes each had.
    """
    before = (now or datetime.now(UTC)) - timedelta(days=days)
    removed: dict[str, int] = {}
    for folder in sorted((settings().mlflow_dir / "checkpoints").glob("*")):
        files = [path for path in folder.rglob("*") if path.is_file()]
        newest = max((path.stat().st_mtime for path in [folder, *files]), default=0.0)
        if datetime.fromtimestamp(newest, UTC) >= before:
            continue
        with (folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            removed[folder.name] = sum(path.stat().st_size for path in files)
            shutil.rmtree(folder)
    return removed


def log_bytes(run_id: str, name: str, content: bytes) -> None:
    """Store a file with a run; `name` may hold folders."""
    folder, _, file = name.rpartition("/")
    with tempfile.TemporaryDirectory(prefix="lakehouse-artifact-") as scratch:
        path = Path(scratch) / file
        path.write_bytes(content)
        client().log_artifact(run_id, str(path), folder or None)


def log_pictures(run_id: str, figures: Mapping[str, Figure]) -> dict[str, Path]:
    """Store figures as `plots/<name>.png`; returns where each lies."""
    connection = client()
    for name, figure in figures.items():
        connection.log_figure(run_id, figure, f"plots/{name}.png")
    return {name: artifact(run_id, f"plots/{name}.png") for name in figures}


def find_run(run_id: str) -> Run:
    """A run by its id.

    Raises:
        LakehouseError: there is none.
    """
    try:
        return client().get_run(run_id)
    except MlflowException as error:
        raise LakehouseError(
            f"there is no training run {run_id!r} in {shown_uri()}",
            "`lakehouse train` prints a run's id; MLflow lists all",
        ) from error


def run_page(run_id: str) -> str:
    """A run's page: its path below the address of `lakehouse dev`, or its address on the team's server."""
    return mlflow_run(find_run(run_id).info.experiment_id, run_id)


def find_artifact(run_id: str, name: str) -> Path | None:
    """Where a file of a run lies on this machine; None where the run has none of that name.

    Raises:
        LakehouseError: there is no such run.
    """
    uri = urlparse(str(find_run(run_id).info.artifact_uri))
    if uri.scheme in ("", "file"):
        path = Path(unquote(uri.path)) / name
        return path if path.exists() else None
    listed = client().list_artifacts(run_id, name.rpartition("/")[0] or None)
    return artifact(run_id, name) if name in {str(each.path) for each in listed} else None


def artifact(run_id: str, name: str) -> Path:
    """Where a file of a run lies on this machine; of one elsewhere, a copy that goes with this process.

    Raises:
        LakehouseError: there is no such run, or it has no such file.
    """
    uri = urlparse(str(find_run(run_id).info.artifact_uri))
    # MLflow makes a copy in a temporary folder, also of what lies on this machine, and leaves it there.
    path = Path(unquote(uri.path)) / name
    if uri.scheme in ("", "file") and path.exists():
        return path
    try:
        return Path(
            download_artifacts(
                run_id=run_id, artifact_path=name, tracking_uri=tracking_uri(), dst_path=copies(run_id)
            )
        )
    except (MlflowException, OSError) as error:
        raise LakehouseError(
            f"run {run_id} has no {name}", "was it a finished training run of this project?"
        ) from error


def copies(what: str) -> str:
    """A folder for copies of files that do not lie on this machine; MLflow's own would stay for ever."""
    folder = Path(_copies(os.getpid())) / what
    folder.mkdir(exist_ok=True)
    return str(folder)


@cache
def _copies(process: int) -> str:
    folder = tempfile.mkdtemp(prefix=f"lakehouse-mlflow-{process}-")
    atexit.register(_remove, process, folder)
    return folder


def _remove(process: int, folder: str) -> None:
    # A forked process runs what its parent has registered, too.
    if process == os.getpid():
        shutil.rmtree(folder, ignore_errors=True)

"""MLflow: where runs are kept, and what goes into them."""

import fcntl
import logging
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlparse

import mlflow
from matplotlib.figure import Figure
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from lakehouse.engine.state import exclusive
from lakehouse.errors import LakehouseError
from lakehouse.settings import settings

# Files of every training run.
MANIFEST, ARCHIVE = "training_set.json", "code.tar.gz"
# And of one whose model was trained again on its validation rows: the model that these measured.
VALIDATED = "validated"


def tracking_uri() -> str:
    """The SQLite file of the warehouse."""
    return f"sqlite:///{settings().mlflow_dir / 'mlflow.db'}"


def client() -> MlflowClient:
    """MLflow's client on the warehouse, which also becomes the one of MLflow's own functions.

    The first of several processes makes or migrates the database, and the others wait.
    """
    settings().mlflow_dir.mkdir(parents=True, exist_ok=True)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    uri = tracking_uri()
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    _migrate(uri)
    return MlflowClient()


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
        location = (settings().mlflow_dir / "artifacts" / experiment).as_uri()
        experiment_id = connection.create_experiment(experiment, artifact_location=location)
    else:
        experiment_id = found.experiment_id
    with mlflow.start_run(experiment_id=experiment_id, run_name=name) as run:
        yield run.info.run_id


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
            f"there is no training run {run_id!r} in {tracking_uri()}",
            "`lakehouse train` prints a run's id; MLflow lists all",
        ) from error


def run_page(run_id: str) -> str:
    """The address of a run's page while `lakehouse dev` runs."""
    experiment = find_run(run_id).info.experiment_id
    return f"http://127.0.0.1:{settings().mlflow_port}/#/experiments/{experiment}/runs/{run_id}"


def artifact(run_id: str, name: str) -> Path:
    """Where a file of a run lies on this machine.

    Raises:
        LakehouseError: there is no such run, or it has no such file.
    """
    uri = urlparse(str(find_run(run_id).info.artifact_uri))
    # MLflow makes a copy in a temporary folder, also of what lies on this machine, and leaves it there.
    path = Path(unquote(uri.path)) / name
    if uri.scheme in ("", "file") and path.exists():
        return path
    try:
        return Path(download_artifacts(run_id=run_id, artifact_path=name, tracking_uri=tracking_uri()))
    except (MlflowException, OSError) as error:
        raise LakehouseError(
            f"run {run_id} has no {name}", "was it a finished training run of this project?"
        ) from error

"""A process of a standalone Spark cluster, in the foreground: `python deploy/cluster/spark.py ROLE --help`.

Every machine has this clone and its `.venv` under the same path (or the image), as executors run this Python.
"""

import fcntl
import os
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from lakehouse.engine import cluster
from lakehouse.errors import LakehouseError
from lakehouse.settings import settings

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Folder = Annotated[Path, typer.Option(help="For configuration, log and work of this process.")]
Secret = Annotated[Path, typer.Option(help="A file with the secret that the cluster's processes share.")]
Host = Annotated[str, typer.Option(help="The address to listen at, as others reach it; no other is opened.")]
Master = Annotated[str, typer.Option(help="Such as spark://10.0.0.1:7077.")]


@app.command()
def master(
    folder: Folder,
    secret: Secret,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option()] = 7077,
    ui_port: Annotated[int, typer.Option(help="Of its page.")] = 8080,
) -> None:
    """Hand out the workers."""
    _become(cluster.master(folder.resolve(), _read(secret), host, port, ui_port))


@app.command()
def worker(
    folder: Folder,
    secret: Secret,
    master: Master,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 0,
    ui_port: Annotated[int, typer.Option(help="Of its page; 0 takes a free one.")] = 0,
    cores: Annotated[int, typer.Option(min=1, help="What its executors may use together.")] = 2,
    memory_mb: Annotated[int, typer.Option(min=512, help="And so many MiB.")] = 2048,
) -> None:
    """Start executors on this machine."""
    _become(cluster.worker(folder.resolve(), _read(secret), host, port, ui_port, master, cores, memory_mb))


@app.command()
def connect(
    folder: Folder,
    secret: Secret,
    master: Master,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option()] = 15002,
    executor_mb: Annotated[
        int, typer.Option(min=512, help="Heap of an executor, which has one core.")
    ] = 1024,
) -> None:
    """Serve Spark Connect on the cluster; `LAKEHOUSE_CORES` and `LAKEHOUSE_HEAP_MB` are its own."""
    if not os.environ.get("SPARK_CONNECT_AUTHENTICATE_TOKEN"):
        raise LakehouseError(
            "SPARK_CONNECT_AUTHENTICATE_TOKEN is not set: anybody could run code here",
            "set it to a long random word, here and for each client",
        )
    config = settings()
    config.engine_dir.mkdir(parents=True, exist_ok=True)
    # One engine per warehouse: the lock of our own engine. Java inherits it, and keeps it while it lives.
    alive = os.open(config.engine_dir / "alive.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise LakehouseError(f"another engine lives in {config.warehouse}", "run `lakehouse down`") from error
    os.set_inheritable(alive, True)
    _become(cluster.connect(config, folder.resolve(), _read(secret), host, port, master, executor_mb))


def _read(secret: Path) -> str:
    return secret.read_text().strip()


def _become(daemon: cluster.Daemon) -> NoReturn:
    os.chdir(daemon.folder)
    # It is the process that a supervisor (systemd, Kubernetes) started, and gets its signals.
    os.execve(daemon.command[0], daemon.command, daemon.environment)  # noqa: S606


if __name__ == "__main__":
    try:
        app()
    except LakehouseError as error:
        raise SystemExit(f"{error}") from error

"""Schemas that one process makes for a while: never left behind for good, and never taken for someone else's.

Such a schema says in its properties that it is unfinished, and its owner keeps a lock file in
WAREHOUSE/engine/schemas for as long as it works on it. Both are needed: the mark tells it from a schema that
a person made, the lock a living owner from one that was killed.
"""

import fcntl
import os
import re
import shutil
import socket
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from grpc import RpcError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from lakehouse.delta.schema_locks import locks
from lakehouse.delta.table import sql_text
from lakehouse.engine import server, state
from lakehouse.engine.messages import without_plan
from lakehouse.engine.session import settled_session, spark_session
from lakehouse.errors import LakehouseError
from lakehouse.progress import Progress, silent
from lakehouse.settings import settings

# The value is the machine on which it was begun; none says that it is finished.
_PROPERTY = "lakehouse.unfinished"
_NAME = re.compile(r"[a-z][a-z0-9_]*", re.IGNORECASE)


@contextmanager
def owned_schemas(
    spark: SparkSession,
    names: Sequence[str],
    *,
    keep: bool = False,
    progress: Progress = silent,
) -> Generator[None]:
    """Make schemas for the time of a block; they are dropped however it ends.

    What a killed process left of them is dropped first. Where dropping them afterwards fails, that is
    reported, and the next block of the same names does it.

    Args:
        names: the first one names all of them.
        keep: leave them where the block ends well.

    Raises:
        LakehouseError: a name is none, another process works on them, or a person's schema has the name.
    """
    wrong = [name for name in names if not _NAME.fullmatch(name)]
    if wrong:
        raise LakehouseError(
            f"{wrong[0]!r} is not a schema's name", "use letters, digits and _, and begin with a letter"
        )
    with _owner(names) as lock:
        _make_room(spark, names, lock, progress)
        try:
            for name in names:
                spark.sql(f"create schema {name} with dbproperties ({_mark(socket.gethostname())})")
            yield
            if keep:
                # Asked for again: the block may have taken longer than a session lives unused.
                spark = spark_session()
                for name in names:
                    spark.sql(f"alter schema {name} set dbproperties ({_mark('')})")
        except BaseException:
            # Also Ctrl-C and SIGTERM, which ended the session: half a build is nobody's.
            if _dropped(names, progress):
                lock.unlink()
            raise
        if keep or _dropped(names, progress):
            lock.unlink()


def drop_schemas(spark: SparkSession, names: Sequence[str]) -> None:
    """Drop schemas with all that is in them, and the files that an interrupted statement left there."""
    for name in names:
        spark.sql(f"drop schema if exists {name} cascade")
        if server.tables_are_here():
            shutil.rmtree(settings().tables_dir / f"{name.lower()}.db", ignore_errors=True)


@contextmanager
def _owner(names: Sequence[str]) -> Generator[Path]:
    """Be the one process that works on schemas; gives its lock file, to be removed when nothing is left."""
    path = locks() / f"{names[0].lower()}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        while True:
            file = stack.enter_context(path.open("a+"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                raise LakehouseError(
                    f"schema {names[0]} is being made by {file.readline().strip() or 'another process'}",
                    "wait for it, or name another schema",
                ) from error
            if _is_at(path, file.fileno()):
                break
            # Its last owner removed it between the opening and the lock.
        file.truncate(0)
        command = " ".join(sys.argv)[:200].replace("\n", " ")
        file.write("\n".join([f"process {os.getpid()} ({command})", *(name.lower() for name in names)]))
        file.flush()
        os.fsync(file.fileno())
        state.sync_folder(path.parent)
        yield path


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _make_room(spark: SparkSession, names: Sequence[str], lock: Path, progress: Progress) -> None:
    """Drop what a dead owner left; refuse what is anybody else's."""
    there = [name for name in names if spark.catalog.databaseExists(name)]
    for name in there:
        maker = _unfinished_by(spark, name)
        if maker is None:
            lock.unlink()
            raise LakehouseError(f"there is a schema {name} already", "name another one, or drop it")
        if maker != socket.gethostname() and server.is_foreign():
            # On a server of several machines this one's lock says nothing of another's owner.
            lock.unlink()
            raise LakehouseError(
                f"schema {name} is being made on {maker}, or was left there",
                "run the command there, or drop the schema if nobody works on it",
            )
    if there:
        progress(f"schema {names[0]} was left by a process that was killed: it is made again")
        spark = settled_session()
    drop_schemas(spark, names)


def _mark(maker: str) -> str:
    return f"{sql_text(_PROPERTY)} = {sql_text(maker)}"


def _unfinished_by(spark: SparkSession, name: str) -> str | None:
    """The machine on which an unfinished schema was begun; None for any other schema."""
    rows = spark.sql(f"describe schema extended {name}").collect()
    told = "".join(str(row["info_value"]) for row in rows if row["info_name"] == "Properties")
    found = re.search(rf"\({re.escape(_PROPERTY)},([^()]+)\)", told)
    return found[1].strip() if found else None


def _dropped(names: Sequence[str], progress: Progress) -> bool:
    """Drop them, with a session that lives; whether that went well."""
    try:
        drop_schemas(settled_session(), names)
    except (PySparkException, RpcError, LakehouseError) as error:
        progress(
            f"schema {names[0]} could not be dropped: {without_plan(str(error))}; the same command replaces "
            "it, and `lakehouse doctor` names it until then"
        )
        return False
    return True

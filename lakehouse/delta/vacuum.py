"""The project's only VACUUM: it frees the files that nothing needs, and leaves tables that have a problem."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lakehouse.delta.files import data_files
from lakehouse.delta.limits import DEFAULT_HOURS
from lakehouse.delta.pins import Need, own_needs, pins_lock
from lakehouse.delta.retention import missing_files, property_problems, warehouse_tables, why_unreadable
from lakehouse.engine.server import tables_are_here
from lakehouse.errors import LakehouseError


@dataclass(frozen=True)
class Kept:
    """Files of earlier versions that stay because someone needs them; others may need them too."""

    who: str
    why: str
    files: int
    size_bytes: int


@dataclass(frozen=True)
class VacuumedTable:
    """What a vacuum frees in one table.

    Args:
        freed: the files, below the table's folder.
        kept_files, kept_bytes: what it would free besides, if nobody needed it.
        kept_for: who does.
    """

    name: str
    freed: tuple[str, ...]
    freed_bytes: int
    kept_files: int
    kept_bytes: int
    kept_for: tuple[Kept, ...]


@dataclass(frozen=True)
class Vacuumed:
    """What a vacuum freed, or would free.

    Args:
        tables: those that have earlier files old enough.
        lost: needs of which the table, or files, had been deleted before; what is left of them is kept.
        problems: what kept tables from being vacuumed.
    """

    tables: tuple[VacuumedTable, ...]
    lost: tuple[str, ...]
    problems: tuple[str, ...]


def vacuum(
    spark: SparkSession,
    needs: Sequence[Need],
    older_than_hours: int = DEFAULT_HOURS,
    *,
    untold: Sequence[str] = (),
    dry_run: bool = False,
    bronze: str = "bronze",
    tables: Collection[str] | None = None,
) -> Vacuumed:
    """Free the files of all tables but bronze that no current, needed or recent version has.

    Pins and what is published are needs, too. Logs are never touched. Of a table with a problem nothing is
    freed: a version that someone needs cannot be read, or its properties do not keep versions readable. The
    problem is named, and the other tables are vacuumed.

    Args:
        needs: what models need (`ml.provenance.needs`).
        older_than_hours: for so long a file stays after the last version that had it; where none did, after
            it was written.
        untold: who needs nobody knows what; while there is one, it may be any table.
        dry_run: only tell.
        bronze: the schema that is never vacuumed.
        tables: only look at these; all of the warehouse by default.

    Raises:
        LakehouseError: the warehouse is another server's; then nothing was freed.
    """
    if not tables_are_here():
        raise LakehouseError(
            "only tables on the disk of the project's own engine can be vacuumed",
            "unset SPARK_REMOTE, or ask its owner",
        )
    with pins_lock():
        every = warehouse_tables()
        looked_at = every if tables is None else {name: every[name] for name in tables}
        every_need = [*needs, *own_needs(spark)]
        wanted = [need for need in every_need if need.version.name in looked_at]
        problems = _problems(looked_at, wanted)
        lost = [
            f"{need}, but there is no such table" for need in every_need if need.version.name not in every
        ]
        lost += [
            f"{need}, but {missing}"
            for need in wanted
            if need.version.name not in problems
            and (missing := missing_files(looked_at[need.version.name], need.version)) is not None
        ]
        sound = {} if untold else {name: path for name, path in looked_at.items() if name not in problems}
        clones = _clones(every)
        planned: list[VacuumedTable] = []
        for name, folder in sound.items():
            if name.partition(".")[0] == bronze:
                continue
            found = _plan(name, folder, wanted, clones, older_than_hours)
            left = [] if dry_run else _free(spark, folder, found)
            problems |= {name: left} if left else {}
            planned.append(found)
    return Vacuumed(
        tables=tuple(each for each in planned if each.freed or each.kept_files),
        lost=tuple(lost),
        problems=(*untold, *(problem for of_table in problems.values() for problem in of_table)),
    )


def _problems(folders: Mapping[str, Path], needs: Sequence[Need]) -> dict[str, list[str]]:
    """Why a table must not be vacuumed, by table."""
    problems = property_problems(folders)
    for need in needs:
        name = need.version.name
        why = why_unreadable(folders[name], need.version)
        if why is not None:
            problems.setdefault(name, []).append(f"{need}, but {why}")
    return problems


def _clones(folders: Mapping[str, Path]) -> dict[str, set[Path]]:
    """Files that tables read from the folders of others, as dbt's shallow clones do."""
    return {
        name: borrowed
        for name, folder in folders.items()
        if (borrowed := {path for path in data_files(folder) if folder not in path.parents})
    }


def _plan(
    name: str, folder: Path, needs: Sequence[Need], clones: Mapping[str, set[Path]], older_than_hours: int
) -> VacuumedTable:
    unused = DeltaTable(folder).vacuum(
        older_than_hours, dry_run=True, enforce_retention_duration=False, full=True
    )
    # The log tells of files long after they were deleted; Spark's checksums (.crc) go with theirs.
    paths = [path for file in unused if (path := folder / file).exists() and not path.name.startswith(".")]
    sizes = {path: path.stat().st_size for path in paths}
    holders = [
        *(
            (
                need.who,
                f"{need.why}, version {need.version.version}",
                data_files(folder, need.version.version),
            )
            for need in needs
            if need.version.name == name
        ),
        *((clone, "a clone of its files", files) for clone, files in clones.items()),
    ]
    kept = sizes.keys() & {path for _, _, files in holders for path in files}
    freed = sorted(sizes.keys() - kept)
    return VacuumedTable(
        name=name,
        freed=tuple(str(path.relative_to(folder)) for path in freed),
        freed_bytes=sum(sizes[path] for path in freed),
        kept_files=len(kept),
        kept_bytes=sum(sizes[path] for path in kept),
        kept_for=tuple(
            Kept(who, why, len(held), sum(sizes[path] for path in held))
            for who, why, files in holders
            if (held := sizes.keys() & files)
        ),
    )


def _free(spark: SparkSession, folder: Path, planned: VacuumedTable) -> list[str]:
    """Delta deletes, of the files listed, those that its newest version by then does not have.

    Returns:
        what went wrong.
    """
    if not planned.freed:
        return []
    paths = [folder / file for file in planned.freed]
    inventory = pa.table(
        {
            "path": [f"file:{path}" for path in paths],
            "length": [path.stat().st_size for path in paths],
            "isDir": [False for _ in paths],
            "modificationTime": [int(path.stat().st_mtime * 1000) for path in paths],
        }
    )
    spark.createDataFrame(inventory).createOrReplaceTempView("vacuum_inventory")
    # The list has files that are old enough, and no others: Delta is told to look at no age.
    spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    try:
        spark.sql(f"vacuum {planned.name} using inventory (select * from vacuum_inventory) retain 0 hours")
    finally:
        spark.conf.unset("spark.databricks.delta.retentionDurationCheck.enabled")
        spark.catalog.dropTempView("vacuum_inventory")
    left = [path for path in paths if path.exists()]
    if not left:
        return []
    return [
        f"{planned.name}: {len(left)} of {len(paths)} files could not be deleted, {left[0]} first: "
        "look at their owner and rights"
    ]

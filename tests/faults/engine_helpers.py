"""Processes that use an engine from outside, as a person's terminals would."""

import os
import subprocess
import sys
from pathlib import Path

import psutil

from lakehouse.settings import PROJECT_ROOT, Settings

PRELUDE = "from lakehouse.engine.session import spark_session\nfrom lakehouse.engine import server\n"

# A write that takes many minutes, row by row. Without code generation: a generated loop over a range looks
# for its cancellation only when a row group is written.
LONG_WRITE = """
spark = spark_session()
spark.conf.set("spark.sql.codegen.wholeStage", "false")
spark.sql("create table if not exists default.victim (id bigint) using delta")
print("writing", flush=True)
spark.sql('''insert into default.victim
    select id from range(0, 4000000000, 1, 8) where sha2(cast(id as string), 256) > '0' ''')
"""


def environment(warehouse: Path, **extra: str) -> dict[str, str]:
    """The environment of a fresh terminal on this warehouse."""
    ours = ("SPARK_", "LAKEHOUSE_ENGINE_ADDRESS")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    return kept | {"LAKEHOUSE_WAREHOUSE": str(warehouse)} | extra


def start(code: str, warehouse: Path, *, cwd: Path | None = None, **extra: str) -> subprocess.Popen[str]:
    """Run Python code as another process, with pipes."""
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + code],
        env=environment(warehouse, **extra),
        cwd=cwd,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def bare_dbt(command: str, config: Settings, target: Path, **extra: str) -> subprocess.Popen[str]:
    """`dbt build` (or `run`) of two small nodes as an analyst types it; nothing of ours is called before."""
    return subprocess.Popen(
        [Path(sys.executable).with_name("dbt"), command, "--select", "us_holidays", "stg_airlines"],
        env=environment(
            config.warehouse,
            LAKEHOUSE_HEAP_MB=str(config.heap_mb),
            LAKEHOUSE_DBT_SCHEMA="analyst",
            DBT_TARGET_PATH=str(target),
            DBT_LOG_PATH=str(target),
            **extra,
        ),
        cwd=PROJECT_ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def output(process: subprocess.Popen[str], seconds: float = 240) -> str:
    """What a process printed; fails with its error output when it failed."""
    printed, errors = process.communicate(timeout=seconds)
    assert process.returncode == 0, errors or printed
    return printed.strip()


def newest_version(own: Settings, table: str) -> int:
    """The newest version by the files of the log: a query would wait behind the statement that is tested."""
    return max(int(path.stem) for path in (own.tables_dir / table / "_delta_log").glob("*.json"))


def until_busy(pid: int) -> None:
    """Wait until the engine has worked for half a second; with others at work that takes more than one."""
    process = psutil.Process(pid)
    before = sum(process.cpu_times()[:2])
    for _ in range(20):
        process.cpu_percent(interval=0.5)
        if sum(process.cpu_times()[:2]) - before > 0.5:
            return
    raise AssertionError("the write is not running")


def until_quiet(pid: int) -> None:
    """Wait until the engine does nothing any more."""
    process = psutil.Process(pid)
    for _ in range(30):
        if process.cpu_percent(interval=1.0) < 20:
            return
    raise AssertionError("the engine still works on a dead client's statement")

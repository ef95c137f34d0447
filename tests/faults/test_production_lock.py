"""Who writes to production, with real processes: one at a time, also when they are killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.faults.engine_helpers import environment

# Each says a line when it has got in, and goes on when it is sent one.
WRITER = """
import sys
from lakehouse.production import production
with production({what!r}, progress=lambda told: print(told, flush=True)):
    print("in", flush=True)
    {inside}
    sys.stdin.readline()
print("out", flush=True)
"""
# What it starts is a process of its own, as dbt is below a step of the graph.
CHILD = 'import subprocess; subprocess.run([sys.executable, "-c", open("child.py").read()])'


class Writers:
    """Processes on one warehouse, ended with the test."""

    def __init__(self, warehouse: Path) -> None:
        self.warehouse = warehouse
        self.started: list[subprocess.Popen[str]] = []

    def start(self, what: str, inside: str = "pass", **extra: str) -> subprocess.Popen[str]:
        return self.run(WRITER.format(what=what, inside=inside), **extra)

    def run(self, code: str, **extra: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment(self.warehouse, PYTHONPATH=str(Path.cwd()), **extra),
            cwd=self.warehouse,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.started.append(process)
        return process


@pytest.fixture
def writers(tmp_path: Path) -> Iterator[Writers]:
    found = Writers(tmp_path)
    yield found
    for process in found.started:
        alive = [process, *psutil.Process(process.pid).children(recursive=True)] if _lives(process) else []
        for each in alive:
            each.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def _lives(process: subprocess.Popen[str]) -> bool:
    return process.poll() is None


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_the_second_waits_for_the_first_and_is_told_for_whom(writers: Writers) -> None:
    first = writers.start("lakehouse materialize")
    assert line(first) == "in"
    second = writers.start("dbt build")
    assert line(second) == (
        f"waits for process {first.pid} (lakehouse materialize), which writes to production …"
    )
    go_on(first)
    assert line(first) == "out"
    assert line(second) == "in"


def test_of_many_at_once_each_is_alone(writers: Writers) -> None:
    # A writer that finds another one's mark dies of it.
    alone = (
        "import os; os.close(os.open('mark', os.O_CREAT | os.O_EXCL)); os.sched_yield(); os.unlink('mark')"
    )
    code = (
        "from lakehouse.production import production\n"
        f"for _ in range(50):\n    with production('one of many'):\n        {alone}\n"
        "print('done', flush=True)"
    )
    racers = [writers.run(code) for _ in range(4)]
    assert [racer.communicate(timeout=120)[0] for racer in racers] == ["done\n"] * 4


def test_a_killed_holder_lets_the_next_one_in(writers: Writers) -> None:
    first = writers.start("a build")
    assert line(first) == "in"
    second = writers.start("another build")
    assert line(second).startswith(f"waits for process {first.pid}")
    first.kill()
    assert line(second) == "in"


def test_a_child_of_the_holder_is_let_in(writers: Writers) -> None:
    (writers.warehouse / "child.py").write_text(WRITER.format(what="dbt", inside="pass"))
    parent = writers.start("a step", CHILD)
    assert [line(parent), line(parent)] == ["in", "in"]
    stranger = writers.start("a stranger")
    assert line(stranger).startswith(f"waits for process {parent.pid} (a step)")
    go_on(parent)
    assert line(parent) == "out", "the child's"
    go_on(parent)
    assert [line(parent), line(stranger)] == ["out", "in"]


def test_what_a_killed_holder_left_running_is_waited_for(writers: Writers) -> None:
    (writers.warehouse / "child.py").write_text(WRITER.format(what="dbt", inside="pass"))
    parent = writers.start("a step", CHILD)
    assert [line(parent), line(parent)] == ["in", "in"]
    (left,) = psutil.Process(parent.pid).children()
    parent.kill()
    parent.wait()
    assert left.is_running()
    stranger = writers.start("a stranger")
    assert line(stranger) == (
        f"waits for what process {parent.pid} (a step) has left running, which writes to production …"
    )
    left.kill()
    assert line(stranger) == "in"


def test_a_variable_of_a_holder_that_has_gone_lets_nobody_in(writers: Writers) -> None:
    parent = writers.start(
        "a step", "import os; print(os.environ['LAKEHOUSE_PRODUCTION_HOLDER'], flush=True)"
    )
    assert line(parent) == "in"
    variable = line(parent)
    parent.kill()
    parent.wait()
    first = writers.start("who came first")
    assert line(first) == "in"
    stale = writers.start("with a stale variable", LAKEHOUSE_PRODUCTION_HOLDER=variable)
    assert line(stale).startswith(f"waits for process {first.pid} (who came first)")


def test_a_variable_that_was_copied_lets_no_stranger_in(writers: Writers) -> None:
    """The holder lives and the token is right, but this process is none of those that it started."""
    holder = writers.start(
        "a step", "import os; print(os.environ['LAKEHOUSE_PRODUCTION_HOLDER'], flush=True)"
    )
    assert line(holder) == "in"
    copied = writers.start("a stranger", LAKEHOUSE_PRODUCTION_HOLDER=line(holder))
    assert line(copied).startswith(f"waits for process {holder.pid} (a step)")


def test_ctrl_c_ends_the_waiting(writers: Writers) -> None:
    first = writers.start("a build")
    assert line(first) == "in"
    second = writers.run(
        "import sys\n"
        "from lakehouse.production import production\n"
        "try:\n"
        "    with production('b', progress=lambda told: print(told, flush=True)):\n"
        "        print('in', flush=True)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', flush=True)\n"
        "with production('c', progress=lambda told: print(told, flush=True)):\n"
        "    print('in', flush=True)\n"
    )
    assert line(second).startswith("waits for")
    # Signals that come before the kernel waits are handled as well: it is the handler that raises.
    os.kill(second.pid, signal.SIGINT)
    assert line(second) == "interrupted"
    assert line(second).startswith("waits for"), "and it can wait again"
    go_on(first)
    assert line(second) == "in"


def test_a_fork_that_outlives_its_holder_does_not_keep_the_lock(writers: Writers) -> None:
    """A data loader's worker, say: it has a copy of every descriptor."""
    forking = "import os; fork = os.fork(); print(fork or sys.stdin.readline(), flush=True)"
    parent = writers.start("a step", forking)
    assert line(parent) == "in"
    fork = psutil.Process(int(line(parent)))
    parent.kill()
    parent.wait()
    second = writers.start("another")
    assert line(second) == "in"
    assert fork.is_running() and fork.status() != psutil.STATUS_ZOMBIE
    fork.kill()


def test_a_child_of_an_earlier_block_waits_for_a_later_one(writers: Writers) -> None:
    (writers.warehouse / "child.py").write_text(
        "import sys\nsys.stdin.readline()\n" + WRITER.format(what="left from before", inside="pass")
    )
    parent = writers.run(
        "import subprocess, sys\n"
        "from lakehouse.production import production\n"
        "with production('earlier'):\n"
        "    child = subprocess.Popen([sys.executable, '-c', open('child.py').read()])\n"
        "with production('later'):\n"
        "    print('later', flush=True)\n"
        "    child.wait()\n"
    )
    assert line(parent) == "later"
    go_on(parent)
    assert line(parent) == f"waits for process {parent.pid} (later), which writes to production …"


# A graph of one asset that writes, run as `lakehouse materialize` does; it needs no engine.
STEP = """
import dagster as dg
from orchestration.progress import progress_logger
from orchestration.run import materialize
from orchestration.writing import writing

@dg.asset
def written(context: dg.AssetExecutionContext):
    with writing(context):
        print("in", flush=True)

graph = dg.Definitions([written], loggers={"console": progress_logger}, executor=dg.in_process_executor)
print(list(materialize("*", definitions=graph).materialized), flush=True)
"""


def test_a_step_of_the_graph_waits_for_another_writer_and_says_so(writers: Writers) -> None:
    holder = writers.start("lakehouse check features")
    assert line(holder) == "in"
    step = writers.run("import os; os.dup2(1, 2)\n" + STEP)
    while "waits for" not in (said := line(step)):
        assert said and said != "in"
    assert f"waits for process {holder.pid} (lakehouse check features)" in said
    go_on(holder)
    assert [line(step), line(step)] == ["in", "['written']"]

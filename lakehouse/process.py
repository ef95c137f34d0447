"""Another program, run to its end, its output told line by line."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lakehouse import bound


@dataclass(frozen=True)
class Finished:
    """A program that has ended.

    Args:
        code: its exit status.
        output: what it printed, then what it printed as errors.
    """

    code: int
    output: str

    def end(self, lines: int) -> str:
        """The last lines of its output."""
        return "\n".join(self.output.strip().splitlines()[-lines:])


def dying_with_us(command: Sequence[str]) -> list[str]:
    """A command whose process is killed when the thread that starts it ends, also by a kill -9.

    Left alone it would go on, and write beside whoever comes next.
    """
    return [sys.executable, "-I", "-S", str(Path(bound.__file__)), str(os.getpid()), *command]


def run_process(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], on_line: Callable[[str], None]
) -> Finished:
    """Run a program; it is killed where this is interrupted or killed.

    Args:
        folder: where it runs.
        environment: all its variables.
        on_line: told of each line that it prints, as it is printed.
    """
    lines: list[str] = []
    with (
        # A second pipe could fill while the first is read.
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            dying_with_us(command),
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as running,
    ):
        try:
            for line in running.stdout or ():
                lines.append(line)
                on_line(line.rstrip("\n"))
            running.wait()
        except BaseException:
            # Left alone it would be waited for, until it has done all.
            running.kill()
            raise
        errors.seek(0)
        return Finished(running.returncode, "".join([*lines, *errors]))

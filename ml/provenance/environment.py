"""What a training ran on and with: recorded, so that a difference later can be given its cause."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict
from pyspark.sql import SparkSession

from lakehouse.settings import PROJECT_ROOT


class Environment(BaseModel):
    """Machine and software of a training.

    Args:
        packages: every installed Python distribution and its version.
        java, spark: versions, as the engine says.
        cpu: the processor's name.
        cpu_capability: the instructions torch uses on it, such as AVX2; they decide the last bits.
        threads: of torch.
        time_zone: of the process.
    """

    model_config = ConfigDict(frozen=True)

    python: str
    packages: dict[str, str]
    java: str
    spark: str
    system: str
    cpu: str
    cpu_count: int
    cpu_capability: str
    threads: int
    time_zone: str


class Code(BaseModel):
    """The code's state; `commit` is None outside a git checkout.

    Args:
        dirty: whether the working tree differs from the commit; the archive has what it differed in.
        archive_sha256: of `code.tar.gz` beside the manifest.
    """

    model_config = ConfigDict(frozen=True)

    commit: str | None
    dirty: bool
    archive_sha256: str


def environment(spark: SparkSession, threads: int) -> Environment:
    """Describe this machine, this process and the engine."""
    java = spark.sql(
        "select java_method('java.lang.System', 'getProperty', 'java.runtime.version')"
    ).collect()
    return Environment(
        python=platform.python_version(),
        packages=installed_packages(),
        java=str(java[0][0]),
        spark=spark.version,
        system=platform.platform(),
        cpu=_cpu(),
        cpu_count=os.cpu_count() or 1,
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        threads=threads,
        time_zone=os.environ.get("TZ", "") or str(Path("/etc/localtime").resolve()),
    )


def code(archive_sha256: str, root: Path = PROJECT_ROOT) -> Code:
    """The state of the checkout."""
    commit = _git(root, "rev-parse", "HEAD")
    return Code(commit=commit, dirty=_git(root, "status", "--porcelain") != "", archive_sha256=archive_sha256)


def _git(root: Path, *arguments: str) -> str | None:
    """None where there is no git, no repository, or no commit."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


@cache
def installed_packages() -> dict[str, str]:
    """Every distribution that can be imported, lower-case, and its version."""
    versions: dict[str, str] = {}
    for found in distributions():
        # One environment laid over another has a package twice; the first on the path is imported.
        versions.setdefault(str(found.metadata["Name"]).lower(), found.version)
    return dict(sorted(versions.items()))


@cache
def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    names = (
        [line for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.exists()
        else []
    )
    return names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()

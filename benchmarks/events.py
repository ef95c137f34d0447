"""Spark's own event log of an engine: statements, jobs and tasks, which no other work changes."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Counts:
    """What an engine did between two times.

    Args:
        statements: that clients gave.
        records: read by tasks.
    """

    statements: int = 0
    jobs: int = 0
    tasks: int = 0
    records: int = 0


def environment(folder: Path) -> dict[str, str]:
    """The variables by which an engine that is started with them writes its events into a folder.

    Its Java reads them, whoever starts it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = {"enabled": "true", "compress": "false", "rolling.enabled": "false", "dir": folder.as_uri()}
    return {
        "JAVA_TOOL_OPTIONS": " ".join(f"-Dspark.eventLog.{name}={value}" for name, value in options.items())
    }


def between(folder: Path, began: float, ended: float) -> Counts:
    """What is in the event logs of a folder between two times of day, in seconds."""
    statements = jobs = tasks = records = 0
    for file in folder.iterdir():
        for line in file.open():
            if line.startswith('{"Event":"SparkListenerJobStart"'):
                jobs += began <= json.loads(line)["Submission Time"] / 1000 <= ended
            elif line.startswith('{"Event":"SparkListenerTaskEnd"'):
                task = json.loads(line)
                if began <= task["Task Info"]["Finish Time"] / 1000 <= ended:
                    tasks += 1
                    records += task.get("Task Metrics", {}).get("Input Metrics", {}).get("Records Read", 0)
            elif "SparkListenerConnectOperationStarted" in line[:120]:
                statements += began <= json.loads(line)["eventTime"] / 1000 <= ended
    return Counts(statements, jobs, tasks, records)

"""What a run prints: a line when a step starts and ends, and what failed. The UI has all the rest."""

import logging
import re
import sys

import dagster as dg
from dagster import DagsterEvent, DagsterEventType


class _Lines(logging.Handler):
    """Writes one short line for each event that a person waits for."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the line of an event, or of a step's own message; nothing for the other events."""
        meta = getattr(record, "dagster_meta", {})
        event: DagsterEvent | None = meta.get("dagster_event")
        line = _said(str(meta.get("orig_message", record.getMessage()))) if event is None else _line(event)
        if line:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()


# What Dagster says of a step after a failed one: the same name for each of its inputs.
_NOT_RUN = re.compile(
    r"Dependencies for step (?P<step>\S+?)(?: failed: \[(?P<failed>.*?)\])?(?: were not .*)?\. Not exec"
)
# And of a gate that tells of tables which nobody asked for: it is meant to.
_MEANT = "was yielded which is not selected. Letting it through."


def _said(message: str) -> str | None:
    """The line of a message that belongs to no event."""
    if message.endswith(_MEANT):
        return None
    not_run = _NOT_RUN.match(message)
    if not_run is None:
        return f"    {message}"
    failed = sorted(set(re.findall(r"'([^']+)'", not_run["failed"] or "")))
    because = f", as {', '.join(map(_step, failed))} failed" if failed else ""
    return f"  - {_step(not_run['step'])} (not run{because})"


def _step(key: str) -> str:
    return key.replace("__", "/")


def _line(event: DagsterEvent) -> str | None:
    step = _step(event.step_key or "")
    if event.event_type is DagsterEventType.STEP_START:
        return f"  … {step}"
    if event.event_type is DagsterEventType.STEP_SUCCESS:
        return f"  ✓ {step} ({event.step_success_data.duration_ms / 1000:.1f} s)"
    if event.event_type is DagsterEventType.STEP_FAILURE:
        return f"  ✗ {step}"
    if event.event_type is DagsterEventType.STEP_SKIPPED:
        return f"  - {step} (not run)"
    if event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION:
        check = event.asset_check_evaluation_data
        return (
            None if check.passed else f"    failed: {check.check_name} on {check.asset_key.to_user_string()}"
        )
    return None


def _progress_logger(context: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.Logger("lakehouse.progress", level=logging.INFO)
    logger.addHandler(_Lines())
    return logger


progress_logger = dg.LoggerDefinition(_progress_logger, description="The console's: one line for each step.")

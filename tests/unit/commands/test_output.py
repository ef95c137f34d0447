"""Results as JSON: whatever they hold, a strict reader can read them."""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from commands.output import print_json


@dataclass(frozen=True)
class Result:
    metrics: dict[str, float]
    days: tuple[date, ...]
    folder: Path
    inner: "Result | None" = None


def test_nan_and_infinity_are_null(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {"auc": float("nan"), "loss": float("inf"), "rate": 0.5}
    inner = Result(metrics, (), Path("/b"))
    print_json([Result(metrics, (date(2013, 1, 2),), Path("/a"), inner)])

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    (found,) = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert found["metrics"] == {"auc": None, "loss": None, "rate": 0.5}
    assert found["days"] == ["2013-01-02"]
    assert found["inner"]["metrics"] == found["metrics"]

"""Results as JSON: whatever they hold, a strict reader can read them."""

import json
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from commands import output
from commands.output import print_json, table


@dataclass(frozen=True)
class Result:
    metrics: dict[str, float]
    days: tuple[date, ...]
    folder: Path
    inner: "Result | None" = None
    kept: str = field(default="to look further", repr=False)


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
    assert "kept" not in found


ROWS = [
    ["dev_me.flight_training_set", "bronze.weather_observations@v9", "3 days, 2013-10-01 to 2013-10-03"],
    ["dev_me.feat_origin_weather", None, "[no new day]"],
]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_name_is_broken_however_short_a_line_is(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "console", Console(highlight=False, width=width))
    table("Plan", ["table", "reads", "days"], ROWS)
    lines = capsys.readouterr().out.splitlines()
    words = {word for line in lines for word in line.replace("│", " ").split()}
    assert {ROWS[0][0], ROWS[0][1], ROWS[1][0], "Plan"} <= words
    assert "[no new day]" in " ".join(" ".join(lines).split())
    assert all(len(line) <= width for line in lines)


def test_a_table_that_fits_is_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "console", Console(highlight=False, width=80))
    table("Plan", ["table", "days"], [[row[0], row[2]] for row in ROWS])
    assert "│ dev_me.flight_training_set │ 3 days, 2013-10-01 to 2013-10-03 │" in capsys.readouterr().out

"""Leaks planted in a feature are found, honest features are not accused."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lakehouse.errors import LakehouseError
from ml.data.columns import Columns
from ml.spec import load_spec
from ml.training.leakage import feature_aucs, refuse_leaks

RANDOM = np.random.default_rng(5)
COUNT, DAYS = 6000, 60
DAY = [date(2013, 1, 1) + timedelta(days=int(at)) for at in np.sort(RANDOM.integers(0, DAYS, COUNT))]
WIND = RANDOM.normal(size=COUNT)
# Minutes of delay, of which a fifth is above 15: the label's source.
MINUTES = 20 * (WIND + RANDOM.normal(size=COUNT)) - 9
LATE = MINUTES > 15
FLIPPED = LATE ^ (RANDOM.random(COUNT) < 0.02)
# Known beforehand, and of use: some airlines are late more often.
AIRLINE = np.where(RANDOM.random(COUNT) < 0.3 + 0.4 * LATE, "AA", "UA")
SPEC = load_spec("arrival_delay")


def measured(kind: str, values: Any) -> float:
    columns, rows = planted(kind, values)
    return feature_aucs(columns, rows, LATE.astype(np.float32))["planted"]


def planted(kind: str, values: Any) -> tuple[Columns, pa.Table]:
    """An honest number and category, and a third feature."""
    numeric, categorical = (("wind", "planted"), ("airline",))
    if kind == "categorical":
        numeric, categorical = (("wind",), ("airline", "planted"))
    columns = Columns(
        entity=("id",),
        event_time="at",
        partition="day",
        numeric=numeric,
        categorical=categorical,
        label="is_late",
        label_time="known_at",
        label_end="superseded_at",
    )
    rows = {"id": range(COUNT), "day": DAY, "wind": WIND, "airline": AIRLINE, "is_late": LATE}
    return columns, pa.table(rows | {"planted": values})


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        pytest.param("numeric", FLIPPED.astype(int), id="the label, one in fifty flipped"),
        pytest.param("numeric", pa.array(FLIPPED), id="the same as a boolean"),
        pytest.param("numeric", MINUTES, id="what the label is made from"),
        pytest.param("numeric", -MINUTES, id="the other way round"),
        pytest.param("numeric", np.abs(MINUTES - 60), id="late on both sides of a middle"),
        pytest.param("numeric", pa.array(WIND * 0 + 3, mask=LATE), id="NULL only when late"),
        pytest.param("numeric", np.where(LATE, np.nan, RANDOM.normal(size=COUNT)), id="NaN only when late"),
        pytest.param("categorical", np.where(FLIPPED, "gate B", "gate A"), id="a category"),
        pytest.param(
            "categorical",
            pa.array(np.char.add("stand ", RANDOM.integers(0, 40, COUNT).astype(str)), mask=LATE),
            id="a category, NULL only when late",
        ),
    ],
)
def test_a_planted_leak_is_refused_by_name(kind: str, values: Any) -> None:
    columns, rows = planted(kind, values)
    with pytest.raises(LakehouseError) as refused:
        refuse_leaks(SPEC, columns, rows)
    message = str(refused.value)
    assert message.startswith("planted (AUC 0.9") or message.startswith("planted (AUC 1.000)")
    assert "leak_auc: 0.95" in message
    assert "known_at <= predict_at" in message
    assert "wind" not in message


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        pytest.param("numeric", RANDOM.normal(size=COUNT), id="noise"),
        pytest.param("numeric", WIND * 0 + 1, id="always the same"),
        pytest.param("numeric", pa.nulls(COUNT, pa.float64()), id="always missing"),
        pytest.param("numeric", pa.array(WIND, mask=RANDOM.random(COUNT) < 0.5), id="missing at random"),
        pytest.param("categorical", [f"flight {row}" for row in range(COUNT)], id="its own name"),
        pytest.param(
            "categorical", [f"tail {row}" for row in RANDOM.integers(0, 3000, COUNT)], id="two each"
        ),
        pytest.param("categorical", [str(day) for day in DAY], id="the day"),
    ],
)
def test_an_honest_feature_is_not_accused(kind: str, values: Any) -> None:
    columns, rows = planted(kind, values)
    said: list[str] = []
    refuse_leaks(SPEC, columns, rows, said.append)
    assert said == [said[0]]
    assert said[0].startswith("no feature tells is_late alone: the strongest, wind, has AUC 0.8")
    assert 0.4 < measured(kind, values) < 0.85


def test_many_values_are_no_leak_though_each_knows_its_own_label() -> None:
    """Measured on the rows that it was learned from, such a category would tell everything."""
    assert measured("categorical", [f"flight {row}" for row in range(COUNT)]) == 0.5


def test_the_limit_may_be_raised_but_the_label_itself_stays_refused() -> None:
    open_spec = SPEC.model_copy(update={"leak_auc": 1.0})
    refuse_leaks(open_spec, *planted("numeric", MINUTES))
    told = pa.array(np.where(LATE, "late", "on time"))
    for kind, values in (
        ("numeric", np.where(LATE, 7, -7)),
        ("numeric", pa.array(np.ones(COUNT), mask=LATE)),
        ("numeric", [(None, np.nan, -np.nan)[row % 3] if late else 1.0 for row, late in enumerate(LATE)]),
        ("categorical", told),
        ("categorical", told.dictionary_encode()),
    ):
        with pytest.raises(LakehouseError, match="exact function of the label"):
            refuse_leaks(open_spec, *planted(kind, values))


def test_a_rare_label_is_not_thinned_out() -> None:
    count = 60_000
    rare = np.arange(count) % 500 == 0
    day = [date(2013, 1, 1) + timedelta(days=at // 1000) for at in range(count)]
    rows = pa.table({"day": day, "x": RANDOM.normal(size=count) + 10 * rare})
    columns = Columns(("id",), "at", "day", ("x",), ())
    assert feature_aucs(columns, rows, rare.astype(np.float32))["x"] > 0.99


@pytest.mark.parametrize("rows", [slice(0, 60), slice(60, 140)], ids=["one day", "few rows"])
def test_too_few_rows_are_said_to_be_too_few(rows: slice) -> None:
    columns, table = planted("numeric", MINUTES)
    said: list[str] = []
    refuse_leaks(SPEC, columns, table.slice(rows.start, rows.stop), said.append)
    assert said[0].startswith("leaks can't be looked for")


def test_a_column_cannot_be_feature_and_label() -> None:
    for feature in ("is_late", "Is_Late", "known_at", "superseded_at"):
        with pytest.raises(LakehouseError, match=f"{feature.lower()} has two roles"):
            Columns(
                entity=("id",),
                event_time="at",
                partition="day",
                numeric=(feature,),
                categorical=(),
                label="is_late",
                label_time="known_at",
                label_end="superseded_at",
            )

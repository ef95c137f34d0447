"""Raw columns to numbers: statistics, missing and unseen values, and the way through JSON."""

from decimal import Decimal
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import LakehouseError
from ml.data.encoding import MISSING, UNSEEN, Encoding, encode, fit_encoding

ROWS = pa.table(
    {
        "delay": pa.array([1.5, None, float("nan"), 30.0, 4.0, 5.0]),
        "seats": pa.array([100, 200, 200, None, 150, 150], pa.int32()),
        "wind": pa.array([Decimal("1.5"), None, Decimal("2.5"), None, None, None], pa.decimal128(5, 1)),
        "origin": ["JFK", "JFK", "EWR", None, "LGA", "EWR"],
        "carrier": ["AA", "AA", "UA", "UA", "B6", None],
    }
)
NUMERIC, CATEGORICAL = ["delay", "seats", "wind"], ["origin", "carrier"]


def fitted(**changes: object) -> Encoding:
    options: dict = {"crosses": [("origin", "carrier")], "bins": 4, "rare_below": 2} | changes
    return fit_encoding(ROWS, NUMERIC, CATEGORICAL, **options)


def test_missing_numbers_are_nan_whether_null_or_nan() -> None:
    numeric, _ = encode(fitted(), ROWS)
    assert np.isnan(numeric).tolist() == [
        [False, False, False],
        [True, False, True],
        [True, False, False],
        [False, True, True],
        [False, False, True],
        [False, False, True],
    ]
    assert numeric[0].tolist() == [1.5, 100.0, 1.5]


def test_codes_of_missing_rare_and_unseen_categories() -> None:
    encoding = fitted()
    assert encoding.categories == {"origin": ("EWR", "JFK"), "carrier": ("AA", "UA")}
    _, codes = encode(encoding, ROWS)
    assert codes[:, 0].tolist() == [3, 3, 2, MISSING, UNSEEN, 2]
    # Only JFK with AA is frequent enough to be a pair of its own.
    assert codes[:, 2].tolist() == [2, 2, UNSEEN, UNSEEN, UNSEEN, UNSEEN]
    unseen = pa.table(
        {name: ROWS.column(name).slice(0, 1) for name in NUMERIC} | {"origin": ["XXX"], "carrier": ["AA"]}
    )
    assert encode(encoding, unseen)[1].tolist() == [[UNSEEN, 2, UNSEEN]]
    assert encoding.code_counts == (4, 4, 3)


def test_edges_are_quantiles_of_what_is_there_and_ascend() -> None:
    edges = fitted().edges
    assert edges["seats"] == (100.0, 150.0, 200.0)
    assert edges["delay"][0] == 1.5
    assert edges["delay"][-1] == 30.0
    assert fit_encoding(ROWS.slice(3, 1), ["wind", "delay"], [], bins=4, rare_below=1).edges == {
        "wind": (0.0, 1.0),
        "delay": (0.0, 1.0),
    }


@given(st.lists(st.none() | st.floats(width=32), min_size=1, max_size=60), st.integers(2, 20))
def test_any_numbers_give_ascending_edges_that_survive_json(values: list[float | None], bins: int) -> None:
    rows = pa.table({"x": pa.array(values, pa.float64())})
    encoding = fit_encoding(rows, ["x"], [], bins=bins, rare_below=1)
    edges = encoding.edges["x"]
    assert len(edges) >= 2
    assert all(low < high for low, high in pairwise(edges))
    assert Encoding.from_json(encoding.to_json()) == encoding


def test_the_way_through_json_changes_nothing() -> None:
    encoding = fitted()
    again = Encoding.from_json(encoding.to_json())
    assert again == encoding
    for before, after in zip(encode(encoding, ROWS), encode(again, ROWS), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS.drop_columns(["seats"]), "feature seats is missing"),
        (ROWS.set_column(1, "seats", ROWS.column("origin")), "feature seats is string, not a number"),
    ],
)
def test_what_cannot_be_encoded_is_refused_by_name(rows: pa.Table, message: str) -> None:
    with pytest.raises(LakehouseError, match=message):
        encode(fitted(), rows)


def test_a_cross_of_an_unknown_feature_is_refused() -> None:
    with pytest.raises(LakehouseError, match="seats is no categorical feature"):
        fitted(crosses=[("origin", "seats")])

"""Raw columns to numbers: statistics, missing and unseen values, and the way through JSON."""

from decimal import Decimal
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import LakehouseError
from ml.encoding.encode import MISSING, UNSEEN, Cross, Encoding, encode, numbers
from ml.encoding.fit import ByDay, fit_encoding

ROWS = pa.table(
    {
        "delay": pa.array([1.5, None, float("nan"), 30.0, 4.0, 5.0]),
        "seats": pa.array([100, 200, 200, None, 150, 150], pa.int32()),
        "wind": pa.array([Decimal("1.5"), None, Decimal("2.5"), None, None, None], pa.decimal128(5, 1)),
        "origin": ["JFK", "JFK", "EWR", None, "LGA", "EWR"],
        "carrier": ["AA", "AA", "UA", "UA", "B6", None],
    }
)
LATE = np.array([0, 1, 1, 0, 1, 0], np.float32)
NUMERIC, CATEGORICAL = ["delay", "seats", "wind"], ["origin", "carrier"]


def fitted(**changes: object) -> Encoding:
    options: dict = {
        "crosses": [("origin", "carrier")],
        "bins": 4,
        "min_bin_rows": 1,
        "rare_below": 2,
    } | changes
    return fit_encoding(ROWS, NUMERIC, CATEGORICAL, LATE, **options)


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


def _edges(x: list[float | None], late: list[int], bins: int, min_bin_rows: int = 1) -> tuple[float, ...]:
    rows = pa.table({"x": pa.array(x, pa.float64())})
    labels = np.array(late, np.float32)
    return fit_encoding(rows, ["x"], [], labels, bins=bins, min_bin_rows=min_bin_rows, rare_below=1).edges[
        "x"
    ]


def test_pieces_end_where_the_labels_rate_changes() -> None:
    x, late = [float(at) for at in range(100)], [int(20 <= at < 50) for at in range(100)]
    first, low, high, last = _edges(x, late, 3)
    assert (first, last) == (0.0, 99.0)
    assert 19 <= low <= 20
    assert 49 <= high <= 50
    assert len(_edges(x, late, 2)) == 3
    # 20 rows before the first change are too few for a piece.
    assert all(edge == 0 or edge > 24 for edge in _edges(x, late, 3, min_bin_rows=25))
    assert _edges(x, [0] * 100, 8) == (0.0, 99.0)


def test_what_is_always_missing_or_the_same_gets_one_piece() -> None:
    assert _edges([None, float("nan")], [0, 1], 4) == _edges([3.0, 3.0], [0, 1], 4) == (0.0, 1.0)


def test_a_feature_that_mostly_tells_days_apart_has_fewer_pieces() -> None:
    random = np.random.default_rng(0)
    day = np.repeat(np.arange(50), 100)
    within, between = random.normal(size=day.size), random.normal(size=50)[day]
    rows = pa.table(
        {
            "day": pa.array(np.datetime64("2020-01-01") + day),
            "temperature": pa.array(between, mask=random.random(day.size) < 0.3),
            "drifting": between + 0.3 * within,
            "noisy": between + 3.0 * within,
            "delay": within,
            "constant": np.ones(day.size),
        }
    )
    late = (random.random(day.size) < 0.5).astype(np.float32)

    def pieces(by_day: ByDay | None) -> dict[str, int]:
        encoding = fit_encoding(
            rows, rows.column_names[1:], [], late, bins=12, min_bin_rows=1, rare_below=1, by_day=by_day
        )
        return {name: len(edges) - 1 for name, edges in encoding.edges.items()}

    everywhere = dict.fromkeys(["temperature", "drifting", "noisy", "delay"], 12) | {"constant": 1}
    assert pieces(None) == everywhere
    assert pieces(ByDay("day", 3)) == everywhere | {"temperature": 3, "drifting": 3}


@given(st.lists(st.none() | st.floats(width=32), min_size=1, max_size=60), st.integers(2, 20))
def test_any_numbers_give_ascending_edges_that_survive_json(values: list[float | None], bins: int) -> None:
    rows = pa.table({"x": pa.array(values, pa.float64())})
    labels = np.arange(len(values), dtype=np.float32) % 2
    encoding = fit_encoding(rows, ["x"], [], labels, bins=bins, min_bin_rows=1, rare_below=1)
    edges = encoding.edges["x"]
    assert 2 <= len(edges) <= bins + 1
    assert all(low < high for low, high in pairwise(edges))
    assert Encoding.from_json(encoding.to_json()) == encoding


def test_the_way_through_json_changes_nothing() -> None:
    encoding = fitted()
    again = Encoding.from_json(encoding.to_json())
    assert again == encoding
    for before, after in zip(encode(encoding, ROWS), encode(again, ROWS), strict=True):
        np.testing.assert_array_equal(before, after)


TYPES = {
    "bool": (pa.bool_(), st.booleans()),
    "byte": (pa.int8(), st.integers(-128, 127)),
    "long": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "float": (pa.float32(), st.floats(width=32)),
    "double": (pa.float64(), st.floats()),
    "decimal": (pa.decimal128(9, 2), st.decimals(-9999, 9999, places=2)),
}


@given(
    kind=st.sampled_from(sorted(TYPES)),
    cuts=st.lists(st.integers(0, 40), max_size=3).map(sorted),
    start=st.integers(0, 20),
    data=st.data(),
)
def test_numbers_of_any_type_and_layout_are_what_numpy_makes_of_each_value(
    kind: str, cuts: list[int], start: int, data: st.DataObject
) -> None:
    of, values = TYPES[kind]
    given_values = data.draw(st.lists(st.none() | values, min_size=1, max_size=40))
    whole = pa.array(given_values, of).slice(min(start, len(given_values) - 1))
    ends = [0, *(min(cut, len(whole)) for cut in cuts), len(whole)]
    column = pa.chunked_array([whole.slice(a, b - a) for a, b in pairwise(ends)], of)
    with np.errstate(over="ignore"):
        expected = [
            np.float32(np.nan if value is None else np.float64(value) if kind == "decimal" else value)
            for value in whole.to_pylist()
        ]
    found, codes = encode(Encoding({"x": (0.0, 1.0)}, {}), pa.table({"x": column}))
    assert codes.shape == (len(whole), 0)
    np.testing.assert_array_equal(found[:, 0], np.array(expected, np.float32))


@given(
    left=st.lists(st.none() | st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=40),
    right=st.lists(st.none() | st.integers(0, 3), min_size=40, max_size=40),
    start=st.integers(0, 20),
    cut=st.integers(0, 20),
)
def test_codes_are_the_same_from_text_dictionaries_and_by_search(
    left: list[str | None], right: list[int | None], start: int, cut: int
) -> None:
    start = min(start, len(left) - 1)
    encoding = Encoding({}, {"left": ("a", "c"), "right": ("1", "2")}, (Cross("left", "right", (5, 11, 14)),))
    known = {None: MISSING, "a": 2, "c": 3}, {None: MISSING, 1: 2, 2: 3}
    of_pair = {5: 2, 11: 3, 14: 4}
    expected = [
        [a, b, of_pair.get(a * 4 + b, UNSEEN)]
        for a, b in (
            (known[0].get(one, UNSEEN), known[1].get(other, UNSEEN))
            for one, other in zip(left[start:], right[start:], strict=False)
        )
    ]
    text = pa.table({"left": pa.array(left, pa.string()), "right": pa.array(right[: len(left)], pa.int32())})
    chunked = pa.concat_tables([text.slice(0, cut), text.slice(cut)]).slice(start)
    dictionaries, with_null = (
        pa.table({name: text.column(name).dictionary_encode(null) for name in text.column_names})
        for null in ("mask", "encode")
    )
    for rows in (
        text.slice(start),
        chunked,
        dictionaries.slice(start),
        with_null.slice(start),
        dictionaries.unify_dictionaries()[start:],
    ):
        assert encode(encoding, rows)[1].tolist() == expected
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("ml.encoding.encode._TABLE", 0)
        assert encode(encoding, text.slice(start))[1].tolist() == expected


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
    with pytest.raises(LakehouseError, match="seats is not a categorical feature"):
        fitted(crosses=[("origin", "seats")])


def test_a_column_without_any_value_is_missing_and_not_refused() -> None:
    # As a frame of one row has it, whose only value is NULL.
    rows = pa.table({"x": pa.nulls(2), "y": pa.array([1.5, None])})
    assert np.isnan(numbers(rows, "x")).tolist() == [True, True]
    assert np.isnan(numbers(rows, "y")).tolist() == [False, True]

"""Single rows are encoded to the bits that columns are."""

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ml.encoding.encode import Cross, Encoding, encode
from ml.encoding.rows import RowEncoder

ENCODING = Encoding(
    edges={"whole": (0.0, 10.0), "real": (0.0, 1.0), "money": (0.0, 5.0), "flag": (0.0, 1.0)},
    categories={"letter": ("a", "b"), "number": ("1", "20")},
    crosses=(Cross("letter", "number", (2, 6, 11)),),
)
TYPES = {
    "whole": pa.int64(),
    "real": pa.float64(),
    "money": pa.decimal128(20, 4),
    "flag": pa.bool_(),
    "letter": pa.string(),
    "number": pa.int32(),
}
ROW = st.fixed_dictionaries(
    {
        "whole": st.none() | st.integers(-(2**63), 2**63 - 1),
        "real": st.none() | st.floats(width=64),
        "money": st.none() | st.decimals(-(10**15), 10**15, places=4, allow_nan=False),
        "flag": st.none() | st.booleans(),
        "letter": st.none() | st.sampled_from("abc") | st.text(max_size=3),
        "number": st.none() | st.sampled_from([1, 20, 3]),
    }
)


@given(st.lists(ROW, min_size=1, max_size=5))
def test_rows_are_encoded_as_columns_are(rows: list[dict[str, Any]]) -> None:
    table = pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in TYPES.items()})
    numeric, codes = encode(ENCODING, table)
    # As the store gives them: a decimal with its column's scale.
    found_numeric, found_codes = RowEncoder(ENCODING).encode(table.to_pylist())
    np.testing.assert_array_equal(
        np.ascontiguousarray(found_numeric).view(np.int32), np.ascontiguousarray(numeric).view(np.int32)
    )
    np.testing.assert_array_equal(found_codes, codes)


def test_what_is_not_there_is_missing() -> None:
    numeric, codes = RowEncoder(ENCODING).encode([{"money": Decimal("2.5")}])
    assert np.isnan(numeric[0]).tolist() == [True, True, False, True]
    assert codes[0, :2].tolist() == [1, 1]

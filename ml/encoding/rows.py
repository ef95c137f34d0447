"""A few rows as Python values become the numbers that `encode` makes of columns, without Arrow on the way."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from math import nan
from typing import Any

import numpy as np
import pyarrow as pa

from lakehouse.errors import LakehouseError
from ml.encoding.encode import MISSING, UNSEEN, Codes, Encoding, Floats, cross_codes

# Integers up to this one are exact as float64; larger ones would be rounded twice on their way to float32.
_EXACT = 2**53


class RowEncoder:
    """An encoding, prepared for one row at a time.

    >>> encoder = RowEncoder(Encoding({"delay": (0.0, 10.0)}, {"origin": ("EWR", "JFK")}))
    >>> encoder.encode([{"delay": 5, "origin": "JFK"}, {"origin": "LGA"}])
    (array([[ 5.],
           [nan]], dtype=float32), array([[3],
           [0]]))
    """

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding

    @cached_property
    def _code_of(self) -> dict[str, dict[str | None, int]]:
        return {
            name: {None: MISSING} | {value: code for code, value in enumerate(known, start=MISSING + 1)}
            for name, known in self.encoding.categories.items()
        }

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> tuple[Floats, Codes]:
        """Encoded rows, as `ml.encoding.encode.encode` has them.

        Args:
            rows: raw values by name; one that is not there is missing.

        Raises:
            LakehouseError: a value cannot be encoded.
        """
        numeric = np.array(
            [[_number(row.get(name), name) for name in self.encoding.edges] for row in rows], np.float64
        )
        codes = np.empty((len(rows), len(self.encoding.code_counts)), np.int64)
        of_category: dict[str, Codes] = {}
        for place, (name, code_of) in enumerate(self._code_of.items()):
            codes[:, place] = [code_of.get(_text(row.get(name)), UNSEEN) for row in rows]
            of_category[name] = codes[:, place]
        for place, cross in enumerate(self.encoding.crosses, start=len(of_category)):
            codes[:, place] = cross_codes(self.encoding, of_category, cross)
        # What a float32 can't hold is rounded, as it is in columns.
        with np.errstate(over="ignore"):
            return numeric.reshape(len(rows), -1).astype(np.float32), codes


def _number(value: Any, name: str) -> float:
    if value is None:
        return nan
    if isinstance(value, float):
        return value
    if isinstance(value, int):
        return value if -_EXACT <= value <= _EXACT else float(np.float32(np.int64(value)))
    if isinstance(value, Decimal):
        # Arrow does not round as Python does.
        return pa.array([value]).cast(pa.float64())[0].as_py()
    raise LakehouseError(f"feature {name} is {value!r}, not a number", "cast it in SQL, or change its role")


def _text(value: Any) -> str | None:
    """A category as Arrow writes it."""
    if value is None or isinstance(value, str):
        return value
    return pa.array([value]).cast(pa.string())[0].as_py()

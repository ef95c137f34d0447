"""Values as text, of any declared type that text can hold."""

# pyarrow ships no types, and makes its functions when it is imported.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.ingest.declared import Column
from lakehouse.ingest.dialect import Csv
from lakehouse.ingest.read.numbers import NumberFormat, to_booleans, to_decimals, to_doubles, to_integers
from lakehouse.ingest.read.times import to_dates, to_timestamps
from lakehouse.ingest.read.typed import Typed, characters
from lakehouse.ingest.types import arrow_type

_PLAIN = Csv()


def from_text(texts: pa.Array, column: Column, kind: str, csv: Csv = _PLAIN) -> Typed:
    """Texts as values of a type; blanks around what is not a string are dropped.

    Args:
        kind: the column's type, or that of its array's elements.
        csv: how numbers and booleans are written.
    """
    if kind == "string":
        return Typed(texts)
    found = characters(texts)
    trimmed = pc.utf8_trim(texts, " \t") if b" " in found or b"\t" in found else texts
    wanted = arrow_type(kind)
    written = NumberFormat(csv.decimal, csv.thousands)
    match kind:
        case "int" | "bigint":
            return to_integers(trimmed, wanted, written)
        case "double":
            return to_doubles(trimmed, column.allow_inf_nan, written)
        case "boolean":
            return to_booleans(trimmed, csv.true_values, csv.false_values)
        case "date":
            return to_dates(trimmed, column)
        case "timestamp":
            return to_timestamps(trimmed, column)
        case _:
            return to_decimals(trimmed, wanted, written)

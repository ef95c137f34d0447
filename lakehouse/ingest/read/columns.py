"""Columns of a delivered file as its source declares them: names, types, and new ones."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import re
from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa

from lakehouse.ingest.read.content import Content, Unreadable
from lakehouse.ingest.read.problems import ProblemError
from lakehouse.ingest.read.typed import Typed, indices
from lakehouse.ingest.source import Source
from lakehouse.ingest.types import ARROW_TYPES, arrow_type

# A reason shows the value, which may be of any length; the row's text has all of it.
_LONGEST_REASON = 500
NO_VALUE = "has no value, and one is required"


def check_names(source: Source, names: list[str]) -> None:
    """Every declared column once, and others only where the source allows new ones."""
    declared = source.delivered_names
    unnamed = [str(position) for position, name in enumerate(names, start=1) if not name.strip()]
    if unnamed:
        raise ProblemError(
            f"its header has no name for column {', '.join(unnamed)}: each line ends in a delimiter, or a "
            "data frame was written with its index"
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ProblemError(f"column {', '.join(twice)} stands there twice")
    missing = [name for name in declared if name not in names]
    if missing:
        alike = [name for name in names if name.strip().lower() in missing and name not in declared]
        hint = f" (it has {', '.join(map(repr, alike))}: name_in_file says so)" if alike else ""
        raise ProblemError(f"lacks column {', '.join(missing)}{hint}")
    extra = [name for name in names if name not in declared]
    if extra and not source.allow_new_columns:
        raise ProblemError(f"has column {', '.join(extra)}, which is not declared")
    bad = [name for name in extra if not re.fullmatch(r"[a-z][a-z0-9_]*", name)]
    if bad:
        raise ProblemError(f"new column {', '.join(map(repr, bad))} has no name of the form lower_case_1")
    clashing = sorted(set(extra) & set(source.arrow_schema.names))
    if clashing:
        raise ProblemError(f"has column {', '.join(clashing)}, but bronze has another one of that name")


def gather(
    source: Source,
    declared: Mapping[str, Typed],
    added: Mapping[str, Typed],
    bad: Mapping[int, str],
    where: Callable[[list[int]], list[tuple[int, str]]],
) -> Content:
    """The rows of a block whose values could be read, and the others with the reason.

    Args:
        declared: each declared column, by its name in bronze.
        added: new columns.
        bad: rows that are wrong as a whole, by index.
        where: gives the line and text of rows, by index in ascending order.
    """
    columns = {name: declared[name].values for name in source.arrow_schema.names}
    columns |= {name: added[name].values for name in sorted(added)}
    rows = pa.table(columns)
    problems = dict(bad)
    for name, typed in (*declared.items(), *added.items()):
        for index, said in typed.bad.items():
            mark = "" if said.startswith(("is ", "has ", "does ")) else ":"
            problems.setdefault(index, f"column {name_in_file(source, name)}{mark} {_shortened(said)}")
    for name in source.required:
        if rows.column(name).null_count:
            for index in indices(rows.column(name).is_null().to_numpy()):
                problems.setdefault(index, f"column {name}: {NO_VALUE}")
    if not problems:
        return Content(rows)
    kept = np.ones(rows.num_rows, dtype=bool)
    order = sorted(problems)
    kept[order] = False
    places = zip(order, where(order), strict=True)
    return Content(
        rows.filter(pa.array(kept)),
        [Unreadable(line, raw, problems[index], index + 1) for index, (line, raw) in places],
    )


def _shortened(said: str) -> str:
    if len(said) <= _LONGEST_REASON:
        return said
    return f"{said[: _LONGEST_REASON // 2]}…{said[-_LONGEST_REASON // 2 :]}"


def name_in_file(source: Source, name: str) -> str:
    """What a column of bronze is called in the files; of a path, the path."""
    column = source.column_of.get(name)
    return name if column is None else column.path or column.delivered_name


def convert_new(name: str, values: pa.Array, taken_up: Mapping[str, str]) -> pa.Array:
    """Values of a column that is not declared, with the type that bronze has taken up or takes up."""
    wanted = arrow_type(taken_up[name]) if name in taken_up else _type_of_new(name, values.type)
    if not _same_kind(values.type, wanted):
        raise ProblemError(f"column {name} is {values.type}, declared {taken_up.get(name, wanted)}")
    return values if values.type == wanted else values.cast(wanted)


def _type_of_new(name: str, found: pa.DataType) -> pa.DataType:
    candidates = ("string", "bigint", "double", "boolean", "date", "timestamp")
    for candidate in candidates:
        if _same_kind(found, ARROW_TYPES[candidate]):
            return ARROW_TYPES[candidate]
    raise ProblemError(
        f"new column {name} is {found}: declare it, with one of the types {', '.join(candidates)}"
    )


def _same_kind(found: pa.DataType, wanted: pa.DataType) -> bool:
    kind = found.value_type if pa.types.is_dictionary(found) else found
    if pa.types.is_timestamp(wanted):
        return pa.types.is_timestamp(kind) and kind.tz is not None
    kinds = (
        (pa.types.is_integer,),
        (pa.types.is_floating,),
        (pa.types.is_boolean,),
        (pa.types.is_date,),
        (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
    )
    return any(
        any(is_one(kind) for is_one in tests) and any(is_one(wanted) for is_one in tests) for tests in kinds
    )

"""Columns of a delivered file as its source declares them: names, types, and new ones."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import re
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.ingest.problems import ProblemError, RowProblemError
from lakehouse.ingest.source import ARROW_TYPES, Source


def check_names(source: Source, names: list[str]) -> None:
    """Every declared column once, and others only where the source allows new ones."""
    declared = source.delivered_schema.names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ProblemError(f"column {', '.join(twice)} stands there twice")
    missing = [name for name in declared if name not in names]
    if missing:
        raise ProblemError(f"lacks column {', '.join(missing)}")
    extra = [name for name in names if name not in declared]
    if extra and not source.allow_new_columns:
        raise ProblemError(f"has column {', '.join(extra)}, which is not declared")
    bad = [name for name in extra if not re.fullmatch(r"[a-z][a-z0-9_]*", name)]
    if bad:
        raise ProblemError(f"new column {', '.join(map(repr, bad))} has no name of the form lower_case_1")


def as_declared(source: Source, rows: pa.Table, taken_up: Mapping[str, str]) -> pa.Table:
    """Rows of a file with bronze's names of their columns, and new columns behind the declared ones.

    Args:
        rows: with the columns' names in the file; the declared ones typed as declared.

    Raises:
        ProblemError: a new column clashes with a declared one, or has a type that bronze does not have.
        RowProblemError: a value does not fit, or is missing.
    """
    declared = rows.select(source.delivered_schema.names).rename_columns(source.arrow_schema.names)
    added = rows.drop_columns(source.delivered_schema.names)
    if clashing := sorted(set(added.column_names) & set(declared.column_names)):
        raise ProblemError(f"has column {', '.join(clashing)}, but bronze has another one of that name")
    rows = _with_new_columns(source, declared, added, taken_up)
    _check_required(source, rows)
    return rows


def _with_new_columns(
    source: Source, declared: pa.Table, added: pa.Table, taken_up: Mapping[str, str]
) -> pa.Table:
    kept = declared
    for name in sorted(added.column_names):
        values = added.column(name)
        if pa.types.is_null(values.type):
            continue
        wanted = ARROW_TYPES[taken_up[name]] if name in taken_up else _type_of_new(name, values.type)
        try:
            if name in taken_up and pa.types.is_integer(values.type) and pa.types.is_floating(wanted):
                values = values.cast(pa.float64())
            kept = kept.append_column(name, convert(name, values, wanted))
        except pa.ArrowException as error:
            raise RowProblemError(f"column {name} does not fit {_declared_name(wanted)}: {error}") from error
        except ProblemError as problem:
            # JSON has no types of columns: a value of another kind is its row's.
            raise (RowProblemError(str(problem)) if source.format == "jsonl" else problem) from problem
    return kept


def _type_of_new(name: str, found: pa.DataType) -> pa.DataType:
    candidates = ("string", "bigint", "double", "boolean", "date", "timestamp")
    for candidate in candidates:
        if _same_kind(found, ARROW_TYPES[candidate]):
            return ARROW_TYPES[candidate]
    raise ProblemError(
        f"new column {name} is {found}: declare it, with one of the types {', '.join(candidates)}"
    )


def _check_required(source: Source, rows: pa.Table) -> None:
    for name in rows.column_names:
        if name in source.required and rows.column(name).null_count:
            index = pc.index(rows.column(name).is_null(), True).as_py()
            said = f"column {name}: has no value, and one is required"
            raise RowProblemError(said, f"row {index + 1}, ", index)


def convert(name: str, values: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    """A wider or narrower type of the same kind, without loss; another kind is refused."""
    if not _same_kind(values.type, wanted):
        raise ProblemError(f"column {name} is {values.type}, declared {_declared_name(wanted)}")
    try:
        return values.cast(wanted)
    except pa.ArrowException as error:
        raise RowProblemError(f"column {name} does not fit {_declared_name(wanted)}: {error}") from error


def _same_kind(found: pa.DataType, wanted: pa.DataType) -> bool:
    is_dictionary = pa.types.is_dictionary(found)
    kind = found.value_type if is_dictionary else found
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


def _declared_name(arrow_type: pa.DataType) -> str:
    return next((name for name, declared in ARROW_TYPES.items() if declared == arrow_type), str(arrow_type))

"""Proposes the declaration of a source from the first MiB of a file: how it is written, and its columns."""

# pyarrow ships no types, and makes its functions when it is imported.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

import codecs
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.errors import LakehouseError
from lakehouse.ingest.propose.csv_sample import read_sample
from lakehouse.ingest.propose.infer import of_objects, of_texts, proposed_keys
from lakehouse.ingest.propose.proposal import CHECK, Proposal, Proposed, Said, column_names
from lakehouse.ingest.read.json_lines import Line, parse_lines
from lakehouse.ingest.types import type_problem

SAMPLE_BYTES = 2**20
_COMPRESSED = (".gz", ".bz2", ".zst", ".lz4", ".br")
_PARQUET_ROWS = 1_000
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def propose_file(name: str, path: Path) -> Proposal:
    """What a file shows of its source.

    Raises:
        LakehouseError: it cannot be read, is empty, or is of no kind that is read.
    """
    try:
        with path.open("rb") as file:
            is_parquet = file.read(4) == b"PAR1"
        if is_parquet:
            return _of_parquet(name, path)
        content, is_whole = _sample(path)
    except (OSError, EOFError, pa.ArrowException) as error:
        raise LakehouseError(
            f"{path} cannot be read: {error}", "give a file that was delivered, as it is"
        ) from error
    if not content.strip():
        raise LakehouseError(f"{path} is empty", "give a file with rows in it")
    text, encoding, comment = _decoded(content, is_whole)
    written = Said(encoding, comment) if comment else encoding
    suffix = path.suffix if path.suffix in _COMPRESSED else ""
    first = text.lstrip()[:1]
    if first == "{":
        return _of_lines(name, path, text, written, suffix)
    if first == "[":
        raise LakehouseError(
            f"{path} is one JSON list, which is not read as a file",
            "have one object per line written; of an API, give its address with --url",
        )
    return _of_csv(name, path, text, written, suffix)


def _sample(path: Path) -> tuple[bytes, bool]:
    """The first MiB, decompressed; and whether that is all."""
    kind = "detect" if path.suffix in _COMPRESSED else None
    with pa.input_stream(str(path), compression=kind) as stream:
        content = stream.read(SAMPLE_BYTES + 1)
    return content[:SAMPLE_BYTES], len(content) <= SAMPLE_BYTES


def _decoded(content: bytes, is_whole: bool) -> tuple[str, str, str | None]:
    """The text without its mark and its cut last line; its encoding, and what is to be said of that."""
    encoding = next((found for mark, found in _BOMS if content.startswith(mark)), None)
    wanted = [(encoding, None)] if encoding else [("utf-8", None), ("cp1252", CHECK), ("latin-1", CHECK)]
    for each, comment in wanted:
        decoder = codecs.getincrementaldecoder(each)()
        try:
            text = decoder.decode(content, final=is_whole).removeprefix("\ufeff")
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            raise LakehouseError(
                "the sample has NUL bytes: it is binary, or UTF-16 without a byte-order mark",
                "give a file of text, or Parquet",
            )
        end = max(text.rfind("\n"), -1 if "\n" in text else text.rfind("\r")) + 1
        return text if is_whole else text[:end], each, comment
    raise LakehouseError(f"the sample is not {encoding}, as its byte-order mark says", "give a whole file")


def _files(name: str, suffix: str) -> str:
    return f"{name}/{name}_{{delivery}}{suffix}"


def _of_lines(name: str, path: Path, text: str, encoding: Any, compressed: str) -> Proposal:
    lines = [Line(index, raw.encode()) for index, raw in enumerate(text.splitlines(), 1) if raw.strip()]
    objects, bad = parse_lines(lines, "utf-8")
    good = [each for index, each in enumerate(objects) if index not in bad]
    if bad or not good:
        first = next(iter(bad), 0)
        raise LakehouseError(
            f"{path}: line {lines[first].number if lines else 1} {bad.get(first, 'is no object')}",
            "JSON lines have one object per line",
        )
    columns, left_out = of_objects(good)
    fields: dict[str, Any] = {"format": "jsonl", "files": _files(name, f".jsonl{compressed}")}
    if encoding != "utf-8":
        fields["json"] = {"encoding": encoding}
    return Proposal(path.name, fields, columns, keys_of_objects(columns, good), left_out=left_out)


def keys_of_objects(columns: Sequence[Proposed], objects: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys among the columns that are not nested."""
    plain = [column for column in columns if not column.is_path]
    return proposed_keys(
        plain, {column.delivered: [each.get(column.delivered) for each in objects] for column in plain}
    )


def _of_csv(name: str, path: Path, text: str, encoding: Any, compressed: str) -> Proposal:
    seen = read_sample(text, path.name)
    dialect: dict[str, Any] = dict(seen.said)
    if encoding != "utf-8":
        dialect["encoding"] = encoding
    fields: dict[str, Any] = {"format": "csv", "files": _files(name, f".csv{compressed}")}
    if dialect:
        fields["csv"] = dialect
    columns = of_texts(seen.values, seen.csv)
    return Proposal(path.name, fields, columns, proposed_keys(columns, seen.values))


_OF_PARQUET = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_date, "date"),
    (pa.types.is_timestamp, "timestamp"),
    (pa.types.is_floating, "double"),
    (pa.types.is_string, "string"),
    (pa.types.is_large_string, "string"),
    (pa.types.is_string_view, "string"),
)


def _of_parquet(name: str, path: Path) -> Proposal:
    try:
        opened = pq.ParquetFile(path)
        rows = next(opened.iter_batches(batch_size=_PARQUET_ROWS), None)
    except (pa.ArrowException, OSError) as error:
        raise LakehouseError(f"{path} is cut off or damaged: {error}", "give a whole file") from error
    names = column_names(opened.schema_arrow.names)
    columns: list[Proposed] = []
    left_out: dict[str, str] = {}
    for field in opened.schema_arrow:
        kind = _type_of_arrow(field.type)
        if kind is None:
            left_out[field.name] = f"is {field.type}, which is not read: have the file written without it"
            continue
        inner = field.type.value_type if pa.types.is_list(field.type) else field.type
        is_local = pa.types.is_timestamp(inner) and inner.tz is None
        is_filled = rows is not None and rows.column(field.name).null_count == 0
        columns.append(
            Proposed(names[field.name], field.name, kind, needs_zone=is_local, is_filled=is_filled)
        )
    sample = (
        {} if rows is None else {each.delivered: rows.column(each.delivered).to_pylist() for each in columns}
    )
    fields = {"format": "parquet", "files": _files(name, ".parquet")}
    return Proposal(path.name, fields, columns, proposed_keys(columns, sample), left_out=left_out)


def _type_of_arrow(arrow: pa.DataType) -> str | None:
    """The declared type that holds each value of an Arrow type; None where none does."""
    if pa.types.is_dictionary(arrow):
        return _type_of_arrow(arrow.value_type)
    if pa.types.is_list(arrow) or pa.types.is_large_list(arrow):
        inner = _type_of_arrow(arrow.value_type)
        return None if inner is None or type_problem(f"array<{inner}>") else f"array<{inner}>"
    if pa.types.is_integer(arrow):
        if arrow == pa.uint64():
            return "decimal(20,0)"
        return "int" if arrow.bit_width < 32 or arrow == pa.int32() else "bigint"
    if pa.types.is_decimal(arrow):
        kind = f"decimal({arrow.precision},{arrow.scale})"
        return None if type_problem(kind) else kind
    return next((kind for is_one, kind in _OF_PARQUET if is_one(arrow)), None)

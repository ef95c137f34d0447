"""Reads declarations: each is checked when it is read; what is wrong is named by file, line and field."""

from pathlib import Path

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lakehouse.errors import LakehouseError
from lakehouse.ingest.lines import line_of
from lakehouse.ingest.source import Source
from lakehouse.ingest.stream.declared import with_schema_beside
from lakehouse.settings import PROJECT_ROOT


def load_sources(folder: Path = PROJECT_ROOT / "sources") -> dict[str, Source]:
    """All declarations `*.yml` of a folder, by name.

    Raises:
        LakehouseError: one is not YAML, or a field of it is missing, unknown or wrong.
    """
    sources = [load_source(path) for path in sorted(folder.glob("*.yml"))]
    if not sources:
        raise LakehouseError(f"no sources are declared in {folder}", "docs/ingestion.md shows how to add one")
    return {source.name: source for source in sources}


def load_source(path: Path) -> Source:
    """One declaration.

    Raises:
        LakehouseError: see `load_sources`.
    """
    hint = "docs/ingestion.md explains every field"
    text = path.read_text()
    try:
        declared = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise LakehouseError(f"{path} is not YAML: {error}", hint) from error
    if not isinstance(declared, dict):
        raise LakehouseError(f"{path} holds no declaration", hint)
    try:
        source = Source.model_validate(with_schema_beside(declared, path.parent))
    except ValidationError as error:
        problems = "; ".join(_problem(each, text) for each in error.errors())
        raise LakehouseError(f"{path}: {problems}", hint) from None
    if source.name != path.stem:
        raise LakehouseError(f"{path}: name: {source.name} is not the file's name", "give both the same name")
    return source


def _problem(error: ErrorDetails, text: str) -> str:
    where = ".".join(str(part) for part in error["loc"])
    said = str(error["msg"]).removeprefix("Value error, ")
    place = f"line {line_of(text, error['loc'], said)}: "
    return f"{place}{where}: {said}" if where else f"{place}{said}"

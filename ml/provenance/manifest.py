"""`training_set.json`: all it takes to read a training set again and to prove that it is the same."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from lakehouse.delta.content_hash import HASH_VERSION, ContentHash
from lakehouse.delta.table import TableVersion
from lakehouse.errors import LakehouseError
from ml.data.columns import Columns
from ml.data.training_set import TrainingSet
from ml.provenance.environment import Code, Environment
from ml.spec import Spec
from ml.tracking.runs import MANIFEST, artifact

# Raised when a reader of older manifests would go wrong; readers refuse what they don't know.
PROTOCOL_VERSION = 1
# Fields of a spec that had no part in what was trained.
_FORMER = frozenset({"baseline_column", "scoring_model"})


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PinnedTable(_Part):
    """One version of one table.

    Args:
        name: `schema.table`.
        file_list_hash: over the paths and sizes of its files.
        pinned_by: how the version was found: `read` (noted by the build that read it), `published` (with the
            training set), or `as of` (the newest one when the training set was committed).
        is_source: delivered, not built: what a rebuild starts from.
    """

    name: str
    table_id: str
    version: int
    file_list_hash: str
    pinned_by: str = "published"
    is_source: bool = False

    @property
    def table(self) -> TableVersion:
        """The pin itself."""
        return TableVersion(self.name, self.table_id, self.version)


class Content(_Part):
    """What the rows are; see docs/content-hash.md."""

    hash_version: int
    row_count: int
    rows: str
    columns: dict[str, str]
    key: tuple[str, ...]

    @staticmethod
    def of(content: ContentHash) -> "Content":
        """From a computed hash."""
        return Content(
            hash_version=HASH_VERSION,
            row_count=content.row_count,
            rows=content.rows,
            columns=content.columns,
            key=content.key,
        )


class SplitRecord(_Part):
    """How the rows were split; days are local."""

    train_rows: int
    validation_rows: int
    validation_start: date
    validation_end: date


class Manifest(_Part):
    """Everything about one training set.

    Args:
        as_of_at: labels known by then are in, UTC.
        upstream: every table the training set was built from, bronze among them.
    """

    protocol_version: int
    created_at: datetime
    spec: Spec
    as_of: date
    as_of_at: datetime
    training_set: PinnedTable
    columns: Columns
    content: Content
    upstream: tuple[PinnedTable, ...]
    split: SplitRecord
    seed: int
    code: Code
    environment: Environment

    @field_validator("spec", mode="before")
    @classmethod
    def _without_former_fields(cls, spec: Any) -> Any:
        """A run of any age is held and reproduced; what its spec said of things that are gone is left."""
        if not isinstance(spec, dict):
            return spec
        return {key: each for key, each in spec.items() if key not in _FORMER}

    @property
    def pinned(self) -> TrainingSet:
        """The rows this manifest is about, to be read again."""
        return TrainingSet(self.training_set.table, self.columns, self.as_of, self.as_of_at)

    def to_json(self) -> str:
        """As text."""
        return self.model_dump_json(indent=1)


def load_manifest(path: Path) -> Manifest:
    """Read and check a `training_set.json`.

    Raises:
        LakehouseError: it is damaged, or of a protocol that this code does not know.
    """
    text = path.read_text(encoding="utf-8")
    try:
        return Manifest.model_validate_json(_known_protocol(text, path))
    except ValidationError as error:
        raise LakehouseError(f"{path} is not a manifest of a training set: {error}") from error


def manifest_of(run_id: str) -> Manifest:
    """The manifest that a training run logged.

    Raises:
        LakehouseError: there is no such run, or it has no manifest.
    """
    return load_manifest(artifact(run_id, MANIFEST))


class _Protocol(BaseModel):
    protocol_version: int


def _known_protocol(text: str, path: Path) -> str:
    found = _Protocol.model_validate_json(text).protocol_version
    if found != PROTOCOL_VERSION:
        raise LakehouseError(
            f"{path} has protocol {found}, this code knows {PROTOCOL_VERSION}",
            "reproduce it with newer code",
        )
    return text

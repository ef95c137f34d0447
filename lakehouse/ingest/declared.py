"""The parts of a source's declaration: its columns, and how many rows a delivery has at least."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

from typing import Annotated, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

ColumnType = Literal["string", "int", "bigint", "double", "boolean", "date", "timestamp"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Text = Annotated[str, Field(min_length=1)]

ARROW_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
}


class Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MinRows(Declared):
    """The least rows of a delivery, by what it delivers; 0 means that it may be empty."""

    day: int = Field(default=1, ge=0, description="Of a whole day, or a snapshot.")
    hour: int = Field(default=1, ge=0, description="Of an hour.")
    other: int = Field(default=1, ge=0, description="Of a delivery beside the regular ones.")


class Column(Declared):
    """One declared column; bronze has it with the same name and type."""

    name: Name
    type: ColumnType
    required: bool = Field(default=False, description="A row without a value is quarantined.")
    name_in_file: Text | None = Field(
        default=None, description="The column's name in the files, where bronze has another one."
    )
    description: Text

    @property
    def delivered_name(self) -> str:
        """Its name in the files."""
        return self.name_in_file or self.name

"""What all parts of a declaration are: checked when they are read, unknown fields refused, never changed."""

from pydantic import BaseModel, ConfigDict


class Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

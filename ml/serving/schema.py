"""What a request may say: generated from the model's encoding and what dbt's YAML declares of columns."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from lakehouse.dbt.manifest import DbtModels
from lakehouse.errors import LakehouseError
from ml.data.columns import Columns, columns_of
from ml.encoding.encode import Encoding
from ml.spec import Spec

# What a float32 can hold.
_LARGEST = 3.4028234e38
_LONGEST_TEXT = 200
_LARGEST_INT = 2**63 - 1
_INTEGERS = ("bigint", "int", "integer", "smallint", "tinyint", "long")


@dataclass(frozen=True)
class Served:
    """What dbt declares of the features that a spec's models read.

    Args:
        table: `schema.table` of the features.
        key_types: the columns that name an entity, each with its type in SQL.
        ranges: of numeric columns that declare one: the lowest and the highest value.
        texts: descriptions of columns.
    """

    spec: Spec
    table: str
    columns: Columns
    key_types: Mapping[str, str]
    ranges: Mapping[str, tuple[float, float]]
    texts: Mapping[str, str]

    def text(self, name: str, default: Any = ...) -> Any:
        """A column as a field: described, and with a default if it has one."""
        return Field(default=default, description=self.texts.get(name))


def served(spec: Spec, models: DbtModels) -> Served:
    """What is declared of a spec's features.

    Raises:
        LakehouseError: the features model is not there, or a key's type cannot be asked by.
    """
    columns = columns_of(models, spec.features_model)
    declared: Mapping[str, Any] = models.node(spec.features_model)["columns"]
    key_types = {name: str(declared[name].get("data_type") or "string").lower() for name in columns.entity}
    for name, kind in key_types.items():
        if kind not in ("string", "date", *_INTEGERS):
            raise LakehouseError(
                f"column {name} of {spec.features_model} names an entity by a {kind}",
                "the online service takes entities that are named by text, whole numbers or dates",
            )
    metas = {name: (column.get("config") or {}).get("meta") or {} for name, column in declared.items()}
    return Served(
        spec=spec,
        table=models.table(spec.features_model),
        columns=columns,
        key_types=key_types,
        ranges={
            name: (meta["range"][0], meta["range"][1]) for name, meta in metas.items() if "range" in meta
        },
        texts={
            name: " ".join(str(column.get("description", "")).split()) for name, column in declared.items()
        },
    )


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Request(_Strict):
    """What every request of a model is made of; `request_model` says of what each part is.

    Args:
        entities: keys of rows in the online store.
        features: rows of raw values.
    """

    entities: list[Any] | None = None
    features: list[Any] | None = None


def request_model(of: Served, encoding: Encoding, max_rows: int) -> type[Request]:
    """The type of a request's body: keys of entities, or rows of features, and no other name.

    Args:
        max_rows: with more a request is refused.
    """
    entity = _model("Entity", {name: (_key_type(kind), of.text(name)) for name, kind in of.key_types.items()})
    features = _model(
        "Features",
        {
            **{name: (_number_type(of.ranges.get(name)), of.text(name, None)) for name in encoding.edges},
            **{name: (_CATEGORY, of.text(name, None)) for name in encoding.categories},
        },
    )
    rows = Field(default=None, min_length=1, max_length=max_rows)
    return _model(
        "Request",
        {"entities": (_optional(list[entity]), rows), "features": (_optional(list[features]), rows)},
        Request,
    )


def _model(name: str, fields: Mapping[str, Any], base: type[BaseModel] = _Strict) -> Any:
    """A type that is made while the program runs, of which no type checker knows."""
    made: Any = create_model
    return made(name, __base__=base, **fields)


def _optional(kind: Any) -> Any:
    return kind | None


_CATEGORY: Any = Annotated[str, Field(max_length=_LONGEST_TEXT)] | None  # pyright: ignore[reportOperatorIssue]


def _number_type(limits: tuple[float, float] | None) -> Any:
    low, high = limits or (-_LARGEST, _LARGEST)
    return _optional(Annotated[float, Field(ge=low, le=high, allow_inf_nan=False)])


def _key_type(kind: str) -> Any:
    if kind in _INTEGERS:
        return Annotated[int, Field(ge=-_LARGEST_INT - 1, le=_LARGEST_INT)]
    if kind == "date":
        return datetime.date
    return Annotated[str, Field(min_length=1, max_length=_LONGEST_TEXT)]


class FeatureSource(BaseModel):
    """The published version that features were read from."""

    table: str
    table_id: str
    version: int
    release_id: str


class Answer(BaseModel):
    """A row's score.

    Args:
        served_by: champion or canary.
        missing_features: how many features were NULL or not given.
        unseen_categories: categorical features whose value training had not, or too rarely.
        broken_rules: what the spec's rule for serving says of the row: stale, missing.
    """

    entity: dict[str, str | int] | None
    score: float = Field(ge=0, le=1)
    model_version: str
    served_by: str
    features: FeatureSource | None
    missing_features: int
    unseen_categories: list[str]
    broken_rules: list[str]
    prediction_id: str


class Response(BaseModel):
    """The answers of a request, in its order."""

    request_id: str
    model: str
    predictions: list[Answer]

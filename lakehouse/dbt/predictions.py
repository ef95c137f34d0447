"""What a table of predictions is made of: declared here alone, whoever creates it, dbt or the first scoring.

What names a prediction are the columns of the features model whose role is `entity`, `event_time` or
`partition`, as its YAML has them; what was found is the same for all models. A source of dbt says in its meta

    predictions_of: flight_features

and lists no column.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakehouse.dbt.graph import Node
from lakehouse.dbt.manifest import roles_of
from lakehouse.delta.table import sql_text
from lakehouse.errors import LakehouseError

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

KEY = "predictions_of"
_IDENTITY = ("entity", "event_time", "partition")


@dataclass(frozen=True)
class Column:
    """A column as it is declared.

    Args:
        type: of SQL.
        may_be_null: else it is NOT NULL.
        check: name and condition; a row that breaks it fails before its commit.
    """

    name: str
    type: str
    text: str
    may_be_null: bool = False
    check: tuple[str, str] | None = None


_FOUND = (
    Column(
        *("score", "double", "Probability that the label is true"),
        check=("score_is_probability", "score between 0 and 1"),
    ),
    Column("missing_features", "int", "How many features were NULL or NaN"),
    Column(
        *("unseen_categories", "string"),
        "Categorical features with a value that training had not, or too rarely",
        may_be_null=True,
    ),
    Column("model_name", "string", "Registered model"),
    Column("model_version", "string", "Version of the registered model"),
    Column("features_table", "string", "Table that the features were read from"),
    Column("features_table_id", "string", "Delta's id of the table that the features were read from"),
    Column("features_version", "bigint", "Delta's version of the table that the features were read from"),
    Column("scored_at", "timestamp", "When the score was made"),
    Column("prediction_id", "string", "Hash of what was scored, model version and score"),
)


@dataclass(frozen=True)
class Declaration:
    """The columns of a table of predictions, and the one that it is clustered by."""

    columns: tuple[Column, ...]
    cluster_by: str

    @property
    def checks(self) -> dict[str, str]:
        """Name to condition."""
        return dict(column.check for column in self.columns if column.check)

    @property
    def sql_columns(self) -> list[tuple[str, str]]:
        """Name, and what SQL says of it, as `create_table` takes them."""
        return [
            (
                column.name,
                f"{column.type}{'' if column.may_be_null else ' not null'} comment {sql_text(column.text)}",
            )
            for column in self.columns
        ]


def declaration(node: Node) -> Declaration:
    """What a table of predictions from a features model is made of.

    Args:
        node: the model in dbt's manifest.

    Raises:
        LakehouseError: of one of the three roles no column has it, or several where one is meant.
    """
    roles = roles_of(node)
    named = {role: sorted(name for name, its in roles.items() if its == role) for role in _IDENTITY}
    for role, names in named.items():
        if not names or (len(names) > 1 and role != "entity"):
            raise LakehouseError(
                f"{len(names)} columns of dbt's model {node['name']} have the role {role}",
                "a prediction is named by entity, event_time and partition: give its columns these roles",
            )
    columns = node["columns"]
    untyped = [name for names in named.values() for name in names if not columns[name].get("data_type")]
    if untyped:
        raise LakehouseError(
            f"dbt's model {node['name']} says no type of {', '.join(untyped)}",
            "give them a `data_type` in its YAML: a table of predictions has them, too",
        )
    return Declaration(
        columns=(
            *(
                Column(name, str(columns[name]["data_type"]), str(columns[name]["description"]).strip())
                for names in named.values()
                for name in names
            ),
            *_FOUND,
        ),
        cluster_by=named["partition"][0],
    )


def fill_in(manifest: "Manifest") -> bool:
    """Give each source that says `predictions_of` its columns, constraints and clustering.

    Returns:
        whether there was one.

    Raises:
        LakehouseError: it names no model, or one without the roles.
    """
    models: dict[str, Any] = {
        node.name: node for node in manifest.nodes.values() if node.resource_type == "model"
    }
    sources = [each for each in manifest.sources.values() if KEY in each.config.meta]
    for source in sources:
        name = str(source.config.meta[KEY])
        if name not in models:
            raise LakehouseError(
                f"{source.source_name}.{source.name}: {KEY} names {name}, which is not a model",
                "name the model that its features are read from",
            )
        fill_source(source, declaration(models[name].to_dict()))
    if sources:
        manifest.build_flat_graph()
    return bool(sources)


def fill_source(source: Any, declared: Declaration) -> None:
    """Give a source of dbt's manifest its columns, constraints and clustering."""
    from dbt.artifacts.resources.v1.components import ColumnInfo

    source.config.meta["cluster_by"] = declared.cluster_by
    source.columns = {
        column.name: ColumnInfo.from_dict(
            {
                "name": column.name,
                "data_type": column.type,
                "description": column.text,
                "constraints": _constraints(column),
            }
        )
        for column in declared.columns
    }


def _constraints(column: Column) -> list[dict[str, str]]:
    """As dbt's YAML has them."""
    required = [] if column.may_be_null else [{"type": "not_null"}]
    if column.check is None:
        return required
    return [*required, {"type": "check", "name": column.check[0], "expression": column.check[1]}]

"""The table of what models were trained on, bin by bin: declared here alone, whoever creates it.

Training's side writes it (`ml.monitoring.keep`), marts of drift read it. A source of dbt says in its meta

    reference_of_models: true

and lists no column.
"""

from typing import TYPE_CHECKING, Any

from lakehouse.dbt.predictions import Column, Declaration, fill_source

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

KEY = "reference_of_models"
TABLE = "monitoring.reference"

REFERENCE = Declaration(
    columns=(
        Column("model_name", "string", "Registered model"),
        Column("model_version", "string", "Version of the registered model"),
        Column("feature", "string", "Feature, or (score)"),
        Column("kind", "string", "numeric, categorical, or score"),
        Column("bin", "int", "Number of the bin; 0 holds the missing values"),
        Column("bin_from", "double", "Least value of a bin of numbers; NULL: none, or no numbers", True),
        Column(
            "category", "string", "Value of a bin of a category; NULL: missing, unseen, or no category", True
        ),
        Column("is_unseen", "boolean", "Whether the bin holds what training did not have, or too rarely"),
        Column(
            *("row_count", "bigint", "Rows of the training set in the bin"),
            check=("row_count_is_a_count", "row_count >= 0"),
        ),
    ),
    cluster_by="model_name",
)


def fill_in(manifest: "Manifest") -> bool:
    """Give each source that says `reference_of_models` its columns, constraints and clustering.

    Returns:
        whether there was one.
    """
    sources: list[Any] = [each for each in manifest.sources.values() if KEY in each.config.meta]
    for source in sources:
        fill_source(source, REFERENCE)
    if sources:
        manifest.build_flat_graph()
    return bool(sources)

"""One version of a Delta table: what a pin is made of."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class TableVersion:
    """One version of one table; the id tells a table from another one made later under the same name.

    Args:
        name: `schema.table`.
        table_id: Delta's `metaData.id`, a UUID.
        version: the number of the commit, from 0.
    """

    name: str
    table_id: str
    version: int

    def __str__(self) -> str:
        return f"{self.name}@v{self.version}"

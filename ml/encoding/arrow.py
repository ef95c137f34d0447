"""Names for Arrow's types in signatures: pyarrow ships none that a type checker sees."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

# A pyarrow.Table.
ArrowTable: TypeAlias = Any
# A pyarrow.Table or RecordBatch.
ArrowRows: TypeAlias = Any
# A pyarrow.Array.
ArrowColumn: TypeAlias = Any
ArrowBatches: TypeAlias = Iterable[ArrowRows]
ScoredBatches: TypeAlias = Iterator[ArrowRows]

"""Raw rows made up from an encoding, exported with their scores: the server proves itself by them."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import ipc

from lakehouse.errors import LakehouseError
from ml.encoding.arrow import ArrowColumn, ArrowTable
from ml.encoding.encode import Encoding
from ml.model.bundle import Bundle

_ROWS = 200
_SEED = 2013
_NULL_SHARE = 0.1
_NEVER_SEEN = "\N{REPLACEMENT CHARACTER}"
_BITS = "score_bits"


def golden_rows(encoding: Encoding, rows: int = _ROWS) -> ArrowTable:
    """Numbers within and beyond their pieces' ends, categories known and never seen, and NULLs of both."""
    random = np.random.default_rng(_SEED)

    def without_some(values: Any) -> ArrowColumn:
        return pa.array(values, mask=random.random(rows) < _NULL_SHARE)

    columns = {
        name: without_some(random.uniform(2 * edges[0] - edges[-1], 2 * edges[-1] - edges[0], rows))
        for name, edges in encoding.edges.items()
    }
    for name, known in encoding.categories.items():
        columns[name] = without_some(random.choice(np.array([*known, _NEVER_SEEN], object), rows))
    return pa.table(columns)


def write_golden(bundle: Bundle, path: Path) -> None:
    """Golden rows with the bits of the scores that batch scoring gives them here."""
    rows = golden_rows(bundle.encoding)
    bits = pa.array(bundle.predict(rows).view(np.int32))
    table = rows.append_column(_BITS, bits)
    with ipc.new_file(path, table.schema) as file:
        file.write_table(table)


def read_golden(path: Path) -> tuple[ArrowTable, npt.NDArray[np.float32]]:
    """The rows, and their scores at the export.

    Raises:
        LakehouseError: there are none.
    """
    try:
        with ipc.open_file(path) as file:
            table = file.read_all()
    except FileNotFoundError as error:
        raise LakehouseError(f"the export lacks {path.name}", "export the version again") from error
    bits = np.array(table.column(_BITS).to_pylist(), np.int32)
    return table.drop_columns([_BITS]), bits.view(np.float32)

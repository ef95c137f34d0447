"""The id of this warehouse: by it several warehouses share a server without seeing each other's rows.

It lies with the engine's state, which a backup leaves out: a restored copy is another warehouse.
"""

import secrets

from lakehouse.engine.state import exclusive, write_private
from lakehouse.settings import settings


def warehouse_id() -> str:
    """Made on first use, and kept in the warehouse."""
    folder = settings().engine_dir
    path = folder / "warehouse_id"
    with exclusive(folder / "warehouse_id.lock"):
        found = path.read_text().strip() if path.exists() else ""
        if not found:
            found = secrets.token_hex(8)
            write_private(path, found)
    return found

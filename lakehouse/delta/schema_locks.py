"""The lock files of schemas that one process makes for a while; see `lakehouse.delta.owned_schemas`."""

from pathlib import Path

from lakehouse.engine import server, state
from lakehouse.settings import settings


def locks() -> Path:
    """The folder of the lock files: one for the schemas that one owner works on."""
    return settings().engine_dir / "schemas"


def leftovers() -> list[str]:
    """The schemas whose owner was killed at work; the command that made one replaces it.

    One that a person dropped since is not among them.
    """
    found: set[str] = set()
    for lock in locks().glob("*.lock"):
        if not state.is_locked(lock):
            found.update(lock.read_text().splitlines()[1:])
    if not server.tables_are_here():
        return sorted(found)
    return sorted(name for name in found if (settings().tables_dir / f"{name}.db").exists())

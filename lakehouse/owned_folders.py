"""Folders that belong to one process, and are known for leftovers when it is no more."""

import platform
import re
import uuid
from collections.abc import Iterable

import psutil


def folder_name(kind: str, process: psutil.Process | None = None) -> str:
    """A name for a folder of a process: it is known by machine, number and start.

    Args:
        kind: what the folder is for.
        process: whose; this one by default.
    """
    process = process or psutil.Process()
    started = round(process.create_time() * 1000)
    return f"{kind}-{platform.node()}-{process.pid}-{started}-{uuid.uuid4().hex[:8]}"


def abandoned(kind: str, names: Iterable[str]) -> list[str]:
    """Those of some names that are folders of this machine's processes that are no more."""
    named = re.compile(rf"{kind}-{re.escape(platform.node())}-(\d+)-(\d+)-[0-9a-f]{{8}}")
    found = ((name, named.fullmatch(name)) for name in names)
    return [name for name, owner in found if owner and not _is_alive(int(owner[1]), int(owner[2]))]


def _is_alive(pid: int, started: int) -> bool:
    try:
        return round(psutil.Process(pid).create_time() * 1000) == started
    except psutil.NoSuchProcess:
        return False

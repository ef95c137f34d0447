"""Files of a warehouse are their owner's alone: whoever else reads them needs no port and no token."""

import os
import stat
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_private() -> None:
    """Let what this process and those that it starts create be readable for nobody else."""
    os.umask(_OTHERS)


def is_private(folder: Path) -> bool:
    """Whether nobody but its owner may look into a folder, root aside; true where there is none."""
    return not folder.exists() or not folder.stat().st_mode & _OTHERS

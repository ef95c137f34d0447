"""Our code in Spark's Python workers: it travels with the job, so that they need no checkout.

A function that Spark's workers run is pickled by Spark, with what it refers to. Most of what we have there
can't be (declarations are pydantic's classes), so the sources travel as they are, and are imported there.
"""

import hashlib
import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import TypeAlias

import pyarrow as pa
import pyspark.cloudpickle as cloudpickle

import lakehouse

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

ArrowFunction: TypeAlias = Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]
Sources: TypeAlias = dict[str, tuple[str, bool, str]]

# What is in this module goes to the workers as code.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


class _Travelled(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds and loads modules of ours that travelled with a job.

    Args:
        digest: of the sources.
        sources: by the module's name: its text, whether it is a package, and its path on the client.
    """

    def __init__(self, digest: str, sources: Sources) -> None:
        self.digest = digest
        self._sources = sources

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._sources:
            return None
        _, is_package, path_there = self._sources[fullname]
        spec = importlib.machinery.ModuleSpec(fullname, self, origin=path_there, is_package=is_package)
        # Modules look at `__file__`, though nothing need be there.
        spec.has_location = True
        return spec

    def get_source(self, fullname: str) -> str:
        return self._sources[fullname][0]

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.get_source(fullname), f"<{fullname}>", "exec", dont_inherit=True)

    def is_package(self, fullname: str) -> bool:
        return self._sources[fullname][1]


def in_workers(module: str, function: str, *arguments: str) -> ArrowFunction:
    """A function of ours for `mapInArrow`: workers run this process's version of our code, wherever they are.

    Args:
        module: below `lakehouse`.
        function: called with the batches and `arguments`.
    """
    digest, sources = _sources()

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        return getattr(_imported(module, digest, sources), function)(batches, *arguments)

    return run


def _imported(module: str, digest: str, sources: Sources) -> ModuleType:
    """A module of the code that travelled; that of an earlier job with other code is forgotten."""
    held = [finder for finder in sys.meta_path if getattr(finder, "digest", None) is not None]
    if not any(getattr(finder, "digest", None) == digest for finder in held):
        for finder in held:
            sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name in sources]:
            del sys.modules[name]
        sys.meta_path.insert(0, _Travelled(digest, sources))
    return importlib.import_module(module)


@cache
def _sources() -> tuple[str, Sources]:
    root = Path(lakehouse.__path__[0])
    sources: Sources = {}
    for path in sorted(root.rglob("*.py")):
        parts = (root.name, *path.relative_to(root).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        sources[".".join(parts[:-1] if is_package else parts)] = (path.read_text(), is_package, str(path))
    return hashlib.sha256(repr(sources).encode()).hexdigest(), sources

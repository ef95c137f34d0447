"""Deliveries that the engine's machines do not see travel with the session."""

import os
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import SparkSession

from lakehouse.engine import there
from lakehouse.engine.files_there import SENT
from lakehouse.ingest.offer import Found, Offer


@dataclass(frozen=True)
class Sent:
    """Files that were sent.

    Args:
        names: path here → name there.
        before: path here → size and time of change before it was sent.
    """

    names: Mapping[str, str]
    before: Mapping[str, tuple[int, int]]

    def as_sent(self, offer: Offer) -> Offer:
        """An offer as the tasks find it."""
        name = self.names.get(offer.path)
        return offer if name is None else offer.model_copy(update={"path": f"{SENT}{name}"})

    def as_offered(self, found: Found) -> Found:
        """An answer about a file by the path that it has here."""
        path = {f"{SENT}{name}": path for path, name in self.names.items()}.get(found.offer.path)
        if path is None:
            return found
        offer = found.offer.model_copy(update={"path": path})
        if _look(path) != self.before[path]:
            # What was sent may be half of it.
            return Found(offer=offer, waiting="it is still being written")
        return found.model_copy(update={"offer": offer})


def send_unseen(spark: SparkSession, offers: Sequence[Offer]) -> Sent:
    """Send the files that the engine's machines do not see as this one does.

    A file that is not there, or is another one by its size or time of change, is sent. It stays with the
    session, which ends with this process.
    """
    here = {offer.path: _look(offer.path) for offer in offers if offer.path.startswith("/")}
    if not here:
        return Sent({}, {})
    folder = os.path.commonpath([Path(path).parent for path in here])
    seen = there.look(spark, folder, [os.path.relpath(path, folder) for path in here])
    as_here = {f"{folder}/{name}": (file.size, file.modified_ns) for name, file in seen.items()}
    unseen = [path for path, what in here.items() if as_here.get(path) != what]
    names = {path: uuid.uuid4().hex for path in unseen}
    if names:
        with tempfile.TemporaryDirectory(prefix="lakehouse-send-") as links:
            for path, name in names.items():
                # A session knows each file by a name of its own.
                (Path(links) / name).symlink_to(path)
            spark.addArtifacts(*(f"{links}/{name}" for name in names.values()), file=True)
    return Sent(names, {path: here[path] for path in unseen})


def _look(path: str) -> tuple[int, int]:
    try:
        found = Path(path).stat()
    except FileNotFoundError:
        return (-1, 0)
    return found.st_size, found.st_mtime_ns

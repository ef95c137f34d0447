"""What lies of several sources, where one whose store does not answer keeps no other from being looked at."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lakehouse.ingest.delivery import Delivery, UnlistedError
from lakehouse.ingest.source import Source


@dataclass(frozen=True)
class Listed:
    """What was found.

    Args:
        deliveries: by source; nothing of a source that could not be listed.
        unlisted: why not, by source.
    """

    deliveries: dict[str, Sequence[Delivery]] = field(default_factory=dict[str, Sequence[Delivery]])
    unlisted: dict[str, str] = field(default_factory=dict[str, str])


def list_deliveries(sources: Iterable[Source], landing: Path) -> Listed:
    """The deliveries of some sources, each listed once."""
    found = Listed()
    for source in sources:
        try:
            found.deliveries[source.name] = source.deliveries(landing)
        except UnlistedError as error:
            found.unlisted[source.name] = error.what
    return found

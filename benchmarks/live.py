"""A live day by a topic, hour by hour: from an event's publication to bronze, to features, to scores.

    python -m benchmarks.live [--days 4] [--hours 3]

A real broker, real flights: their events come by the topic and by nothing else, the other sources as files.
The days before are built first. Then noon comes, and each hour after it: its events are published, land,
dbt builds what they change, and the flights that leave two hours after it are scored from these features;
each stage is timed from the moment at which the brokers had the last event. At the end the day is built
from files alone in another schema, and both have the same features by content hash. The model is of the
demo's size, of random weights: nobody looks at its scores here.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import torch
import yaml
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

from benchmarks.warehouse import Warehouse
from demo.publish import SOURCES, publish
from demo.topic import TOPIC, create_topic, publish_events
from lakehouse.dbt.manifest import current_models
from lakehouse.delta.content_hash import content_hash
from lakehouse.engine.session import spark_session
from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.land import ingest
from lakehouse.ingest.source import Source
from lakehouse.settings import PROJECT_ROOT
from ml.data.columns import columns_of
from ml.encoding.encode import Encoding
from ml.model.bundle import Bundle
from ml.model.network import Shape, TabularNetwork
from ml.scoring.inference import with_scores
from tests.servers.kafka import Broker, running_broker

EVENTS, FEATURES = "flight_actuals", "flight_features"
DAY, NOON = date(2013, 10, 1), 12
_FILES = tuple(name for name in SOURCES if name != EVENTS)
_ZONE = ZoneInfo("America/New_York")


def by_topic(servers: str) -> Mapping[str, Source]:
    """The project's sources, but that the events come by a topic."""
    declared = yaml.safe_load((PROJECT_ROOT / "sources" / f"{EVENTS}.yml").read_text())
    kept = {key: value for key, value in declared.items() if key not in ("format", "files")}
    stream = {"bootstrap_servers": servers, "topic": TOPIC, "value": "json"}
    return load_sources() | {EVENTS: Source.model_validate(kept | {"stream": stream})}


def made_model() -> Bundle:
    """A model of the demo's size that reads every feature."""
    columns, random = columns_of(current_models(), FEATURES), np.random.default_rng(0)
    edges = {
        name: tuple(map(float, np.unique((random.normal(size=13) * 10).astype(np.float32))))
        for name in columns.numeric
    }
    encoding = Encoding(edges, dict.fromkeys(columns.categorical, ("AA", "EWR", "UA")))
    shape = Shape((96, 48), 2, 6, 0.3, 0.15)
    torch.manual_seed(1)
    return Bundle(TabularNetwork(encoding, shape).eval(), encoding, shape)


class Live:
    """A day that goes on, hour by hour.

    Args:
        target: the warehouse that the topic fills.
    """

    def __init__(self, target: Warehouse, broker: Broker) -> None:
        self.target, self._broker = target, broker
        self._declared = by_topic(broker.address)
        self._columns = columns_of(current_models(), FEATURES)
        self._files = made_model().to_files()

    @property
    def _landing(self) -> Path:
        return self.target.folder / "landing"

    def land(self) -> int:
        """Land what files and topic have; the events that landed."""
        report = ingest(
            self.target.spark,
            landing=self._landing,
            declared=self._declared,
            schema=f"{self.target.schema}_bronze",
            settle_seconds=0,
        )
        assert not report.refused, report.refused
        return sum(batch.rows for batch in report.landed if batch.source == EVENTS)

    def history(self, first: date) -> None:
        """The days before, and the live day's morning, landed and built."""
        publish(first, DAY, landing=self._landing, through_hour=NOON - 1, sources=_FILES)
        publish_events(first, DAY - timedelta(days=1), self._broker.address)
        publish_events(DAY, DAY, self._broker.address, hours=(0, NOON))
        self.land()
        self.target.build("--select", f"+{FEATURES}")

    def hour(self, hour: int) -> tuple[int, int, float, float, float, float]:
        """An hour passes: events, flights scored, and the seconds until each stage had them."""
        publish(DAY, DAY, landing=self._landing, through_hour=hour, sources=_FILES)
        began = time.monotonic()
        published = publish_events(DAY, DAY, self._broker.address, hours=(hour, hour + 1))
        there = time.monotonic()
        assert self.land() == published
        landed = time.monotonic()
        self.target.build("--select", f"+{FEATURES}")
        built = time.monotonic()
        scored = self.score(hour)
        return published, scored, there - began, landed - there, built - there, time.monotonic() - there

    def score(self, hour: int) -> int:
        """Score the flights that are due when the hour ends: they leave two hours after it."""
        due = datetime(DAY.year, DAY.month, DAY.day, hour + 1, tzinfo=_ZONE)
        rows = self.target.spark.table(f"{self.target.schema}.{FEATURES}").where(
            F.col(self._columns.event_time).between(F.lit(due - timedelta(hours=1)), F.lit(due))
        )
        scores = with_scores(rows, self._columns, self._files).select("score").collect()
        assert all(0 <= row.score <= 1 for row in scores)
        return len(scores)


def same_by_files(live: Live, first: date, hour: int) -> int:
    """Build the same hours from files alone; the day's rows, which must have one hash."""
    other = replace(live.target, schema="bench_files", folder=live.target.folder / "files")
    other.drop()
    try:
        publish(first, DAY, landing=other.folder / "landing", through_hour=hour)
        report = ingest(
            other.spark, landing=other.folder / "landing", schema=f"{other.schema}_bronze", settle_seconds=0
        )
        assert not report.refused, report.refused
        other.build("--select", f"+{FEATURES}")
        ours, theirs = (
            content_hash(each.spark.table(f"{each.schema}.{FEATURES}")) for each in (live.target, other)
        )
        assert ours.rows == theirs.rows, "the features differ by how the events came"
        return ours.row_count
    finally:
        other.drop()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=4, help="before the live one")
    parser.add_argument("--hours", type=int, default=3, help="that are measured; one before warms up")
    arguments = parser.parse_args()
    first, spark, console = DAY - timedelta(days=arguments.days), spark_session(), Console()
    # As dbt's own sessions have it.
    spark.conf.set("spark.sql.ansi.enabled", "false")
    shown = Table("hour", "events", "published s", "in bronze s", "in features s", "scored s", "flights")
    with tempfile.TemporaryDirectory(prefix="bench-live-") as folder:
        target = Warehouse(spark, Path(folder), "bench_live")
        target.drop()
        try:
            with running_broker(Path(folder) / "kafka") as broker:
                create_topic(broker.address)
                live = Live(target, broker)
                began = time.monotonic()
                live.history(first)
                console.print(f"history landed and built: {time.monotonic() - began:.0f} s")
                for hour in range(NOON, NOON + arguments.hours + 1):
                    events, flights, *seconds = live.hour(hour)
                    warm = "" if hour > NOON else ", warm-up"
                    times = (f"{each:.1f}" for each in seconds)
                    shown.add_row(f"{hour}{warm}", str(events), *times, str(flights))
                    console.print(shown)
            rows = same_by_files(live, first, NOON + arguments.hours)
            console.print(f"{rows} rows of {FEATURES} have the same content hash as from files alone")
        finally:
            target.drop()


if __name__ == "__main__":
    main()

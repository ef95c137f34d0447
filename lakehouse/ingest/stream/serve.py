"""The continuous service of a topic: bounded loads back to back, as long as it is let."""

from collections.abc import Callable
from threading import Event

from pyspark.sql import SparkSession

from lakehouse.ingest.report import IngestReport
from lakehouse.ingest.source import Source
from lakehouse.ingest.stream.lag import stream_of
from lakehouse.ingest.stream.land import land_stream
from lakehouse.ingest.stream.topic import Topic, UnreachableError, look_at
from lakehouse.progress import Progress, silent


def serve(
    session: Callable[[], SparkSession],
    source: Source,
    stop: Event,
    on_report: Callable[[IngestReport], None],
    *,
    every_seconds: float,
    schema: str = "bronze",
    progress: Progress = silent,
) -> None:
    """Land what is new in a topic again and again, until told to stop; a load that has begun is ended first.

    While nothing is new, only the brokers are asked. Brokers that do not answer are asked again: they are
    restarted from time to time, and nothing is lost meanwhile.

    Args:
        session: gives the Spark session; asked before each load, as an engine may have been replaced.
        on_report: told of each load.
        every_seconds: between two looks at the topic; a load that takes longer is followed by the next one.

    Raises:
        LakehouseError: see `land_stream`; but for brokers that do not answer.
    """
    stream = stream_of(source)
    done: Topic | None = None
    while not stop.is_set():
        try:
            topic = look_at(stream)
            if done is None or (topic.topic_id, topic.end) != (done.topic_id, done.end):
                report = IngestReport()
                report.lags.append(land_stream(session(), source, report, schema=schema, progress=progress))
                on_report(report)
                # What came since this look is found by the next one.
                done = topic
        except UnreachableError as error:
            progress(f"{error.what}; asked again in {every_seconds:g} s")
        stop.wait(every_seconds)

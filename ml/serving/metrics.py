"""What the service counts, for Prometheus."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ml.serving.answers import Task

_SECONDS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class Metrics:
    """The counters of one service; each service has its own registry of them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "lakehouse_requests_total", "Requests by answer.", ["spec", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "lakehouse_request_seconds",
            "Seconds from a request's arrival to its answer.",
            ["spec"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "lakehouse_requests_in_flight", "Requests not yet answered.", registry=self.registry
        )
        self.scored = Counter(
            "lakehouse_rows_scored_total", "Rows answered.", ["version", "role"], registry=self.registry
        )
        self.missing = Counter(
            "lakehouse_missing_features_total", "Missing features.", registry=self.registry
        )
        self.unseen = Counter(
            "lakehouse_unseen_categories_total", "Categories that training had not.", registry=self.registry
        )
        self.shadow_rows = Counter(
            "lakehouse_shadow_rows_total", "Rows the challenger scored unheard.", registry=self.registry
        )
        self.shadow_skipped = Counter(
            "lakehouse_shadow_rows_skipped_total",
            "Rows it did not score, as requests waited.",
            registry=self.registry,
        )
        self.journal_bytes = Gauge(
            "lakehouse_journal_bytes", "Bytes that wait for `lakehouse serve flush`.", registry=self.registry
        )
        self.store_up = Gauge(
            "lakehouse_online_store_up", "Whether the store answers.", registry=self.registry
        )
        self.versions = Gauge(
            "lakehouse_model_version", "Versions in service.", ["spec", "alias"], registry=self.registry
        )

    def count(self, tasks: Sequence[Task]) -> None:
        """Count what was answered."""
        for task in tasks:
            self.scored.labels(task.loaded.version, task.role).inc()
            self.missing.inc(task.missing)
            self.unseen.inc(len(task.unseen))

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)

"""Prometheus metrics, by route template: no id, organisation or person is in a label."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one application, in a registry of its own. Each service process has its own figures."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._requests = Counter(
            "fathomline_requests", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "fathomline_request_seconds",
            "Time from the request's head to its last byte",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.running = Gauge("fathomline_requests_running", "Requests being answered", registry=self.registry)
        self.forms = Counter("fathomline_forms", "Forms asked for", ["outcome"], registry=self.registry)
        self.webhooks = Counter(
            "fathomline_webhook_attempts", "Attempts to deliver a message", ["outcome"], registry=self.registry
        )
        # Looking a child up by its labels costs more than counting; routes and statuses are few.
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        key = (method, route, status)
        children = self._children.get(key)
        if children is None:
            known = method if method in METHODS else "other"  # a method is the caller's word and must not make labels
            children = self._requests.labels(known, route, str(status)), self._seconds.labels(known, route)
            if known == method:
                self._children[key] = children
        children[0].inc()
        children[1].observe(seconds)

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)

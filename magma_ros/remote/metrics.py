"""What a policy server counts, as a Prometheus page."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from magma_ros.remote.worker import Answer, PolicyWorker

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BUCKETS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class ServerMetrics:
    """Counters of one server; used from its event loop alone."""

    def __init__(self, worker: PolicyWorker) -> None:
        registry = self._registry = CollectorRegistry()
        self._requests = Counter("magma_ros_requests", "Answered messages, refusals included", registry=registry)
        self._errors = Counter("magma_ros_errors", "Refusals, by class of error", ["kind"], registry=registry)
        self._refused = Counter("magma_ros_refused_connections", "By reason", ["reason"], registry=registry)
        self._infer = Histogram(
            "magma_ros_inference_seconds", "What the policy took", registry=registry, buckets=_BUCKETS_S
        )
        self._queue = Histogram(
            "magma_ros_queue_seconds", "Waiting for the policy", registry=registry, buckets=_BUCKETS_S
        )
        self._connections = Gauge("magma_ros_connections", "Open WebSockets", registry=registry)
        waiting = Gauge("magma_ros_queue_length", "Requests that wait for the policy", registry=registry)
        waiting.set_function(lambda: worker.num_waiting)
        alive = Gauge("magma_ros_policy_alive", "1 while the policy's thread answers", registry=registry)
        alive.set_function(lambda: worker.is_alive)

    def count_answer(self, answer: Answer) -> None:
        """A request was answered."""
        self._requests.inc()
        self._queue.observe(answer.queue_s)
        self._infer.observe(answer.infer_s)

    def count_error(self, kind: str) -> None:
        """A request was refused with an error of class `kind`."""
        self._requests.inc()
        self._errors.labels(kind).inc()

    def count_refused(self, reason: str) -> None:
        """A connection was refused: `token`, `origin`, `path` or `full`."""
        self._refused.labels(reason).inc()

    def page(self, *, num_connections: int) -> str:
        """The present values in Prometheus' text format."""
        self._connections.set(num_connections)
        return generate_latest(self._registry).decode()

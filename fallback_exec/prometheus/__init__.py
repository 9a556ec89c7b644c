"""Metrics for Prometheus.

    listener = PrometheusListener(executor="images")
    listener.watch(tracker)
    config = ExecuteConfig(strategy="fallback", cooldown=tracker, listeners=[listener])

Needs the extra `fallback-exec[prometheus]`.
"""

try:
    import prometheus_client  # noqa: F401  # each module here needs it
except ImportError as error:
    raise ImportError(
        'fallback_exec.prometheus needs prometheus_client: pip install "fallback-exec[prometheus]"',
        name="prometheus_client",
    ) from error

from fallback_exec.prometheus.listener import PrometheusListener

__all__ = ["PrometheusListener"]

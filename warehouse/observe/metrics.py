"""Gauges of the cycle: to a StatsD server, to an OpenTelemetry collector, or as text for Prometheus.

``WAREHOUSE_STATSD=host:port`` (UDP) and ``WAREHOUSE_OTLP=http://host:4318`` switch the first two on, for Airflow's own
metrics as well (warehouse/airflow_services.py). A collector that is away costs a line in the log, never a run.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

from warehouse.observe.health import Health

PREFIX = "warehouse"
TIMEOUT_SECONDS = 5
log = logging.getLogger(__name__)
Gauges = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]  # (name, labels) → value


def of_cycle(result: Any) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Gauges of a `CycleResult`: files, submissions, rows and findings by kind, seconds by step, the publication's rows."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for name, kinds, label in (
        ("files", result.files, "outcome"), ("submissions", result.submissions, "state"), ("rows", result.rows, "kind"),
        ("findings", result.findings, "severity"), ("step_seconds", result.seconds, "step"),
    ):  # fmt: skip
        for kind, value in kinds.items():
            found[name, ((label, kind),)] = float(value)
    if result.publication is not None:
        found |= {("publication", ()): float(result.publication), ("rows_opened", ()): float(result.rows_opened), ("rows_closed", ()): float(result.rows_closed)}
    return found


def of_step(step: str, seconds: float, failed: bool) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {("step_seconds", (("step", step),)): seconds, ("step_failed", (("step", step),)): float(failed)}


def of_health(health: Health) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Gauges of a look at the cycle's health."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {("healthy", ()): float(health.healthy)}
    for check in health.checks:
        found["check_ok", (("check", check.name),)] = float(check.ok)
    publication, reporting, files = health.values("publication"), health.values("reporting"), health.values("files")
    if publication.get("publication") is not None:
        found |= {("publication", ()): float(publication["publication"]), ("publication_age_seconds", ()): float(publication["age_seconds"])}
    if reporting:
        found["overdue_forms", ()] = float(sum(map(len, reporting["overdue_forms"].values())))
        found["counties_missing_twice", ()] = float(len(reporting["missing_twice"]))
    if files:
        found["files_waiting", ()] = float(files["waiting"])
        for outcome, number in files["failed_last_7_days"].items():
            found["files_failed_7_days", (("outcome", outcome),)] = float(number)
    disk, gate = health.values("disk"), health.values("gate")
    found["disk_free_bytes", ()] = float(disk["free_bytes"])
    if gate:
        found["gate_waiting", ()] = float(gate["waiting_for_approval"] is not None)
    return found


def exposition(health: Health) -> str:
    """The gauges of a look in Prometheus's text format."""
    lines, named = [], set()
    for (name, labels), value in of_health(health).items():
        if name not in named:
            named.add(name)
            lines.append(f"# TYPE {PREFIX}_{name} gauge")
        said = "{" + ",".join(f'{k}="{v}"' for k, v in labels) + "}" if labels else ""
        lines.append(f"{PREFIX}_{name}{said} {value:.10g}")
    return "\n".join(lines) + "\n"


def send(gauges: Gauges) -> None:
    """To whoever is configured. Never raises."""
    for wanted, to in ((os.environ.get("WAREHOUSE_STATSD"), _statsd), (os.environ.get("WAREHOUSE_OTLP"), _otlp)):
        if wanted:
            try:
                to(wanted, gauges)
            except Exception as error:  # figures about a run must not cost the run
                log.warning("Metrics could not be sent to %s: %s", wanted, type(error).__name__)


def _statsd(address: str, gauges: Gauges) -> None:
    """Labels become parts of the name, as plain StatsD knows none."""
    import statsd

    host, _, port = address.rpartition(":")
    with statsd.StatsClient(host, int(port), prefix=PREFIX).pipeline() as client:
        for (name, labels), value in gauges.items():
            client.gauge(".".join([name, *(v for _, v in labels)]), value)


def _otlp(endpoint: str, gauges: Gauges) -> None:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource

    exporter = OTLPMetricExporter(endpoint=f"{endpoint.rstrip('/')}/v1/metrics", timeout=TIMEOUT_SECONDS)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=float("inf"))
    provider = MeterProvider([reader], resource=Resource.create({"service.name": "county-warehouse"}), shutdown_on_exit=False)
    meter, made = provider.get_meter(PREFIX), {}
    for (name, labels), value in gauges.items():
        made.setdefault(name, None)
        made[name] = made[name] or meter.create_gauge(f"{PREFIX}.{name}")
        made[name].set(value, dict(labels))
    provider.shutdown(timeout_millis=TIMEOUT_SECONDS * 1000)

"""The commands of whoever keeps it running: health, serve-health, watch."""

from __future__ import annotations

import json
import sys

import click

from warehouse.commands.base import AS_JSON, NOW, main, settings_here, tell, time_given


@main.command("health")
@NOW
@AS_JSON
def show_health(now: str | None, as_json: bool) -> None:
    """Is the cycle healthy: last publication, overdue forms, files that wait, gate, disk. Exit code 1 if it is not.

    \b
    Examples: warehouse health
              warehouse health --json --now 2020-06-17T14:00
    """
    from warehouse.observe import health as observe

    settings = settings_here()
    found = observe.health(settings, time_given(now, settings))
    tell(as_json, found.as_json(), observe.describe(found))
    sys.exit(0 if found.healthy else 1)


@main.command("serve-health")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8090, show_default=True, help="Port; 0 takes a free one.")
@AS_JSON
def serve_health(host: str, port: int, as_json: bool) -> None:
    """Answer GET /health (200 or 503, JSON), /metrics (Prometheus) and /live until stopped.

    \b
    Example: warehouse serve-health --port 8090
    """
    from warehouse.observe.serve import server

    with server(settings_here(), host, port) as running:
        address = f"http://{running.server_address[0]}:{running.server_address[1]}"
        click.echo(json.dumps({"health": f"{address}/health"}) if as_json else f"Health: {address}/health   metrics: {address}/metrics")
        sys.stdout.flush()
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            return


@main.command()
@NOW
@AS_JSON
def watch(now: str | None, as_json: bool) -> None:
    """Look once and alert: by mail or webhook, each cause once. For cron; under Airflow the DAG `watch` does it.

    \b
    Where to: WAREHOUSE_MAIL_TO with WAREHOUSE_SMTP_URL, WAREHOUSE_WEBHOOK_URL, or alerts.yaml in the home.
    Example: warehouse watch
    """
    from warehouse.observe import health as observe
    from warehouse.observe import metrics
    from warehouse.observe.alerts import alert

    settings = settings_here()
    settings.prepare()
    found = observe.health(settings, time_given(now, settings))
    metrics.send(metrics.of_health(found))
    told = alert(settings, found)
    data = {"healthy": found.healthy, "raised": told.raised, "over": told.over, "failed": told.failed, "channels": told.channels}
    text = "\n".join(
        [*(f"told     {key}" for key in told.raised), *(f"over     {key}" for key in told.over), *(f"not sent by {name}: {why}" for name, why in told.failed.items())]
    )
    nowhere = "" if told.channels else "\nNobody is told: set WAREHOUSE_MAIL_TO and WAREHOUSE_SMTP_URL, or WAREHOUSE_WEBHOOK_URL."
    tell(as_json, data, (text or ("Nothing is wrong." if found.healthy else "Nothing new.")) + nowhere)
    sys.exit(1 if told.failed else 0)

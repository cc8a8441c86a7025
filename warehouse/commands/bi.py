"""`warehouse bi`: the database's part of the dashboards, then Superset in its own environment until Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import click

from warehouse.commands.base import AS_JSON, main, settings_here, tell
from warehouse.settings import REPOSITORY, Settings, WarehouseError

ENVIRONMENT = REPOSITORY / ".venv-bi"


@main.command()
@click.option("--prepare", "only_prepare", is_flag=True, help="Only make the views, the reading login and Superset's database, and print the settings for bi.serve.")
@AS_JSON
def bi(only_prepare: bool, as_json: bool) -> None:
    """Dashboards on what is published: start Superset with the pages of this repository and stay until Ctrl-C.

    \b
    Examples: make bi
              BI_PORT=8090 warehouse bi
    BI_PORT, BI_HOST and WAREHOUSE_BI_DATABASE are settings of it: docs/bi.md.
    """
    settings = settings_here()
    if only_prepare:
        found = environment(settings)
        tell(as_json, found, "\n".join(f"{name}={value}" for name, value in found.items()))
        return
    sys.exit(serve(settings))


@main.command("bi-user")
@click.argument("name")
@click.option("--county", help="Code of the county whose rows alone the user may see.")
@click.option("--city", is_flag=True, help="The user sees every county.")
@AS_JSON
def bi_user(name: str, county: str | None, city: bool, as_json: bool) -> None:
    """Make or change a reader of the dashboards; prints a new password. A county's reader sees that county's rows only.

    \b
    Examples: warehouse bi-user dehong --county 451031
              warehouse bi-user shizhi --city
    """
    from ingestion.reference import codes

    if (county is None) != city:
        raise WarehouseError("Say who it is for: --county CODE or --city.")
    if county is not None and county not in codes().counties:
        raise WarehouseError(f"There is no county {county}.")
    settings = settings_here()
    command = [str(_python()), "-m", "bi.access", "user", name, *(["--county", county] if county else [])]
    done = subprocess.run(command, env=os.environ | environment(settings), cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        raise WarehouseError(f"The user was not made: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    password = done.stdout.strip().splitlines()[-1]
    tell(as_json, {"user": name, "password": password, "county": county}, f"{name}: password {password} (shown once; he or she may change it under Settings)")


def environment(settings: Settings) -> dict[str, str]:
    """What `bi.serve` needs, as environment variables; makes what is missing in the database. Safe to repeat."""
    from bi.login import prepare
    from warehouse import database

    database.start(settings)
    reading, metadata = prepare(settings, os.environ.get("WAREHOUSE_BI_DATABASE") or "superset")
    return {
        "BI_DATABASE_URL": reading,
        "BI_METADATA_URL": os.environ.get("WAREHOUSE_BI_METADATA_URL") or metadata,
        "BI_SECRET_KEY": settings.secret("bi_secret_key"),
        "BI_ADMIN_PASSWORD": settings.secret("bi_admin_password", 12),
        "BI_PASSWORD_HINT": f"in {settings.home / 'secrets' / 'bi_admin_password'}",
        "BI_HOME": str(settings.home / "bi"),
    }


def serve(settings: Settings) -> int:
    """Run Superset until stopped; the database is stopped too if it was not up before. Returns the exit code."""
    from warehouse.embedded import EmbeddedServer

    python = _python()
    server = EmbeddedServer(settings) if settings.url is None else None
    ours = server is not None and not server.running()
    stopping = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _: stopping.append(n))
    child = None
    try:
        child = subprocess.Popen([str(python), "-m", "bi.serve"], env=os.environ | environment(settings), cwd=REPOSITORY, start_new_session=True)
        while True:
            try:
                code = child.wait(0.5)
            except subprocess.TimeoutExpired:
                if stopping:
                    child.terminate()
                    stopping.clear()
                continue
            return 0 if code in (0, -signal.SIGTERM) else code
    finally:
        if child and child.poll() is None:
            child.terminate()
            child.wait()
        if ours:
            server.stop()


def _python() -> Path:
    python = Path(os.environ.get("WAREHOUSE_BI_PYTHON") or ENVIRONMENT / "bin" / "python")
    if not python.exists():
        raise WarehouseError("Superset's environment is not there: run `make bi`, which builds it (a minute, 0.6 GB).")
    return python

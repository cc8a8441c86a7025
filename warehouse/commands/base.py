"""What every command shares: the group, common options, the home and database it works on, and how it answers."""


from __future__ import annotations

import dataclasses
import datetime as dt
import json
import warnings
from pathlib import Path
from typing import Any

import click

from warehouse.settings import Settings, WarehouseError

warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")  # a wheel's complaint that helps nobody

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
NOW = click.option("--now", metavar="TIME", help="Judge deadlines as of this time (ISO; city time without an offset).")
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class Group(click.Group):
    """Commands in the order in which one meets them; faults that a person can mend end in one sentence and code 2."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except WarehouseError as error:
            click.echo(f"warehouse: {error}", err=True)
            context.exit(2)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """County workbooks to published, traceable star schemas.

    \b
    Everything at once, with demonstration data and Airflow:
      warehouse run
    One delivery from a folder, from intake to publication:
      warehouse cycle --inbox ~/2020-W24
    State lives in WAREHOUSE_HOME (default ./var); WAREHOUSE_URL points to a PostgreSQL server of your own.
    """


def settings_here() -> Settings:
    return Settings.from_environment()


class connected:
    """A started, migrated database and an autocommit connection to it, as (connection, settings)."""

    def __enter__(self):
        from warehouse import database

        settings = settings_here()
        database.start(settings)
        self.connection = database.connect(settings, autocommit=True)
        return self.connection, settings

    def __exit__(self, *_) -> None:
        self.connection.close()


def progress_shown():
    from warehouse.progress import Progress

    return Progress()


def time_given(text: str | None, settings: Settings) -> dt.datetime | None:
    if text is None:
        return None
    from warehouse.cycle import parse_time

    return parse_time(text, settings)


def without_password(address: str) -> str:
    from urllib.parse import urlsplit

    parts = urlsplit(address)
    return f"{parts.hostname}:{parts.port or 5432}{parts.path} (address with password: warehouse url)"


def tell(as_json: bool, data: dict, text: str) -> None:
    click.echo(json.dumps(data, ensure_ascii=False, indent=2, default=str) if as_json else text)


def tell_record(as_json: bool, record: Any) -> None:
    """A step's result: its fields as JSON, or a line each."""
    data = dataclasses.asdict(record) if dataclasses.is_dataclass(record) else dict(vars(record))
    width = max(map(len, data), default=0)
    tell(as_json, data, "\n".join(f"{name.replace('_', ' '):<{width}}  {_short(value)}" for name, value in data.items()))


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{n} {name}" for name, n in value.items()) or "none"
    if isinstance(value, (list, tuple, set)) and len(value) > 10:
        return f"{len(value):,}"
    return str(value)

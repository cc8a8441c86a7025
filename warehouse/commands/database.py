"""Commands about the database itself."""

from __future__ import annotations

import sys

import click

from warehouse.commands.base import AS_JSON, main, settings_here, tell, without_password
from warehouse.settings import WarehouseError


@main.command()
@AS_JSON
def up(as_json: bool) -> None:
    """Start the database and bring it up to date.

    \b
    Example: warehouse up
    """
    from warehouse import database

    address = database.start(settings_here())
    tell(as_json, {"url": address}, f"The database is up: {without_password(address)}")


@main.command()
@AS_JSON
def down(as_json: bool) -> None:
    """Stop the embedded database. A server in WAREHOUSE_URL is left alone.

    \b
    Example: warehouse down
    """
    from warehouse.embedded import EmbeddedServer

    settings = settings_here()
    if settings.url:
        raise WarehouseError("WAREHOUSE_URL names a server of your own; it is not stopped from here.")
    server = EmbeddedServer(settings)
    running = server.running()
    if running:
        server.stop()
    tell(as_json, {"stopped": running}, "The database is stopped." if running else "The database was not running.")


@main.command()
@AS_JSON
def url(as_json: bool) -> None:
    """Print the database's address, password included.

    \b
    Example: psql "$(warehouse url)"
    """
    from warehouse import database

    address = database.url(settings_here())
    tell(as_json, {"url": address}, address)


@main.command(context_settings={"ignore_unknown_options": True})
@click.option("--print", "only_print", is_flag=True, help="Print the command line instead of running it.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(only_print: bool, arguments: tuple[str, ...]) -> None:
    """Open psql on the warehouse; arguments are psql's.

    \b
    Examples: warehouse psql
              warehouse psql -c "select * from store.publication"
    """
    import os
    import shlex
    import shutil

    from warehouse import database
    from warehouse.embedded import BINARIES

    program = shutil.which("psql") or str(BINARIES / "psql")
    command = [program, database.url(settings_here()), *arguments]
    if only_print:
        click.echo(shlex.join(command))
        return
    sys.stdout.flush()
    os.execv(program, command)

"""`warehouse backup`, `warehouse restore`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from warehouse.commands.base import (
    AS_JSON,
    FOLDER,
    main,
    progress_shown,
    settings_here,
    tell_record,
    time_given,
)


@main.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--keys", "keys_file", type=click.Path(path_type=Path), help="Write the home's keys into this file as well; keep it apart from the backup.")
@click.option("--base", is_flag=True, help="The embedded server's files instead of a dump: archived WAL can be replayed on it (point in time).")
@AS_JSON
def backup(directory: Path, keys_file: Path | None, base: bool, as_json: bool) -> None:
    """Save database, originals, outbox, reports and inbox into a new DIRECTORY, with checksums. It holds personal data.

    \b
    Keys (home/secrets) are NOT in it: write them with --keys and keep them elsewhere. Loading waits meanwhile.
    Examples: warehouse backup /backup/2020-06-16 --keys /safe/warehouse-keys-2020-06-16.tar
              warehouse backup /backup/base-2020-06-14 --base --keys /safe/warehouse-keys-2020-06-14.tar
    """
    from warehouse.backup import backup as step

    with progress_shown() as progress:
        result = step(settings_here(), directory, keys_file=keys_file, base=base, progress=progress)
    tell_record(as_json, result)
    if not as_json:
        where = f"The keys are in {result.keys_file}: keep that file apart from the backup." if keys_file else "The keys are NOT in the backup (home/secrets): --keys FILE writes them."
        click.echo(where)


@main.command()
@click.argument("directory", type=FOLDER)
@click.option("--keys", "keys_file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The file that `warehouse backup --keys` wrote.")
@click.option("--new-keys", is_flag=True, help="Go on without the old keys: new pseudonyms will not join old ones.")
@click.option("--wal", type=FOLDER, help="Folder of archived WAL to replay (of a backup made with --base).")
@click.option("--to", metavar="TIME", help="Replay WAL up to this time only (ISO; city time without an offset).")
@click.option("--originals", type=FOLDER, help="A copy of home/archive kept elsewhere: gives originals that came after the backup.")
@AS_JSON
def restore(directory: Path, keys_file: Path | None, new_keys: bool, wal: Path | None, to: str | None, originals: Path | None, as_json: bool) -> None:
    """Restore the backup in DIRECTORY into an empty WAREHOUSE_HOME and verify it. Exit code 1 if something disagrees.

    \b
    Examples: WAREHOUSE_HOME=/data/new warehouse restore /backup/2020-06-16 --keys /safe/warehouse-keys-2020-06-16.tar
              warehouse restore /backup/base-2020-06-14 --keys /safe/keys.tar --wal /backup/wal --to 2020-06-16T11:30
    """
    from warehouse.backup import restore as step

    settings = settings_here()
    with progress_shown() as progress:
        result = step(settings, directory, keys_file=keys_file, new_keys=new_keys, wal=wal, to=time_given(to, settings), originals=originals, progress=progress)
    tell_record(as_json, result)
    if not as_json and not result.faults:
        click.echo("Nothing was altered: ledger, published rows and originals agree.")
    sys.exit(1 if result.faults else 0)

"""PostgreSQL's own client programs, with the password in the environment and never on a command line."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from warehouse.embedded import BINARIES
from warehouse.settings import WarehouseError


def run(name: str, url: str, *arguments: str | Path) -> str:
    """Run pg_dump, pg_restore or pg_basebackup against a database; returns what it said. Raises WarehouseError."""
    parts = conninfo_to_dict(url)
    password = parts.pop("password", None)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"LC_ALL": "C.UTF-8"}
    if password is not None:
        environment["PGPASSWORD"] = str(password)
    command = [str(_program(name)), "-d", make_conninfo("", **parts), "--no-password", *map(str, arguments)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, check=False)
    if done.returncode:
        raise WarehouseError(f"{name} failed ({done.returncode}): {' '.join(done.stdout.split())[-600:]}{_newer(done.stdout)}")
    return done.stdout


def _program(name: str) -> Path:
    """WAREHOUSE_PG_BIN goes first: a server newer than the wheel's programs needs newer ones."""
    folder = os.environ.get("WAREHOUSE_PG_BIN")
    own = Path(folder) / name if folder else BINARIES / name
    if own.exists():
        return own
    found = shutil.which(name)
    if found is None:
        raise WarehouseError(f"{own} is missing, and there is no {name} on the path. Install PostgreSQL's client programs and set WAREHOUSE_PG_BIN to their folder.")
    return Path(found)


def _newer(said: str) -> str:
    return "\nThe server is newer than these programs: set WAREHOUSE_PG_BIN to the folder of the server's own." if "server version mismatch" in said else ""

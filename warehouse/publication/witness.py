"""A note of every publication's hash outside of the database: ``home/ledger.jsonl``, one line a publication.

The ledger's chain shows an edit that leaves the hashes as they are. Whoever works the whole chain out anew, or takes
its end away, is shown by this file. It is appended to after a publication was made; a line that a crash kept from being
written follows with the next one.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path

import psycopg

from warehouse.settings import Settings


def path(settings: Settings) -> Path:
    return settings.home / "ledger.jsonl"


def noted(settings: Settings) -> dict[int, str]:
    """Publication → hash. A line that was cut off is passed over; empty where nothing was noted yet."""
    found: dict[int, str] = {}
    try:
        lines = path(settings).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        try:
            entry = json.loads(line)
            found.setdefault(int(entry["publication"]), str(entry["hash"]))  # what was noted first counts
        except (ValueError, KeyError, TypeError):
            continue
    return found


def note(connection: psycopg.Connection, settings: Settings) -> None:
    """Append what the ledger has beyond the file. A ledger that begins anew gets a new file, the old one is kept."""
    have = noted(settings)
    entries = connection.execute("select publication_id, published_at, hash from store.publication order by publication_id").fetchall()
    if have and len(entries) == 1 and have.get(1) != entries[0][2]:
        path(settings).rename(path(settings).with_name(f"ledger.until-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S}.jsonl"))
        have = {}
    lines = [
        json.dumps({"publication": number, "published_at": at.astimezone(dt.UTC).isoformat(), "hash": digest}) + "\n"
        for number, at, digest in entries
        if number not in have
    ]
    if lines:
        with path(settings).open("a+b") as handle:
            if handle.tell() and _cut_off(handle):
                handle.write(b"\n")
            handle.write("".join(lines).encode())
            handle.flush()
            os.fsync(handle.fileno())


def _cut_off(handle) -> bool:
    handle.seek(-1, os.SEEK_END)
    return handle.read(1) != b"\n"

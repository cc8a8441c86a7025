"""Who may put what into the inbox: configured senders, how large a file may be, how many an hour.

``home/senders.csv`` (columns sender, county_code; a line a county that a sender may report for) lists the senders. Each
has a folder of its own in the inbox, ``inbox/<sender>/…``, which whoever runs the file transfer lets nobody else write.
Without the list everybody is let in, as is a file of whatever size and number without the limits of the environment:

    WAREHOUSE_UPLOAD_MB      larger files are set aside
    WAREHOUSE_UPLOADS_HOUR   files beyond so many an hour of one sender wait in the inbox

Nothing is lost: what is set aside lies in ``home/set_aside``. A form for another county than the sender's is loaded as
returned (GEN-COUNTY), so that the sender is told.
"""

from __future__ import annotations

import csv
import datetime as dt
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from ingestion.model import Finding, FormReading
from warehouse.settings import Settings, WarehouseError

FILE = "senders.csv"
SIZE, RATE = "WAREHOUSE_UPLOAD_MB", "WAREHOUSE_UPLOADS_HOUR"
HOUR = dt.timedelta(hours=1)


def senders(settings: Settings) -> dict[str, set[str]] | None:
    """Sender → codes of the counties it may report for; None where no list is kept. Raises WarehouseError for a list that cannot be used."""
    path = settings.home / FILE
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise WarehouseError(f"{path} cannot be read as UTF-8, and without it nobody is let in: {error}") from error
    reader = csv.DictReader(text.splitlines())
    if not {"sender", "county_code"} <= set(reader.fieldnames or ()):
        raise WarehouseError(f"{path} needs the columns sender and county_code in its first line.")
    found: dict[str, set[str]] = {}
    for row in reader:
        sender, county = (row["sender"] or "").strip(), (row["county_code"] or "").strip()
        if not sender or "/" in sender or not (county.isdigit() and len(county) == 6):
            raise WarehouseError(f"{path}, line {reader.line_num}: wanted is a sender's folder and a county's code of six digits.")
        found.setdefault(sender, set()).add(county)
    return found


def _limit(name: str) -> int | None:
    given = os.environ.get(name, "").strip()
    if given and not (given.isdigit() and int(given) > 0):
        raise WarehouseError(f"{name} is {given!r}; wanted is a whole number above zero.")
    return int(given) if given else None


@dataclass
class Door:
    """Decides on the files of one inbox, one by one."""

    settings: Settings
    known: dict[str, set[str]] | None
    megabytes: int | None
    an_hour: int | None
    came: Counter[str] = field(default_factory=Counter)  # in the last hour, by sender

    @classmethod
    def of(cls, connection: psycopg.Connection, settings: Settings, now: dt.datetime | None) -> Door:
        door = cls(settings, senders(settings), _limit(SIZE), _limit(RATE))
        if door.an_hour:
            since = (now or dt.datetime.now(dt.UTC)) - HOUR
            door.came.update(dict(connection.execute("select coalesce(sender, ''), count(*) from intake.file where recorded_at > %s group by 1", [since]).fetchall()))
        return door

    def sender_of(self, path: Path) -> str | None:
        """The folder of the inbox that a file lies in; None for one that lies in none, and where no senders are configured."""
        if self.known is None:
            return None
        try:
            parts = path.relative_to(self.settings.inbox).parts
        except ValueError:
            return None
        return parts[0] if len(parts) > 1 else None

    def turned_away(self, path: Path) -> str | None:
        """Why a file is not let in, in a sentence; None where it is."""
        sender = self.sender_of(path)
        if self.known is not None and sender not in self.known:
            whose = f"“{sender}” is no configured sender" if sender else "it lies in no sender's folder"
            return f"{path.name} was set aside: {whose}. Enter the sender in {self.settings.home / FILE}, then move the file back into the inbox."
        size = path.lstat().st_size
        if self.megabytes and size > self.megabytes * 2**20:
            return f"{path.name} ({sender or 'no sender'}) was set aside: {size / 2**20:,.0f} MB, and at most {self.megabytes} MB are taken ({SIZE}). Have it sent in parts."
        return None

    def has_to_wait(self, path: Path) -> str | None:
        """Why a file stays in the inbox for now; None where it is taken, which is counted."""
        sender = self.sender_of(path) or ""
        if self.an_hour and self.came[sender] >= self.an_hour:
            return f"{sender or 'no sender'}: more than {self.an_hour} files within an hour ({RATE}); the rest waits in the inbox."
        self.came[sender] += 1
        return None

    def set_aside(self, path: Path) -> None:
        """Out of the inbox, into a folder where a person finds it; it stays whole."""
        place = path.relative_to(self.settings.inbox)
        target = self.settings.home / "set_aside" / f"{time.time_ns()}" / place
        target.parent.mkdir(parents=True, mode=0o700)
        path.rename(target)


def strange_county(known: dict[str, set[str]] | None, sender: str | None, reading: FormReading) -> Finding | None:
    """The finding for a form of a county that its sender may not report for; None where it may, or where nobody says."""
    if known is None or sender is None or reading.county_code is None or reading.county_code in known.get(sender, ()):
        return None
    return Finding(
        "GEN-COUNTY", "error", f"填报单位“{reading.county_text}”不是报送单位“{sender}”可以填报的县（市、区），与报送单位不符。请由该县自行报送；确需代报的，请先向市数据组申请登记。",
        reading.form, reading.county_code, reading.week, reading.member, reading.sheet, value=reading.county_text,
    )  # fmt: skip

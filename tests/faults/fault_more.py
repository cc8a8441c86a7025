"""Faults of what surrounds the run: the disk, the connection, the sender, other runs, the clock; and faults drawn by lot.

A disk is filled to its last byte. Its home is on a file system in memory of its own, so that this takes a moment and
hurts nobody else; that needs the right to mount (root).
"""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import errno
import os
import random
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from fault_bench import APPROVER, Bench, Run, Site
from fault_list import (
    HARNESS,
    ON_FILE,
    WRITERS,
    Blow,
    Fault,
    a_file_in_the_middle,
    after,
    at_line,
    at_lock,
    held,
    kill,
    kill_group,
    kill_reader,
    kill_server,
    until_blocked,
)

FILLER = ".filler"  # in the home
ROOM = 64 * 2**20  # bytes free in a home whose database is elsewhere
ROOM_OF_SERVER = 700 * 2**20  # with the database, which wants 300 MB to start


# -- the disk --------------------------------------------------------------------------------------


def can_mount() -> bool:
    return os.geteuid() == 0 and shutil.which("mount") is not None


@contextlib.contextmanager
def small_disk(bench: Bench, site: Site) -> Iterator[Callable[[], None]]:
    """The home on a disk of its own with little room; ends the trouble by making room again."""
    home, own_server = site.settings.home, (site.settings.home / "postgres").exists()
    if own_server:
        site.server.stop()
    aside = home.with_name(f"{home.name}.aside")
    home.rename(aside)
    home.mkdir()
    used = int(subprocess.run(["du", "-sb", str(aside)], check=True, capture_output=True, text=True).stdout.split()[0])
    size = used + (ROOM_OF_SERVER if own_server else ROOM)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(home)], check=True)
    try:
        subprocess.run(["cp", "-a", f"{aside}/.", str(home)], check=True)
        shutil.rmtree(aside)
        site.small_disk = True
        if own_server:
            site.server.start()
        yield lambda: (home / FILLER).unlink(missing_ok=True)
    finally:
        if own_server:
            site.server.stop()
        subprocess.run(["umount", "-l", str(home)], check=True)


def fill(site: Site, run: Run) -> None:
    """Take the disk's last byte. Raises AssertionError if there is one left."""
    with open(site.settings.home / FILLER, "wb", buffering=0) as handle:
        for size in (8 * 2**20, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    handle.write(bytes(size))
    try:
        (site.settings.home / ".one more").write_bytes(b"x")
    except OSError as error:
        assert error.errno == errno.ENOSPC
        return
    raise AssertionError("the disk is not full")


def at_once(blow: Blow) -> Blow:
    return lambda site, run: blow(site, run)


def fill_when_published(site: Site, run: Run) -> None:
    """The publication is committed, and the report has nowhere to go."""
    with held(site, WRITERS["publish"]):
        until_blocked(site, run)
        fill(site, run)


# -- the connection --------------------------------------------------------------------------------


def terminate(site: Site, run: Run) -> None:
    """PostgreSQL ends every connection of the run, as an administrator or a failing machine would."""
    with site.connect() as connection:
        connection.execute(
            """select pg_terminate_backend(pid) from pg_stat_activity
               where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend' and application_name <> %s""",
            [HARNESS],
        )


class Wire:
    """A line between the run and PostgreSQL that can be cut: every connection is torn, new ones pass again."""

    def __init__(self, host: str, port: int):
        self.target, self.pairs, self._lock = (host, port), [], threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(self.target)
            except OSError:
                return
            with self._lock:
                self.pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> int:
        with self._lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                    end.close()
        return len(pairs)


@contextlib.contextmanager
def through_a_wire(bench: Bench, site: Site) -> Iterator[Callable[[], None]]:
    """The runs reach PostgreSQL through a line that `cut` tears; the harness does not."""
    parts = urlsplit(site.settings.url)
    wire = Wire(parts.hostname, parts.port)
    address = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{wire.port}")
    site.environment["WAREHOUSE_URL"] = urlunsplit(address)
    site.wire = wire
    try:
        yield lambda: None
    finally:
        wire.listener.close()
        wire.cut()


def cut(site: Site, run: Run) -> None:
    assert site.wire.cut() > 0, "the run has no connection"


# -- the sender ------------------------------------------------------------------------------------


@contextlib.contextmanager
def one_file_late(bench: Bench, site: Site) -> Iterator[Callable[[], None]]:
    """One file of the delivery lies half copied under a name that begins with a dot; it is complete after the first run."""
    drop, late = site.settings.inbox / "delivery", site.settings.inbox / ".late"
    lines = list(csv.reader((drop / "arrivals.csv").open(encoding="utf-8")))
    # neither a correction of the week before nor one of two that are the same
    path, when = next(line for line in reversed(lines[1:]) if line[0].endswith(".xlsx") and not line[0].startswith(("mended", "again")))
    data = (drop / path).read_bytes()
    (drop / path).unlink()
    late.mkdir()
    name = Path(path).name
    (late / name).write_bytes(data[: len(data) // 2])
    _write_list(drop, [line for line in lines if line[0] != path])

    def complete() -> None:
        assert (late / name).stat().st_size == len(data) // 2, "half a file was taken"
        (late / path).parent.mkdir(parents=True, exist_ok=True)
        (late / name).unlink()
        (late / path).write_bytes(data)
        _write_list(late, [lines[0], [path, when]])
        late.rename(site.settings.inbox / "late")

    yield complete


def _write_list(folder: Path, lines: list[list[str]]) -> None:
    with (folder / "arrivals.csv").open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows(lines)


def nothing(site: Site, run: Run) -> None:
    """The trouble is in what surrounds the run."""


# -- other runs ------------------------------------------------------------------------------------


def two_workers(site: Site, run: Run) -> None:
    """A second cycle on the same inbox; both are let go when both are about to record the same file."""
    with held(site, ON_FILE.format(sha256=a_file_in_the_middle(site))):
        until_blocked(site, run)
        run.others.append(site.start())
        until_blocked(site, run, processes=2)


def second_run(site: Site, run: Run) -> None:
    run.others.append(site.start())


def two_publications(site: Site, run: Run) -> None:
    """A second publication is asked for while the first has changed rows and not yet written its line."""
    with held(site, WRITERS["publish"]):
        until_blocked(site, run)
        run.others.append(site.start("publish", "--approve-as", APPROVER))
        until_blocked(site, run, processes=2)


# -- the clock -------------------------------------------------------------------------------------


def abroad(zone: str, hours: float = 0.0) -> Callable:
    """The machine's clock in another zone, and set back by ``hours`` between the first run and the second."""

    @contextlib.contextmanager
    def around(bench: Bench, site: Site) -> Iterator[Callable[[], None]]:
        site.environment |= {"TZ": zone, "PGTZ": zone}

        def turn_back() -> None:
            site.now = site.now - dt.timedelta(hours=hours)

        yield turn_back

    return around


# what the late file makes others: two publications of the week where there was one
LATE = frozenset({"ledger", "published submissions", "marts.fct_revision"})
NEW_YORK = "America/New_York"

DISK = (
    Fault("disk receive", "receive", "the disk full from the start: no room for originals", at_once(fill), around=small_disk),
    Fault("disk outbox", "load", "the disk full inside the batch's transaction: no room for returned workbooks",
          at_lock(WRITERS["load"], fill, goes_on=True), stands=0, around=small_disk),
    Fault("disk build", "build", "the disk full when dbt begins", at_line("building slices", fill), stands=0, around=small_disk),
    Fault("disk report", "report", "the disk full inside the publication: no room for the pages", fill_when_published, stands=2, survives=True, around=small_disk),
    Fault("disk server load", "load", "PostgreSQL's disk full inside the batch's transaction",
          at_lock(WRITERS["load"], fill, goes_on=True), stands=0, own_server=True, around=small_disk),
    Fault("disk server publish", "publish", "PostgreSQL's disk full inside the publication",
          at_lock(WRITERS["publish"], fill, goes_on=True), stands=0, own_server=True, around=small_disk),
)  # fmt: skip
CONNECTION = (
    Fault("terminate load", "load", "PostgreSQL ends every connection inside the batch's transaction", at_lock(WRITERS["load"], terminate, goes_on=True)),
    Fault("terminate build", "build", "PostgreSQL ends every connection while dbt writes", at_lock(WRITERS["build"], terminate, goes_on=True)),
    Fault("terminate publish", "publish", "PostgreSQL ends every connection inside the publication", at_lock(WRITERS["publish"], terminate, goes_on=True)),
    Fault("cut receive", "receive", "the line to PostgreSQL cut while a file is recorded", at_lock(ON_FILE, cut, goes_on=True), around=through_a_wire),
    Fault("cut judge", "judge", "the line to PostgreSQL cut inside the judgement's transaction", at_lock(WRITERS["judge"], cut, goes_on=True), around=through_a_wire),
    Fault("cut publish", "publish", "the line to PostgreSQL cut inside the publication", at_lock(WRITERS["publish"], cut, goes_on=True), around=through_a_wire),
)
SENDER = (
    Fault("late file", "receive", "one file half copied while the run goes, complete for the next run", nothing, stands=2, survives=True,
          around=one_file_late, differs=LATE),
)  # fmt: skip
DOUBLE = (
    Fault("two workers", "receive", "the same file taken by two workers at once, and two whole cycles after it", two_workers, stands=2, survives=True),
    Fault("two publications", "publish", "two publications at once", two_publications, stands=2, survives=True),
)
# of the bench at the year's end: 2020-W53 is published, 2021-W01 comes
CLOCK = (
    Fault("year's end", "publish", "2020-W53 → 2021-W01 with the machine's clock in New York: `kill -9` inside the publication",
          at_lock(WRITERS["publish"]), around=abroad(NEW_YORK)),
    Fault("clock back", "load", "2020-W53 → 2021-W01, `kill -9` inside the load, the clock an hour back for the next run",
          at_lock(WRITERS["load"]), around=abroad(NEW_YORK, hours=1.0)),
)  # fmt: skip
MANY = (*CONNECTION, *SENDER, *DOUBLE, *(DISK if can_mount() else ()))


# -- by lot ----------------------------------------------------------------------------------------

KINDS: tuple[tuple[str, Blow, int, dict], ...] = (
    ("`kill -9` of the run", kill, 5, {}),
    ("`kill -9` of the run and its children", kill_group, 2, {}),
    ("`kill -9` of a reading process", kill_reader, 1, {"survives": True}),
    ("`kill -9` of PostgreSQL", kill_server, 3, {"own_server": True}),
    ("every connection ended by PostgreSQL", terminate, 2, {}),
    ("a second cycle begun", second_run, 1, {}),
    *((("the disk full", fill, 2, {"around": small_disk}), ("PostgreSQL's disk full", fill, 1, {"around": small_disk, "own_server": True})) if can_mount() else ()),
)


def random_faults(number: int, seed: int, seconds: float) -> list[Fault]:
    """Blows at moments drawn by lot within ``seconds``, the length of an undisturbed run."""
    draw, faults = random.Random(seed), []
    for n in range(1, number + 1):
        ((what, blow, _, more),) = draw.choices(KINDS, [weight for _, _, weight, _ in KINDS])
        span = min(seconds, 2.5) if blow is kill_reader else seconds  # later nobody reads
        moment = draw.uniform(0, span)
        faults.append(Fault(f"random {n}", "any", f"{what} {moment:.2f} s after the start", after(moment, blow), stands=0, **more))
    return faults

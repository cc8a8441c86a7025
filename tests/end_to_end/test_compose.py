"""The deployment really run: from a clean clone to published marts and pages, as shipped and with Celery workers.

Containers, volumes and networks are of projects of their own and go away with the test. Where no registry can be
reached, stand-ins from Debian packages take the place of the third-party images (tests/end_to_end/images).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from compose_stack import (
    HOME,
    IMAGE,
    Stack,
    clean_clone,
    loading_worker,
    make_env,
    make_images,
    missing_engine,
    service_of,
    tasks_and_hosts,
)
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from superset_client import Superset

from bi.dashboards import pages
from bi.datasets import identity
from demo.generate import write_demo
from tests.end_to_end.personal_scan import Persons, in_files, in_tables
from tests.faults.fault_bench import differences, marts
from warehouse import database

LONG = bool(os.environ.get("WAREHOUSE_LONG"))
pytestmark = [pytest.mark.long, pytest.mark.database, pytest.mark.skipif(not LONG, reason="only with WAREHOUSE_LONG=1 (make test-compose)")]

CODE = {"airflow-api", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"}
KEY = "WAREHOUSE_SECRET_PSEUDONYM_KEY"  # so that both runs give a household the same pseudonym


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A clean clone with its image built."""
    if reason := missing_engine() or make_images():
        pytest.skip(f"compose can't be tried here: {reason}")
    folder = clean_clone(tmp_path_factory.mktemp("deployment") / "clone")
    make_env(folder)
    Stack(folder, "warehouse-test-build", tag="first").compose("build")
    return folder


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return write_demo(tmp_path_factory.mktemp("demo"), weeks=3, counties=3, payouts=5)


@pytest.fixture(scope="module")
def stack(clone):
    """As shipped: one host, LocalExecutor."""
    with_services = Stack(clone, f"warehouse-test-{os.getpid()}", tag="first")
    try:
        with_services.compose("up", "-d")
        with_services.wait_until_healthy()
        yield with_services
    finally:
        with_services.down()


@pytest.fixture(scope="module")
def workers(clone):
    """The same over Redis, with two Celery workers."""
    with_workers = Stack(clone, f"warehouse-test-celery-{os.getpid()}", tag="first", files=("docker-compose.celery.yml",))
    try:
        with_workers.compose("up", "-d", "--scale", "worker=2")
        with_workers.wait_until_healthy()
        yield with_workers
    finally:
        with_workers.down()


def by_command_line(stack: Stack, settings, folders: list[Path]) -> dict[str, list]:
    """Rows that `warehouse cycle` publishes from these folders, in this order, without any container."""
    key = stack.execute("airflow-scheduler", "cat", f"{HOME}/secrets/pseudonym_key").strip()
    environment = os.environ | {"WAREHOUSE_HOME": str(settings.home), "WAREHOUSE_URL": settings.url, KEY: key}
    for folder in folders:
        shutil.copytree(folder, settings.inbox / folder.name)
        done = subprocess.run(
            [sys.executable, "-c", "from warehouse.cli import main; main()", "cycle"], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
    with database.connect(settings, autocommit=True) as connection:
        return marts(connection)


def published(stack: Stack) -> dict[str, list]:
    with stack.connect() as connection:
        return marts(connection)


# -- before anything runs ----------------------------------------------------------------------------


def test_nothing_starts_without_secrets(clone, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(clone, bare, ignore=shutil.ignore_patterns(".env", ".git"))
    stack = Stack(bare, "warehouse-test-bare", tag="first", files=("docker-compose.celery.yml",))
    told = stack.compose("up", "-d", check=False)
    assert "run python3 deploy/make_env.py first" in told
    assert stack.containers() == []


# -- as shipped --------------------------------------------------------------------------------------


def test_every_service_is_checked_limited_and_without_privileges(stack):
    running = stack.containers()
    assert {service_of(c) for c in running} == CODE | {"postgres", "migrate", "web"}
    for container in running:
        name, host = service_of(container), container["HostConfig"]
        assert host["Memory"] > 0, name
        assert not host["Privileged"], name
        if name != "migrate":
            assert container["Config"]["Healthcheck"]["Test"], name
            assert host["RestartPolicy"]["Name"] == "unless-stopped", name
        if name in CODE:
            assert host["CapDrop"] == ["ALL"], name
            assert stack.execute(name, "id", "-u").strip() == "10001"
            assert "pg_ctl" not in stack.execute(name, "sh", "-c", "cat /proc/[0-9]*/comm")  # the embedded server stays off
        for addresses in (container["NetworkSettings"]["Ports"] or {}).values():
            assert all(a["HostIp"] == "127.0.0.1" for a in addresses or []), name


def test_the_databases_belong_to_users_of_their_own(stack):
    with stack.connect() as connection:
        owners = dict(connection.execute("select d.datname, r.rolname from pg_database d join pg_roles r on r.oid = d.datdba"))
        assert owners["warehouse"] == "warehouse" and owners["airflow"] == "airflow"
        powers = dict(connection.execute("select rolname, rolsuper from pg_roles where rolname in ('warehouse', 'airflow')"))
        assert powers == {"warehouse": False, "airflow": False}
        assert connection.execute("select has_database_privilege('airflow', 'warehouse', 'connect')").fetchone() == (False,)
        assert connection.execute("select has_database_privilege('warehouse', 'airflow', 'connect')").fetchone() == (False,)


def test_airflow_asks_who_is_there_and_roles_differ(stack):
    stranger = stack.api()
    stranger.password = "guess"
    with pytest.raises(urllib.error.HTTPError) as refused:
        stranger.dags()
    assert refused.value.code == 401
    with pytest.raises(urllib.error.HTTPError) as refused:
        stack.api()._send("GET", "/api/v2/dags", login=False)
    assert refused.value.code == 401

    viewer, operator, admin = (stack.api(login) for login in ("viewer", "operator", "admin"))
    assert {"receive_and_load", "build_and_publish", "reload_week"} <= viewer.dags()
    for action in (lambda: viewer.trigger("receive_and_load"), lambda: viewer.set_variable("warehouse_approve", "never")):
        with pytest.raises(urllib.error.HTTPError) as refused:
            action()
        assert refused.value.code == 403
    operator.set_variable("warehouse_approve", "never")
    assert operator.variable("warehouse_approve") == "never"
    with pytest.raises(urllib.error.HTTPError) as refused:
        operator._send("GET", "/auth/fab/v1/users")
    assert refused.value.code == 403
    assert {user["username"] for user in admin._send("GET", "/auth/fab/v1/users")["users"]} == {"admin", "operator", "viewer"}


def test_a_week_goes_from_the_inbox_to_published_marts_and_pages(stack, demo, settings):
    stack.api("operator").set_variable("warehouse_approve", "never")
    for folder, week in ((demo.backfill, demo.weeks[-2]), (demo.last_week, demo.weeks[-1])):
        stack.deliver(folder)
        stack.wait_for_publication(week)
    assert stack.ledger() == [(1, demo.weeks[-2]), (2, demo.weeks[-1])]
    assert differences(published(stack), by_command_line(stack, settings, [demo.backfill, demo.last_week])) == []
    assert stack.execute("airflow-scheduler", "sh", "-c", f"find {HOME}/inbox -type f").strip() == ""
    private = ("find", f"{HOME}/archive", f"{HOME}/secrets", "-type", "f")
    assert "pseudonym_key" in stack.execute("airflow-scheduler", *private)
    assert stack.execute("airflow-api", *private) == ""  # who only shows pages and task logs sees neither keys nor originals

    status, front = stack.page("/quality/index.html")
    assert status == 200 and demo.weeks[-1] in front
    assert stack.page("/")[0] == 200  # leads to the quality pages
    for hidden in ("/data_docs/", "/.quality/", "/quality/../../secrets/pseudonym_key", "/%2e%2e/%2e%2e/etc/passwd"):
        assert stack.page(hidden)[0] in (400, 404), hidden
    told = json.loads(stack.execute("airflow-scheduler", "warehouse", "status", "--json"))
    assert told["publication"]["week"] == demo.weeks[-1]
    stack.execute("airflow-scheduler", "warehouse", "verify")
    with stack.connect() as connection:
        (versions,) = zip(*connection.execute("select distinct code_version from store.publication").fetchall(), strict=True)
    assert versions == ("first",)


def test_airflow_keeps_nothing_personal(stack, demo, tmp_path):
    persons = Persons(demo)

    def found(name: str) -> list[str]:
        (copied := tmp_path / name).mkdir()
        stack.copy("airflow-scheduler", f"{HOME}/logs", copied)
        (copied / "services.log").write_text(stack.compose("logs", "--no-color"), encoding="utf-8")
        with stack.connect("airflow") as connection:
            return in_tables(connection, persons, ("public",)) + in_files([copied], persons)

    assert found("before") == []
    # what was looked through is what tasks left behind …
    with stack.connect("airflow") as connection:
        (handed_on,) = connection.execute("select count(*) from xcom where dag_id = 'receive_and_load' and task_id = 'load_files'").fetchone()
    log, *_ = sorted((tmp_path / "before").glob("logs/**/dag_id=receive_and_load/*/task_id=load_files/**/*.log"))
    assert handed_on >= 2 and log.stat().st_size > 0
    # … and a person there would be found
    name, number = min(persons.names), min(persons.numbers)
    run = stack.api().runs("receive_and_load", 1)[0]["dag_run_id"]
    body = {"key": "planted", "value": {"who": name, "id": number}, "map_index": -1}
    stack.api()._send("POST", f"/api/v2/dags/receive_and_load/dagRuns/{urllib.request.quote(run, safe='')}/taskInstances/scan/xcomEntries", body)
    line = json.dumps({"event": f"row of {name}", "id": number})
    stack.execute("airflow-scheduler", "sh", "-c", f"cat >> '{HOME}/{log.relative_to(tmp_path / 'before')}'", stdin=line.encode())
    seen = found("after")
    assert {f"public.xcom: {name}", f"public.xcom: {number}"} <= set(seen)
    assert {name, number} <= {word.rpartition(": ")[2] for word in seen if log.name in word}


def test_pages_are_for_those_who_log_in(stack, clone):
    page = "/quality/index.html"
    for login in ("", "reader:guess", "reader:", ":"):
        for closed in ("/", page, "/quality/", "/brief/"):
            assert stack.page(closed, login) == (401, ""), (login, closed)
    assert stack.page("/up", "")[0] == 200  # whether it is well, anybody may ask
    assert stack.page(page)[0] == 200

    # another auditor, as docs/deploy.md says; nothing is started again
    line = subprocess.run(["openssl", "passwd", "-6", "-salt", "abcdefgh", "her own words"], capture_output=True, text=True, check=True).stdout
    assert stack.page(page, "li:her own words")[0] == 401
    with (clone / "deploy" / "readers" / "htpasswd").open("a", encoding="utf-8") as known:
        known.write(f"li:{line}")
    assert stack.page(page, "li:her own words")[0] == 200
    assert stack.page(page, "li:guess")[0] == 401
    make_env(clone)
    assert stack.page(page, "li:her own words")[0] == stack.page(page)[0] == 200


def test_a_drop_with_a_list_that_cannot_be_followed_is_set_aside_from_one_volume_to_another(stack):
    script = f"mkdir {HOME}/inbox/.faulty && echo nonsense > {HOME}/inbox/.faulty/arrivals.csv && mv {HOME}/inbox/.faulty {HOME}/inbox/faulty"
    stack.execute("airflow-scheduler", "sh", "-c", script)
    find = ("find", f"{HOME}/set_aside", "-name", "arrivals.csv")
    stack.wait_for(lambda: "/faulty-" in stack.execute("airflow-scheduler", *find, check=False), "drop set aside")
    assert stack.execute("airflow-scheduler", "find", f"{HOME}/inbox", "-name", "arrivals.csv") == ""


def test_logs_are_on_standard_output_and_hold_no_secret(stack):
    for service in (*sorted(CODE), "postgres", "migrate", "web"):
        assert stack.compose("logs", "--no-color", service).strip(), service
    said = stack.compose("logs", "--no-color")
    inside = stack.execute("airflow-scheduler", "sh", "-c", f"cat $(find {HOME}/logs -type f)")
    for name, secret in stack.secrets.items():
        assert secret not in said and secret not in inside, name


def test_an_upgrade_and_the_way_back(stack, clone, demo, settings):
    """docs/deploy.md, "Upgrade" and "Rollback", as written there."""
    before, ledger = published(stack), stack.ledger()
    dumps = {name: stack.execute("postgres", "pg_dump", "-U", "postgres", "-Fc", "-f", f"/tmp/{name}.dump", name) for name in ("warehouse", "airflow")}
    assert set(dumps.values()) == {""}

    # the next version brings a migration
    (clone / "warehouse" / "migrations" / "9000_next_version.sql").write_text("create table ops.next_version (id int);\n", encoding="utf-8")
    stack.tag = "second"
    stack.compose("build")
    stack.compose("up", "-d")
    stack.wait_until_healthy()
    assert {c["Config"]["Image"] for c in stack.containers() if service_of(c) in CODE} == {f"{IMAGE}:second"}
    with stack.connect() as connection:
        assert connection.execute("select to_regclass('ops.next_version') is not null").fetchone()[0]
    assert differences(published(stack), before) == []
    assert stack.api().dags()  # logins and DAGs are what they were

    # the old version does not touch a database that it does not know …
    stack.tag = "first"
    told = stack.compose("up", "-d", check=False)
    told += stack.compose("logs", "--no-color", "migrate")
    assert "made by a newer version of the project" in told
    assert differences(published(stack), before) == []
    # … so the dumps from before the upgrade go back in
    stack.compose("stop", *CODE)
    for name in ("warehouse", "airflow"):
        stack.execute("postgres", "dropdb", "-U", "postgres", "--force", name)
        stack.execute("postgres", "createdb", "-U", "postgres", "-O", name, "-T", "template0", name)
        stack.execute("postgres", "psql", "-U", "postgres", "-c", f"revoke connect, temporary on database {name} from public")
        stack.execute("postgres", "pg_restore", "-U", "postgres", "-d", name, "--exit-on-error", f"/tmp/{name}.dump")
    stack.compose("up", "-d")
    stack.wait_until_healthy()
    assert stack.ledger() == ledger
    assert differences(published(stack), before) == []
    stack.execute("airflow-scheduler", "warehouse", "verify")


def test_the_dashboards_show_what_the_marts_say(stack, demo):
    stack.compose("--profile", "bi", "build", "bi")
    stack.compose("--profile", "bi", "up", "-d", "bi")
    stack.wait_until_healthy()
    (server,) = (c for c in stack.containers() if service_of(c) == "bi")
    assert server["HostConfig"]["CapDrop"] == ["ALL"] and server["HostConfig"]["Memory"] > 0
    assert stack.execute("bi", "id", "-u").strip() == "10001"

    superset = Superset(f"http://127.0.0.1:{stack.ports['BI']}")
    admin = superset.login("admin", stack.secrets["BI_ADMIN_PASSWORD"])
    assert superset.ids(admin, "dashboard").keys() == {identity("dashboard", page.slug) for page in pages()}
    charts = superset.ids(admin, "chart")
    assert charts.keys() == {chart.uuid for page in pages() for chart in page.charts}

    chart = next(c for p in pages() if p.slug == "employment" for c in p.charts if c.title == "各县外出务工占2019年比例")
    # a county that is carried forward is marked with the week its figures are from
    label = "c.county_name || case when f.carried_from_week is not null then '※' || right(f.carried_from_week, 3) else '' end"
    figures = stack.rows(
        f"select f.county_code, {label}, sum(f.employed_away)::float / sum(f.employed_away_2019) from marts.fct_employment_weekly f "
        f"join marts.dim_county c using (county_code) where f.week = '{demo.weeks[-1]}' group by 1, 2 order by 1"
    )
    assert len(figures) == 3

    def shown(session) -> dict[str, float]:
        answer = session.get(f"{superset.address}/api/v1/chart/{charts[chart.uuid]}/data/", timeout=120)
        assert answer.ok, answer.text[:500]
        return {row["county_label"]: row[chart.measures[0].label] for row in answer.json()["result"][0]["data"]}

    assert shown(admin) == pytest.approx({name: figure for _, name, figure in figures})
    # a county's reader, as docs/deploy.md says
    code, name, figure = figures[0]
    password = stack.execute("bi", "python", "-m", "bi.access", "user", "xian", "--county", code).strip().splitlines()[-1]
    assert shown(superset.login("xian", password)) == pytest.approx({name: figure})

    said = stack.compose("logs", "--no-color", "bi", "bi-prepare")
    assert "Everything is up" in said
    for secret in (*stack.secrets.values(), password):
        assert secret not in said
    stack.compose("--profile", "bi", "rm", "-s", "-f", "bi", "bi-prepare")  # it would take the processor from what follows


def test_a_county_delivers_by_sftp_into_its_own_folder_only(clone, stack, tmp_path):
    for name in ("county_a", "county_b"):
        private = ed25519.Ed25519PrivateKey.generate()
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        (clone / "deploy" / "senders" / f"{name}.pub").write_bytes(private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))
    (tmp_path / "report.csv").write_text("made up", encoding="utf-8")
    stack.compose("--profile", "sftp", "build", "sftp")
    stack.compose("--profile", "sftp", "up", "-d", "sftp")
    stack.wait_until_healthy()
    server = next(c["Id"] for c in stack.containers() if service_of(c) == "sftp")
    subprocess.run(["docker", "cp", "-a", str(tmp_path), f"{server}:/tmp/sender"], check=True, capture_output=True)

    def sftp(line: str, key: str = "county_a", account: str = "county_a") -> str | None:
        """What the server objects to; None if it does as it is told."""
        script = f"cd /tmp/sender && echo '{line}' | sftp -q -b - -P 2222 -i {key} -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null {account}@127.0.0.1"
        done = subprocess.run(["docker", "exec", server, "sh", "-c", script], capture_output=True, text=True, check=False)
        return None if done.returncode == 0 else done.stderr + done.stdout

    assert sftp("put report.csv report.csv.part") is None
    assert stack.execute("airflow-scheduler", "find", f"{HOME}/inbox/county_a", "-name", "*.part").strip()  # the loader sees it there
    assert "denied" in sftp("ls /inbox")
    assert "denied" in sftp("ls /inbox/county_b")
    assert "denied" in sftp("put report.csv /inbox/county_b/report.csv")
    assert "not found" in sftp("get /etc/passwd")
    assert "closed" in sftp("ls", key="county_b").lower()  # another's key
    assert "closed" in sftp("ls", account="root").lower()

    assert sftp("rename report.csv.part report.csv") is None
    arrived = "select count(*) from intake.file where original_path = 'county_a/report.csv'"
    stack.wait_for(lambda: stack.rows(arrived) == [(1,)], "file from the county")


# -- with Celery workers -----------------------------------------------------------------------------


def test_two_workers_publish_the_same_and_a_third_killed_mid_load_changes_nothing(workers, demo, settings):
    assert sorted(service_of(c) for c in workers.containers()).count("worker") == 2
    workers.api("operator").set_variable("warehouse_approve", "never")
    workers.deliver(demo.backfill)
    workers.wait_for_publication(demo.weeks[-2])
    assert len(hosts := {host for _, host in tasks_and_hosts(workers)}) == 2, hosts  # both have worked
    assert hosts <= {c["Config"]["Hostname"] for c in workers.containers() if service_of(c) == "worker"}

    workers.compose("up", "-d", "--scale", "worker=3")
    workers.wait_until_healthy()
    workers.deliver(demo.last_week)
    victim = loading_worker(workers)
    subprocess.run(["docker", "kill", victim], check=True, capture_output=True)
    workers.wait_for_publication(demo.weeks[-1])

    assert workers.ledger() == [(1, demo.weeks[-2]), (2, demo.weeks[-1])]
    assert differences(published(workers), by_command_line(workers, settings, [demo.backfill, demo.last_week])) == []
    workers.execute("airflow-scheduler", "warehouse", "verify")
    assert [c["State"]["Status"] for c in workers.containers() if c["Id"].startswith(victim)] == ["exited"]
    assert workers.page("/quality/index.html")[0] == 200

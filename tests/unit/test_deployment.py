"""The deployment without an engine: what compose files promise of every service, how secrets come about, what Airflow is told."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest
import yaml

from warehouse import airflow_users, deployment
from warehouse.embedded import LOCALE
from warehouse.settings import REPOSITORY, Settings, WarehouseError

MAKE_ENV = REPOSITORY / "deploy" / "make_env.py"
SHIPPED, CELERY = (yaml.safe_load((REPOSITORY / name).read_text(encoding="utf-8")) for name in ("docker-compose.yml", "docker-compose.celery.yml"))
SERVICES = SHIPPED["services"] | {"redis": CELERY["services"]["redis"]}
ONE_SHOT = ("migrate", "bi-prepare")
ADVICE = ":?run python3 deploy/make_env.py first}"


def test_text_has_one_order_in_every_database_of_ours():
    """What sorts or compares text must not depend on which of the servers it runs on."""
    made = (REPOSITORY / "deploy" / "postgres" / "init.sh").read_text(encoding="utf-8")
    of_server = re.search(r"create database warehouse .* encoding '(\S+)' lc_collate '(\S+)' lc_ctype '(\S+)'", made).groups()
    own = dict(option.removeprefix("--").split("=") for option in LOCALE)
    assert of_server == (own["encoding"], own["lc-collate"], own["locale"])


def make_env(path, *arguments) -> dict[str, str]:
    subprocess.run([sys.executable, "-I", MAKE_ENV, "--file", path, *arguments], check=True, capture_output=True, env={"PATH": os.environ["PATH"]})
    return dict(re.findall(r"^(\w+)=(.+)$", path.read_text(encoding="utf-8"), re.M))


def test_secrets_are_private_random_and_kept(tmp_path):
    first = make_env(tmp_path / ".env")
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    assert all(len(value) >= 32 for value in first.values()) and len(set(first.values())) == len(first)
    assert make_env(tmp_path / ".env") == first
    assert not set(first.values()) & set(make_env(tmp_path / "other").values())


def test_what_a_new_version_needs_is_added_and_settings_stay(tmp_path):
    path = tmp_path / ".env"
    path.write_text("WAREHOUSE_TAG=1.4\nPOSTGRES_PASSWORD=chosen\nREDIS_PASSWORD=", encoding="utf-8")
    made = make_env(path)
    assert made["POSTGRES_PASSWORD"] == "chosen" and made["WAREHOUSE_TAG"] == "1.4"
    assert len(made["REDIS_PASSWORD"]) >= 32  # an empty one is none


def test_every_secret_the_compose_files_ask_for_is_made_and_none_has_a_default(tmp_path):
    text = "".join((REPOSITORY / name).read_text(encoding="utf-8") for name in ("docker-compose.yml", "docker-compose.celery.yml"))
    asked = set(re.findall(r"\$\{(\w+(?:PASSWORD|SECRET|KEY))\b", text))
    assert asked and asked <= make_env(tmp_path / ".env").keys()
    for name in asked:
        assert re.findall(rf"\$\{{{name}([^}}]*}})", text) == [ADVICE] * text.count("${" + name), name


def ssha(password: str, salt: bytes) -> str:
    return "{SSHA}" + base64.b64encode(hashlib.sha1(password.encode() + salt).digest() + salt).decode()


def test_the_web_server_knows_the_reader_by_a_hash_and_others_stay(tmp_path):
    path, listed = tmp_path / ".env", tmp_path / "deploy" / "readers" / "htpasswd"
    password = make_env(path)["WEB_READER_PASSWORD"]
    first = listed.read_text()
    salt = base64.b64decode(first.split("{SSHA}")[1])[20:]
    assert first == f"reader:{ssha(password, salt)}\n" and len(salt) == 8
    assert listed.stat().st_mode & 0o777 == 0o644  # the web server's user is another

    listed.write_text(first + "li:$6$salt$hash\n")
    make_env(path)
    assert listed.read_text() == first + "li:$6$salt$hash\n"
    path.write_text(path.read_text().replace(password, "another-word"))
    make_env(path)
    own, other = listed.read_text().splitlines()
    assert other == "li:$6$salt$hash"
    another_salt = base64.b64decode(own.split("{SSHA}")[1])[20:]
    assert own == f"reader:{ssha('another-word', another_salt)}" and another_salt != salt


def test_pages_are_closed_but_for_whether_the_server_is_up():
    said = re.sub(r"#.*", "", (REPOSITORY / "deploy" / "nginx" / "nginx.conf").read_text())
    closed = re.findall(r"^\s*auth_basic (?!off)", said, re.M)
    assert len(closed) == 1 and said.index("auth_basic ") < said.index("location ")
    assert re.findall(r"location ([^{]+)\{[^}]*auth_basic off", said) == ["= /up "]
    # without a list nginx asks nobody, and with these it lets in who is on none
    assert re.findall(r"^\s*auth_basic_user_file (.+);", said, re.M) == ["/etc/nginx/readers/htpasswd"]
    assert said.index("auth_basic_user_file ") < said.index("location ") and len(re.findall(r"\bserver \{", said)) == 1
    assert not re.findall(r"\b(?:satisfy|allow)\b", said)
    assert "./deploy/readers:/etc/nginx/readers:ro" in SERVICES["web"]["volumes"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_limited_logs_within_bounds_and_says_whether_it_is_well(name):
    service = SERVICES[name]
    assert service["mem_limit"] and re.match(r"\$\{\w+:-|county-warehouse", service["image"])
    assert service["logging"]["options"]["max-size"]
    if name in ONE_SHOT:
        assert service["restart"] in ("no", "on-failure")
        return
    assert service["restart"] == "unless-stopped" and service["cpus"]
    assert service["healthcheck"]["test"] and service["healthcheck"]["start_period"]


def test_files_are_read_on_all_workers_and_the_other_steps_find_a_place():
    from warehouse import batches

    def given(service, name):
        return re.fullmatch(r"\$\{\w+:-(\d+)\}", service["environment"][name])[1]

    for name in ("airflow-scheduler", "worker"):  # who makes the groups, and who works at them
        service = CELERY["services"][name]
        assert batches.OWN_READERS < int(given(service, batches.SLOTS)) < int(given(service, "WAREHOUSE_PARALLELISM"))
        assert given(service, batches.SLOTS) == given(CELERY["services"]["migrate"], batches.SLOTS)  # who makes the pool
    assert int(given(SHIPPED["services"]["migrate"], batches.SLOTS)) == batches.OWN_READERS  # one host: a city's week as it was


def test_what_is_published_is_published_to_the_host_alone_unless_asked():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 6
    assert all(re.fullmatch(r"\$\{\w+_LISTEN:-127\.0\.0\.1:\d+\}:\d+", port) for port in ports), ports


def test_services_of_the_compose_file_are_those_that_the_code_knows():
    commands = {service["command"][-1] for service in SERVICES.values() if service.get("command", [""])[:3] == ["python", "-m", "warehouse.deployment"]}
    assert commands == {"migrate", *deployment.SERVICES}
    given = SERVICES["migrate"]["environment"]
    assert all(f"WAREHOUSE_SECRET_AIRFLOW_{login.upper()}" in given for login in airflow_users.LOGINS)


@pytest.fixture
def deployed(monkeypatch, tmp_path) -> Settings:
    for name in list(os.environ):
        if name.startswith(("WAREHOUSE_", "AIRFLOW_")):
            monkeypatch.delenv(name)
    for name in deployment.SECRETS:
        monkeypatch.setenv(f"WAREHOUSE_SECRET_{name}", f"secret-of-{name}")
    monkeypatch.setenv("WAREHOUSE_URL", "postgresql://warehouse:a@db/warehouse")
    monkeypatch.setenv("WAREHOUSE_AIRFLOW_URL", "postgresql://airflow:b@db/airflow?sslmode=require")
    monkeypatch.setenv("WAREHOUSE_AIRFLOW_ADDRESS", "http://api:8080/")
    return replace(Settings.from_environment(), home=tmp_path)


def test_airflow_is_told_of_its_database_its_logins_and_where_tasks_report(deployed):
    told = deployment.environment(deployed)
    assert told["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == "postgresql+psycopg2://airflow:b@db/airflow?sslmode=require"
    assert told["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://api:8080/execution/"
    assert told["AIRFLOW__CORE__AUTH_MANAGER"].endswith("FabAuthManager")
    assert told["AIRFLOW__API_AUTH__JWT_SECRET"] == "secret-of-AIRFLOW_JWT"
    assert told["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert "api" in told["NO_PROXY"].split(",")
    assert not (deployed.home / "secrets").exists()  # none was made up


def test_with_a_broker_tasks_go_to_workers(deployed, monkeypatch):
    monkeypatch.setenv("WAREHOUSE_CELERY_BROKER", "redis://:c@queue:6379/0")
    told = deployment.environment(deployed)
    assert told["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    assert told["AIRFLOW__CELERY__BROKER_URL"] == "redis://:c@queue:6379/0"
    assert told["AIRFLOW__CELERY__RESULT_BACKEND"].startswith("db+postgresql+psycopg2://airflow:b@db/airflow")


def test_an_option_that_is_given_goes_before_ours(deployed, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "32")
    assert deployment.environment(deployed)["AIRFLOW__CORE__PARALLELISM"] == "32"


@pytest.mark.parametrize("name", ["WAREHOUSE_SECRET_AIRFLOW_JWT", "WAREHOUSE_AIRFLOW_ADDRESS"])
def test_nothing_starts_with_a_secret_or_an_address_missing(deployed, monkeypatch, capsys, name):
    monkeypatch.delenv(name)
    assert deployment.main(["scheduler"]) == 2
    said = capsys.readouterr().err
    assert name in said and "make_env.py" in said


def test_a_database_that_does_not_answer_is_waited_for_and_then_named():
    with pytest.raises(WarehouseError, match=r"127\.0\.0\.1 did not answer within 0 seconds"):
        deployment.wait_for("postgresql://nobody@127.0.0.1:1/none", patience=0)


def test_a_service_nobody_knows_is_named(capsys):
    assert deployment.main(["healthy", "mail"]) == 2
    assert "scheduler" in capsys.readouterr().err

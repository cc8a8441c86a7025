"""The cycle's health from a real database: deadlines, silent counties, the gate, files, and what a monitor gets over HTTP."""

from __future__ import annotations

import datetime as dt
import json
import socket
import threading
import urllib.error
import urllib.request

import pytest
import small_city
from warehouse_rows import submit

from ingestion.contracts import contracts
from warehouse.observe import metrics
from warehouse.observe.health import health
from warehouse.observe.serve import server as health_server

pytestmark = [pytest.mark.database, pytest.mark.slow]


@pytest.fixture(scope="module")
def city(server, template, tmp_path_factory):
    return small_city.make(server, template, tmp_path_factory.mktemp("city"))


def at(settings, month: int, day: int, hour: int, minute: int = 0) -> dt.datetime:
    return dt.datetime(2020, month, day, hour, minute, tzinfo=settings.timezone)


def test_no_publication_by_the_deadline_and_not_a_minute_before(city):
    """2020-W25 is due on Tuesday, 23 June, 12:00, and to be published within a day; W24 is published."""
    settings = city.settings
    just_before, after = health(settings, at(settings, 6, 24, 11, 59)), health(settings, at(settings, 6, 24, 12, 1))
    assert just_before.values("publication")["expected_week"] == "2020-W24" and not [c for c in just_before.causes if c.startswith("publication")]
    assert "2020-W25" in after.causes["publication:2020-W25"] and "2020-W24" in after.causes["publication:2020-W25"]
    assert after.values("publication")["publication"] == 2


def test_overdue_forms_and_counties_that_are_silent_twice(city):
    settings = city.settings
    seen = health(settings, at(settings, 6, 16, 13))
    reporting = seen.values("reporting")
    expected = {f.code for f in contracts().forms if f.expected_from == "all_counties"}
    assert reporting["week"] == "2020-W24"
    assert expected - set(reporting["overdue_forms"][small_city.SILENT]) == set(small_city.SENT) & expected
    assert small_city.WHOLE not in reporting["overdue_forms"]
    assert len(reporting["missing_twice"]) == 12 - len(small_city.COUNTIES) and not set(small_city.COUNTIES) & set(reporting["missing_twice"])
    assert "连续两周" in seen.causes[f"missing:{reporting['missing_twice'][0]}:2020-W24"]
    # before the due time nobody is late for that week
    assert health(settings, at(settings, 6, 16, 11)).values("reporting")["week"] == "2020-W23"


def test_a_county_that_sent_only_what_was_returned_is_late_but_not_silent(connection, settings):
    connection.autocommit = True
    submit(connection, "EMP01", "451002", "2020-W24", [], state="returned")
    reporting = health(settings, at(settings, 6, 16, 13)).values("reporting")
    assert "EMP01" in reporting["overdue_forms"]["451002"] and "451002" not in reporting["missing_twice"]


def test_files_that_wait_too_long_and_a_gate_that_waits_or_blocks(connection, settings):
    connection.autocommit = True
    now = dt.datetime.now(settings.timezone)
    connection.execute(
        """insert into intake.file (sha256, original_name, original_path, size_bytes, received_at, recorded_at)
           values (repeat('a', 64), '王小明的表.xlsx', '王小明的表.xlsx', 1, now(), now() - interval '29 minutes')"""
    )
    assert "files:waiting" not in health(settings, now).causes
    late = health(settings, now + dt.timedelta(minutes=2))
    assert "1个文件" in late.causes["files:waiting"]

    (run,) = connection.execute("insert into quality.check_run (judged_at, publish_week, verdict) values (now(), '2020-W24', 'warnings') returning check_run_id").fetchone()
    connection.execute("insert into quality.approval (check_run_id, answer_until, at_stake) values (%s, %s, '{}')", [run, at(settings, 6, 17, 9)])
    waits = health(settings, now)
    assert "06月17日09:00" in waits.causes[f"gate:{run}"] and waits.values("gate")["waiting_for_approval"] == run
    connection.execute("update quality.approval set (decision, decided_by, decided_at) = ('rejected', '审核人甲', now())")
    (blocked,) = connection.execute("insert into quality.check_run (judged_at, publish_week, verdict) values (now(), '2020-W25', 'blocked') returning check_run_id").fetchone()
    seen = health(settings, now)
    assert f"gate:{run}" not in seen.causes and "2020-W25" in seen.causes[f"blocked:{blocked}"]
    assert "王小明" not in json.dumps(late.as_json() | seen.as_json(), ensure_ascii=False, default=str)


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_monitor_gets_503_with_the_causes_figures_for_prometheus_and_a_sign_of_life(city):
    running = health_server(city.settings, port=0)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{running.server_address[1]}"
    try:
        status, text = get(f"{base}/health")
        told = json.loads(text)
        assert status == 503 and told["healthy"] is False
        assert told["checks"]["database"]["ok"] is True and any(cause.startswith("publication:") for cause in told["checks"]["publication"]["causes"])
        status, text = get(f"{base}/metrics")
        assert status == 200 and "warehouse_publication 2\n" in text and 'warehouse_check_ok{check="database"} 1\n' in text
        assert get(f"{base}/live") == (200, "ok\n") and get(f"{base}/etc/passwd")[0] == 404
    finally:
        running.shutdown()
        running.server_close()


def test_healthy_is_200_and_exit_code_0(connection, settings, monkeypatch):
    """A home in which nobody owes anything: all checks but reporting and publication are as they come out of an empty database."""
    from warehouse.observe import health as module

    monkeypatch.setattr(module, "_publication", lambda *_: module.Check("publication"))
    monkeypatch.setattr(module, "_reporting", lambda *_: module.Check("reporting"))
    monkeypatch.setattr(module, "DISK_LOW", 0)
    assert health(settings).healthy
    monkeypatch.setattr(module, "DISK_LOW", 2**60)
    seen = health(settings)
    assert not seen.healthy and "磁盘" in seen.causes["disk"]


def test_metrics_reach_statsd(city, monkeypatch):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
        heard.bind(("127.0.0.1", 0))
        heard.settimeout(10)
        monkeypatch.setenv("WAREHOUSE_STATSD", f"127.0.0.1:{heard.getsockname()[1]}")
        metrics.send(metrics.of_health(health(city.settings)) | metrics.of_step("load", 1.5, False))
        lines: list[str] = []
        while not any("step_seconds" in line for line in lines):  # several datagrams; the step's gauge is the last but one
            lines += heard.recv(65536).decode().split("\n")
    assert "warehouse.publication:2.0|g" in lines and "warehouse.step_seconds.load:1.5|g" in lines and "warehouse.check_ok.database:1.0|g" in lines


def test_a_collector_that_is_away_costs_nothing_but_a_line(city, monkeypatch, caplog):
    monkeypatch.setenv("WAREHOUSE_OTLP", "http://127.0.0.1:1")
    monkeypatch.setenv("WAREHOUSE_STATSD", "no address")
    metrics.send(metrics.of_step("load", 1.5, False))
    assert "could not be sent to no address" in caplog.text

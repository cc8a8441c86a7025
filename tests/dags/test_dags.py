"""What the DAGs promise: they load, are wired as documented, and retry only what another try can mend."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from warehouse.settings import REPOSITORY, WarehouseError

DAGS = REPOSITORY / "dags"
PACKAGES = ("warehouse", "ingestion", "expectations", "reporting", "demo", "dbt", "airflow")


@pytest.fixture(scope="module")
def dags(tmp_path_factory):
    """All DAGs by id, loaded as Airflow loads them, with an AIRFLOW_HOME of their own."""
    home = tmp_path_factory.mktemp("airflow")
    patch = pytest.MonkeyPatch()
    patch.setenv("AIRFLOW_HOME", str(home))
    patch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
    patch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(DAGS))
    patch.syspath_prepend(str(DAGS))
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(DAGS))
    assert bag.import_errors == {}
    yield bag.dags
    patch.undo()


def test_the_dags_are_there_and_documented(dags):
    assert set(dags) == {"receive_and_load", "build_and_publish", "reload_week", "watch"}
    for dag in dags.values():
        assert dag.doc_md and dag.description and dag.tags
        assert not dag.catchup
        for task in dag.tasks:
            assert task.doc_md, task.task_id


def test_no_file_is_named_after_a_package():
    assert not {p.stem for p in DAGS.glob("*.py")} & set(PACKAGES)


def test_files_load_fast_because_the_steps_are_imported_in_the_tasks():
    code = "import sys, runpy; sys.path.insert(0, sys.argv[1]); runpy.run_path(sys.argv[2]); print(sorted({'dbt', 'great_expectations', 'pandas', 'ingestion'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(DAGS), str(DAGS / "build_and_publish.py")],
        capture_output=True, text=True, check=True, env=os.environ | {"AIRFLOW__CORE__LOAD_EXAMPLES": "False"},
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]"


def downstream(dag, task: str) -> set[str]:
    return set(dag.get_task(task).downstream_task_ids)


def test_intake_goes_on_past_a_failed_file_but_the_run_says_so(dags):
    dag = dags["receive_and_load"]
    assert downstream(dag, "scan") >= {"load_files", "announce"}
    assert dag.get_task("announce").trigger_rule == "all_done_min_one_success"
    assert dag.get_task("watch").trigger_rule == "one_failed"
    assert dag.get_task("watch").upstream_task_ids == {"scan", "load_files", "announce"}
    assert dag.max_active_runs == 1


def test_loading_is_bounded_by_a_pool_that_every_start_makes(dags, server):
    from warehouse import batches

    task = dags["receive_and_load"].get_task("load_files")
    assert task.pool == batches.POOL and dags["receive_and_load"].max_active_runs == 1
    assert {t.pool for dag in dags.values() for t in dag.tasks if t is not task} == {"default_pool"}
    name = f"airflow_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"create database {name}")
    url = server.rsplit("/", 1)[0] + f"/{name}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table slot_pool (id serial, pool text unique, slots int, description text, include_deferred boolean not null)")

        def slots():
            return connection.execute("select slots from slot_pool where pool = %s", [batches.POOL]).fetchall()

        batches.make_pool(url, {})
        assert slots() == [(2,)]
        connection.execute("update slot_pool set slots = 5")
        batches.make_pool(url, {"WAREHOUSE_INTAKE_SLOTS": " "})
        assert slots() == [(5,)]  # what somebody set in Airflow stays
        batches.make_pool(url, {"WAREHOUSE_INTAKE_SLOTS": "12"})
        assert slots() == [(12,)]


NATION = [[n for n in range(832) if n * 16 // 832 == group] for group in range(16)]


@pytest.fixture(scope="module")
def intake_runs(tmp_path_factory):
    """What became of runs of the intake: a nation's week, a week that came due without a file, an empty inbox, a file that fails."""
    home = tmp_path_factory.mktemp("airflow_runs")
    said = [{"waiting": NATION, "ahead": True}, {"waiting": [], "due": "2020-W24"}, {"waiting": []}, {"waiting": [[1], [2], [3]], "fails": [2]}]
    environment = os.environ | {
        "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "tests.dags.intake_run", json.dumps(said)], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.slow
def test_a_nations_week_is_nineteen_task_instances(intake_runs):
    nation = intake_runs[0]
    assert nation["run"] == "success"
    assert nation["tasks"] == {"scan success": 1, "load_files success": 16, "announce success": 1, "watch skipped": 1}
    assert sorted(nation["loaded"]) == [[files, True] for files in NATION]  # in whatever order: none needs another's


@pytest.mark.slow
def test_a_week_that_comes_due_without_a_file_is_announced(intake_runs):
    assert intake_runs[1]["tasks"]["announce success"] == 1


def test_the_announcement_is_made_once_an_hour_until_the_week_is_judged(tmp_path, monkeypatch):
    from warehouse import cycle
    from warehouse.settings import Settings

    settings, due = Settings(tmp_path, None, Settings.from_environment().timezone), ["2020-W24"]
    monkeypatch.setattr(cycle, "week_came_due", lambda connection, settings: due[0])

    def announced():
        return cycle.week_to_announce(None, settings)

    assert [announced(), announced()] == ["2020-W24", None]
    os.utime(tmp_path / "announced_week", (0, 0))
    assert [announced(), announced()] == ["2020-W24", None]
    due[0] = "2020-W25"
    assert [announced(), announced()] == ["2020-W25", None]
    due[0] = None
    assert announced() is None


@pytest.mark.slow
def test_an_empty_inbox_announces_nothing_and_is_no_failure(intake_runs):
    assert intake_runs[2] == {"run": "success", "tasks": {"scan skipped": 1, "load_files skipped": 1, "announce skipped": 1, "watch skipped": 1}, "loaded": []}


@pytest.mark.slow
def test_a_task_that_fails_stops_no_other_and_the_run_says_so(intake_runs):
    failed = intake_runs[3]
    assert failed["run"] == "failed" and sorted(failed["loaded"]) == [[[1], False], [[3], False]]
    assert failed["tasks"] == {"scan success": 1, "load_files success": 2, "load_files failed": 1, "announce success": 1, "watch failed": 1}


def test_nothing_is_published_that_was_not_judged(dags):
    dag = dags["build_and_publish"]
    assert downstream(dag, "build") == {"judge"}
    assert "gate" in downstream(dag, "judge") and downstream(dag, "gate") == {"publish"}
    assert dag.get_task("publish").trigger_rule == "all_success"
    assert downstream(dag, "publish") == {"report"}
    assert dag.max_active_runs == 1


def test_what_is_loaded_or_marked_starts_the_build(dags):
    emitted = {asset.name for dag, task in (("receive_and_load", "announce"), ("reload_week", "mark")) for asset in dags[dag].get_task(task).outlets}
    awaited = {asset.name for asset in dags["build_and_publish"].timetable.asset_condition.objects}
    assert emitted == awaited == {"submissions"}


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (psycopg.OperationalError("server closed the connection"), True),
        (psycopg.errors.AdminShutdown("terminating connection"), True),
        (psycopg.InterfaceError("the connection is closed"), True),
        (psycopg.errors.UniqueViolation("duplicate key"), False),
        (WarehouseError("The model fct_x failed"), False),
        (ValueError("a fault in the data"), False),
    ],
)
def test_only_a_lost_connection_is_tried_again(dags, error, again):
    for dag in dags.values():
        for task in dag.tasks:
            assert task.retries == 2
            decision = task.retry_policy.evaluate(error, 1, task.retries)
            assert (decision.action.value == "retry") is again, (dag.dag_id, task.task_id)


@pytest.fixture
def gate(dags, monkeypatch):
    """The gate of build_and_publish over a check run of the test's choosing; what it puts on record is in ``answers``."""
    from types import SimpleNamespace

    import approval_gate

    from warehouse import approval, cycle

    operator, scope = dags["build_and_publish"].get_task("gate"), vars(approval_gate)
    room = SimpleNamespace(run={"verdict": "warnings", "blocking_zh": None}, params=operator_params(dags), variable=None, asked=[], answers=[])
    monkeypatch.setattr(operator, "check_run_id", 7)
    monkeypatch.setattr(cycle, "check_run", lambda connection, number: room.run)
    monkeypatch.setattr(cycle, "clock", lambda settings: dt.datetime(2020, 6, 16, 12, tzinfo=dt.UTC))
    monkeypatch.setattr(approval, "at_stake", lambda connection, number: approval.Stake(number, "2020-W24", room.run["verdict"], 0))
    monkeypatch.setattr(approval, "ask", lambda connection, stake, until: room.asked.append((stake.check_run_id, until)))
    monkeypatch.setattr(approval, "answer", lambda connection, number, decision, by, note=None: room.answers.append((number, decision, by, note)))
    monkeypatch.setitem(scope, "warehouse_connection", _nothing)
    monkeypatch.setattr(scope["Variable"], "get", staticmethod(lambda key, default=None: room.variable or default))
    monkeypatch.setattr(scope["HITLOperator"], "execute", lambda self, context: room.asked.append((self.subject, self.body, self.response_timeout)))
    room.execute = lambda: operator.execute({"params": room.params})
    room.resume = lambda event: operator.execute_complete({"params": room.params}, event)
    return room


def operator_params(dags) -> dict:
    return {name: dags["build_and_publish"].params[name] for name in ("approve", "approved_by", "answer_within_hours")}


def test_the_gate_stops_a_blocked_week_whatever_the_policy(gate):
    from airflow.sdk.exceptions import AirflowFailException

    gate.run = {"verdict": "blocked", "blocking_zh": "行数不符"}
    for more in ({}, {"approve": "never"}, {"approved_by": "李科长"}):
        gate.params |= more
        with pytest.raises(AirflowFailException, match="行数不符"):
            gate.execute()
    assert gate.asked == []


@pytest.mark.parametrize(
    ("verdict", "approve", "variable", "asks"),
    [
        ("clean", None, None, False),
        ("warnings", None, None, True),  # what an ordinary week does
        ("warnings", None, "never", False),
        ("clean", None, "always", True),
        ("warnings", "never", "always", False),  # the run's own word counts before the variable's
        ("clean", "always", "never", True),
    ],
)
def test_a_person_is_asked_where_the_policy_says_so(gate, verdict, approve, variable, asks):
    gate.run, gate.variable = {"verdict": verdict, "blocking_zh": None}, variable
    gate.params["approve"] = approve
    passed = gate.execute()
    assert bool(gate.asked) is asks
    if not asks:
        assert passed == {"check_run_id": 7, "approved_by": "", "note": None}
    else:
        (number, _until), (subject, body, wait) = gate.asked
        assert number == 7 and "2020-W24" in subject and "检查批次 7" in body and wait.total_seconds() == 24 * 3600


def test_who_approves_in_advance_is_not_asked_and_stands_in_the_ledger(gate):
    gate.params["approved_by"] = "李科长"
    assert gate.execute() == {"check_run_id": 7, "approved_by": "李科长", "note": None}
    assert gate.asked == []


def answered(option: str, note: str | None) -> dict:
    return {"chosen_options": [option], "params_input": {"note": note}, "responded_at": dt.datetime.now(dt.UTC), "responded_by_user": {"id": "1", "name": "王审核"}}


def test_the_answer_is_on_record_and_a_rejected_or_unanswered_week_is_skipped(gate):
    import approval_gate
    from airflow.sdk.exceptions import AirflowSkipException

    assert gate.resume(answered(approval_gate.APPROVE, "已电话核实 ")) == {"check_run_id": 7, "approved_by": "王审核", "note": "已电话核实"}
    with pytest.raises(AirflowSkipException, match=r"王审核 rejected.*等更正"):
        gate.resume(answered(approval_gate.REJECT, "等更正"))
    with pytest.raises(AirflowSkipException, match="last publication stands"):
        gate.resume({"error": "too late", "error_type": "timeout"})
    assert gate.answers == [(7, "approved", "王审核", "已电话核实"), (7, "rejected", "王审核", "等更正"), (7, "lapsed", None, None)]


class _nothing:
    def __init__(self, role):
        assert role == "publisher"

    def __enter__(self):
        return None, None

    def __exit__(self, *_):
        return False


def test_a_refused_connection_reaches_the_retry_policy_as_the_drivers_error(dags, tmp_path, monkeypatch):
    import house

    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("WAREHOUSE_URL", "postgresql://nobody@127.0.0.1:1/none?connect_timeout=2")
    with pytest.raises(psycopg.OperationalError), house.warehouse_connection("loader"):
        pass


def test_no_dag_holds_sql():
    for path in DAGS.glob("*.py"):
        text = Path(path).read_text(encoding="utf-8").lower()
        assert "select " not in text and "connection.execute(" not in text, path.name

"""What the DAGs promise: they load, are wired as documented, and retry only what another try can mend."""

from __future__ import annotations

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


def test_the_three_dags_are_there_and_documented(dags):
    assert set(dags) == {"receive_and_load", "build_and_publish", "reload_week"}
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
    assert dag.get_task("load_files").max_active_tis_per_dagrun == 1  # versions count in order of arrival
    assert dag.max_active_runs == 1


def test_nothing_is_published_that_was_not_judged(dags):
    dag = dags["build_and_publish"]
    assert downstream(dag, "build") == {"judge"}
    assert "gate" in downstream(dag, "judge") and "publish" in downstream(dag, "gate")
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


def test_the_gate_stops_a_blocked_week_and_one_that_waits_for_a_person(dags, monkeypatch):
    from airflow.sdk.exceptions import AirflowFailException

    from warehouse import cycle

    function = dags["build_and_publish"].get_task("gate").python_callable
    scope = function.__globals__
    run = {"verdict": "blocked", "blocking_zh": "行数不符"}
    approve = {"approve": "never"}
    monkeypatch.setattr(cycle, "check_run", lambda connection, number: run)
    monkeypatch.setitem(scope, "warehouse_connection", _nothing)
    monkeypatch.setitem(scope, "get_current_context", lambda: {"params": approve})
    with pytest.raises(AirflowFailException, match="行数不符"):
        function(7)
    run["verdict"] = "warnings"
    assert function(7) == 7
    approve["approve"] = "on_warnings"
    with pytest.raises(AirflowFailException, match="--check-run 7"):
        function(7)
    run["verdict"] = "clean"
    assert function(7) == 7
    approve["approve"] = "always"
    with pytest.raises(AirflowFailException):
        function(7)


class _nothing:
    def __enter__(self):
        return None, None

    def __exit__(self, *_):
        return False


def test_a_refused_connection_reaches_the_retry_policy_as_the_drivers_error(dags, tmp_path, monkeypatch):
    import house

    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("WAREHOUSE_URL", "postgresql://nobody@127.0.0.1:1/none?connect_timeout=2")
    with pytest.raises(psycopg.OperationalError), house.warehouse_connection():
        pass


def test_no_dag_holds_sql():
    for path in DAGS.glob("*.py"):
        text = Path(path).read_text(encoding="utf-8").lower()
        assert "select " not in text and "execute(" not in text, path.name

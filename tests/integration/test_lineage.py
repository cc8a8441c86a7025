"""OpenLineage: a cycle tells what each step read and wrote, down to columns, and nothing of what stands in the rows."""

from __future__ import annotations

import datetime as dt
import functools
import json
import uuid

import pytest

from demo.generate import write_week
from ingestion.contracts import contracts
from warehouse.calendar import due_at
from warehouse.cycle import run_cycle
from warehouse.observe import lineage
from warehouse.settings import WarehouseError

pytestmark = [pytest.mark.database, pytest.mark.slow]
STEPS = ["receive", "load", "build", "judge", "publish", "report"]


@pytest.fixture(scope="module")
def events(server, template, tmp_path_factory):
    """Every event of one cycle with two forms of one county, as a file holds them; and the demo's rows."""
    from dataclasses import replace

    import psycopg

    import expectations.judge as judging
    from warehouse.settings import Settings

    folder = tmp_path_factory.mktemp("lineage")
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"create database lineage template {template} strategy file_copy")
    settings = replace(Settings.from_environment(), home=folder / "home", url=server.rsplit("/", 1)[0] + "/lineage")
    settings.prepare()
    demo = write_week(folder / "week", 24, counties=("451002",), forms=("EMP01", "MON02"), payouts=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WAREHOUSE_LINEAGE", str(folder / "events" / "lineage.ndjson"))
        patch.setattr(judging, "judge", functools.partial(judging.judge, great_expectations=False))
        now = due_at("2020-W24", "*", {}, settings.timezone) + dt.timedelta(hours=1)
        assert run_cycle(settings, inbox=demo.folder, arrivals=demo.folder / "arrivals.csv", now=now).outcome == "published"
    lines = (folder / "events" / "lineage.ndjson").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines], demo


def ended(events, job: str) -> dict:
    (event,) = [e for e in events[0] if e["job"]["name"] == job and e["eventType"] == "COMPLETE"]
    return event


def datasets(event: dict, side: str) -> dict[str, dict]:
    return {d["name"]: d for d in event[side]}


def test_every_event_is_whole_and_every_job_begins_and_ends_once(events):
    for event in events[0]:
        uuid.UUID(event["run"]["runId"])
        assert dt.datetime.fromisoformat(event["eventTime"]).tzinfo and event["producer"] and "openlineage.io/spec" in event["schemaURL"]
        for facets in (event["run"]["facets"], event["job"]["facets"], *(d["facets"] for d in event["inputs"] + event["outputs"])):
            assert all(f["_producer"] and f["_schemaURL"].startswith("https://openlineage.io/spec/") for f in facets.values())
    for job in ["cycle", *STEPS]:
        states = [(e["eventType"], e["run"]["runId"]) for e in events[0] if e["job"]["name"] == job]
        assert [state for state, _ in states] == ["START", "COMPLETE"] and len({number for _, number in states}) == 1


def test_steps_are_children_of_the_cycle_and_models_of_the_build(events):
    cycle, build = ended(events, "cycle")["run"]["runId"], ended(events, "build")["run"]["runId"]
    for step in STEPS:
        assert ended(events, step)["run"]["facets"]["parent"]["run"]["runId"] == cycle
    models = [e for e in events[0] if e["job"]["name"].startswith("dbt.") and e["eventType"] == "COMPLETE"]
    assert {e["run"]["facets"]["parent"]["run"]["runId"] for e in models} == {build}
    assert {"dbt.fct_employment_weekly", "dbt.dim_county"} <= {e["job"]["name"] for e in models}


def test_the_chain_of_datasets_has_no_gap_from_the_archive_to_the_marts(events):
    """What a step reads, one before it has written."""
    written: set[str] = set()
    for step in STEPS:
        event = ended(events, step)
        if step != "receive":
            facts = {name for name in datasets(event, "inputs") if name.split(".")[-1] not in ("file", "int_reporting__slice")}
            sent = {name for name in facts if ".raw." not in name or name.endswith((".emp01", ".mon02"))}  # of the other forms nothing came
            assert sent <= written, step
        written |= set(datasets(event, "outputs"))


def test_a_published_column_leads_back_to_the_fields_it_is_made_of(events):
    published = datasets(ended(events, "publish"), "outputs")["lineage.marts.fct_employment_weekly"]["facets"]
    assert published["version"]["datasetVersion"] == "1"
    (candidate,) = published["columnLineage"]["fields"]["employed_away"]["inputFields"]
    assert (candidate["name"], candidate["field"]) == ("lineage.candidate.fct_employment_weekly", "employed_away")
    built = datasets(ended(events, "build"), "outputs")["lineage.candidate.fct_employment_weekly"]["facets"]["columnLineage"]["fields"]
    (raw,) = built["employed_away"]["inputFields"]
    assert (raw["name"], raw["field"], raw["transformations"][0]["subtype"]) == ("lineage.raw.emp01", "employed_away", "IDENTITY")
    rate = {i["field"] for i in built["rate_of_2019"]["inputFields"]}
    assert len(rate) > 1 and rate <= set(contracts().form("EMP01").by_name)


def test_rules_are_told_with_the_dataset_that_was_judged(events):
    judged = datasets(ended(events, "judge"), "inputs")["lineage.candidate.fct_employment_weekly"]["inputFacets"]
    assert {a["assertion"] for a in judged["dataQualityAssertions"]["assertions"]} >= {"EMP-001"}


def test_no_value_of_a_row_is_in_an_event(events):
    text = json.dumps(events[0], ensure_ascii=False)
    personal = {f.name for f in contracts().form("MON02").fields if f.personal}
    values = {str(row[name]) for (form, _, _), rows in events[1].values.items() if form == "MON02" for row in rows for name in personal if row.get(name)}
    assert len(values) > 3
    assert [value for value in values if value in text] == []


def test_a_step_that_fails_says_so_with_the_kind_of_fault_only(tmp_path, monkeypatch, settings):
    monkeypatch.setenv("WAREHOUSE_LINEAGE", str(tmp_path / "events.ndjson"))
    with pytest.raises(WarehouseError), lineage.run(settings, "load"):
        raise WarehouseError("张三 510103199001011234")
    lines = [json.loads(line) for line in (tmp_path / "events.ndjson").read_text(encoding="utf-8").splitlines()]
    assert [e["eventType"] for e in lines] == ["START", "FAIL"]
    assert lines[1]["run"]["facets"]["errorMessage"]["message"] == "WarehouseError"
    assert "张三" not in (tmp_path / "events.ndjson").read_text(encoding="utf-8")


def test_a_collector_that_is_away_costs_no_step(settings, monkeypatch, caplog):
    monkeypatch.setenv("WAREHOUSE_LINEAGE", "http://127.0.0.1:1")
    with lineage.run(settings, "report"):
        pass
    assert "could not be sent" in caplog.text


def test_without_a_place_to_go_nothing_is_even_imported(settings, monkeypatch):
    for name in ("WAREHOUSE_LINEAGE", *lineage.STANDARD):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(lineage, "_emit", lambda *_, **__: pytest.fail("an event was made"))
    with lineage.run(settings, "load"):
        pass

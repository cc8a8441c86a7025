"""Whatever is killed at whatever moment: what is published stands, and the same command again ends where an undisturbed run does."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from fault_bench import STYLES, WEEK, YEARS_END, Bench, state
from fault_list import EACH_STEP, MORE, OTHERS, Outcome, prove
from fault_more import CLOCK, MANY, random_faults

LONG = bool(os.environ.get("WAREHOUSE_LONG"))
RANDOM = int(os.environ.get("WAREHOUSE_FAULTS", "30"))
SEED = int(os.environ.get("WAREHOUSE_FAULT_SEED", "2020"))

pytestmark = [pytest.mark.database, pytest.mark.slow]


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    prepared = Bench.prepare(tmp_path_factory.mktemp("faults"))
    yield prepared
    prepared.close()


@pytest.fixture(scope="module")
def outcomes(bench) -> dict[str, Outcome]:
    """Every fault of the normal suite, two at a time: most of a cycle is waiting for imports and for PostgreSQL."""
    faults = [*EACH_STEP, *OTHERS]
    with ThreadPoolExecutor(2) as pool:
        return {outcome.fault.name: outcome for outcome in pool.map(lambda fault: prove(bench, fault), faults)}


def test_the_undisturbed_run_has_something_to_lose(bench):
    """A comparison proves nothing if the week brings nothing: it has to publish, correct, return, refuse and set aside duplicates."""
    assert [line[:2] for line in bench.before["ledger"]] == [(1, f"2020-W{WEEK - 1}")]
    assert [line[:2] for line in bench.after["ledger"]] == [(1, f"2020-W{WEEK - 1}"), (2, f"2020-W{WEEK}")]
    assert len(bench.after["files"]) == len(bench.before["files"]) + bench.files
    assert {row[3] for row in bench.after["files"]} == {"loaded", "partly_loaded", "refused", "duplicate"}
    assert {row[1] for row in bench.after["submissions"]} >= {"on_time", "corrected", "returned"}
    assert {row[-1] for row in bench.after["findings"]} >= {"open", "resolved"}
    assert len(bench.after["outbox"]) > len(bench.before["outbox"]) >= len(STYLES) - 1
    assert bench.after["pending"] == []
    changed = [name for name in bench.after if name.startswith("marts.fct") and name != "marts.fct_revision" and bench.after[name] != bench.before[name]]
    assert len(changed) == 6


@pytest.mark.parametrize("name", [fault.name for fault in (*EACH_STEP, *OTHERS)])
def test_a_fault_leaves_what_is_published_and_the_next_run_completes_the_week(outcomes, name):
    told(outcomes[name])


@pytest.mark.parametrize("fault", [*MORE, *MANY], ids=lambda fault: fault.name)
@pytest.mark.long
@pytest.mark.skipif(not LONG, reason="only with WAREHOUSE_LONG=1")
def test_more_faults(bench, fault):
    told(prove(bench, fault))


@pytest.fixture(scope="module")
def years_end(tmp_path_factory):
    prepared = Bench.prepare(tmp_path_factory.mktemp("years_end"), weeks=YEARS_END)
    yield prepared
    prepared.close()


@pytest.mark.parametrize("fault", CLOCK, ids=lambda fault: fault.name)
@pytest.mark.long
@pytest.mark.skipif(not LONG, reason="only with WAREHOUSE_LONG=1")
def test_over_the_years_end(years_end, fault):
    assert [line[1] for line in years_end.after["ledger"]] == ["2020-W53", "2021-W01"]
    told(prove(years_end, fault))


@pytest.mark.parametrize("number", range(RANDOM))
@pytest.mark.long
@pytest.mark.skipif(not LONG, reason="only with WAREHOUSE_LONG=1")
def test_faults_at_random_moments(bench, number):
    """WAREHOUSE_FAULTS of them (30), drawn from WAREHOUSE_FAULT_SEED (2020)."""
    told(prove(bench, random_faults(RANDOM, SEED, bench.seconds)[number]))


def told(outcome: Outcome) -> None:
    print(f"{outcome.fault.name}: {outcome.seconds:.1f} s, {outcome.reads} reads; {outcome.after}")
    assert not outcome.wrong, "\n".join([outcome.fault.struck, *outcome.wrong, outcome.output])
    assert outcome.reads > 0


def test_the_comparison_sees_a_row_that_was_altered(bench):
    """The proof's own proof."""
    from fault_bench import differences, faults_of

    site = bench.site()
    with site.connect() as connection:
        connection.execute("alter table store.fct_consumption_weekly disable trigger all")
        connection.execute("update store.fct_consumption_weekly set sales = sales + 1 where ctid = (select min(ctid) from store.fct_consumption_weekly)")
        connection.execute("alter table raw.cop03 disable trigger all")
        connection.execute("delete from raw.cop03 where ctid = (select min(ctid) from raw.cop03)")
    told_apart = differences(state(site), bench.before)
    assert {line.split(":")[0] for line in told_apart} == {"marts.fct_consumption_weekly", "marts.consumption_overview", "raw COP03"}
    assert {fault.split(":")[0].split(" of ")[0] for fault in faults_of(site)} >= {"Publication 1"}
    assert any("rows read are not rows loaded" in fault for fault in faults_of(site))

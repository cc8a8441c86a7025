"""Strike every fault and a number of random ones, and write the table ``docs/faults.md``.

    .venv/bin/python tests/faults/write_table.py --random 200 --seed 2020

Outcomes are kept in ``outcomes.jsonl`` as they come, with the version of the program that was struck. A run goes on
where the one before left off (``--minutes``, Ctrl-C, a power cut); ``--again`` strikes everything anew.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fault_bench import WEEK, WEEKS, YEARS_END, Bench
from fault_list import EACH_STEP, MORE, OTHERS, Fault, Outcome, prove
from fault_more import CLOCK, MANY, random_faults

from warehouse.publication.ledger import code_version
from warehouse.settings import REPOSITORY

KEPT = Path(__file__).with_name("outcomes.jsonl")
TABLE = REPOSITORY / "docs" / "faults.md"
HEAD = """# Faults and what came of them

Written by `.venv/bin/python tests/faults/write_table.py --random {number}` from what it kept in `tests/faults/outcomes.jsonl`; each line names the
version of the program that was struck. The same faults are tests in `tests/faults/test_kill.py` (one for each step always, all
of them and 30 at random moments with `WAREHOUSE_LONG=1`); tasks, workers and the scheduler of Airflow are killed in `tests/faults/test_airflow.py`.

A warehouse with week {before} published has week {week} in its inbox: {files} listed files of three counties with corrections
of the week before, forms to be returned, a file that is no workbook and a duplicate. `warehouse cycle` is started as a
process, struck, and the same command is run again (faults of the clock: week 2021-W01 after 2020-W53). A disk is full to
its last byte until the run has ended, a torn line is whole again for the next run. A fault is **passed** if

- right after the blow readers see the publication that the table names, with exactly its rows;
- a reader that reads all marts in one statement all the time, during the blow and after, sees the old publication or the new one
  and never a mixture;
- in the end every published row, raw row, file's outcome, submission, finding, check result, reporting status, ledger line and returned
  workbook equals that of an undisturbed run (numbers given by the database and times of processing aside), nothing is pending,
  the inbox is empty, and the quality pages are those of the publication;
- of each submission rows read = rows loaded + rows rejected, counted in the tables; no slice is current twice; no arrival is recorded
  twice; `warehouse.publication.verify` finds nothing.

A file that comes a run later makes two publications of the week instead of one: there the ledger's lines and the revisions differ,
and nothing else may. A blow inside of a transaction is struck while the harness holds a lock that the step waits for, so it hits the same place every time.
"Ended" is the exit code of the run that was struck (-9: killed; "and": of a second one beside it) and of the same command after it
(0: published, 3: nothing left to publish, 2: a fault to mend, 1: unexpected).
"""


COLUMNS = "| step | struck | right after the blow | ended | readings | version | outcome |\n|---|---|---|---|---|---|---|\n"


def record(outcome: Outcome, seed: int) -> dict:
    """What is kept of an outcome. A random fault is known by its seed and number."""
    fault = outcome.fault
    return {
        "name": f"{fault.name} of seed {seed}" if fault.step == "any" else fault.name, "step": fault.step, "struck": fault.struck, "after": outcome.after,
        "ended": f"{' and '.join(map(str, outcome.ended))}, then {outcome.again}", "readings": outcome.reads, "version": code_version(),
        "wrong": re.sub(r"\s+", " ", "; ".join(outcome.wrong)).replace("|", "/")[:300],
    }  # fmt: skip


def line(kept: dict) -> str:
    cells = (kept["step"], kept["struck"], kept["after"], kept["ended"], str(kept["readings"]), kept["version"], f"**failed**: {kept['wrong']}" if kept["wrong"] else "passed")
    return "| " + " | ".join(cells) + " |"


def known() -> dict[str, dict]:
    """Outcomes by name; of a fault struck more than once the last."""
    lines = KEPT.read_text(encoding="utf-8").splitlines() if KEPT.exists() else []
    return {kept["name"]: kept for kept in map(json.loads, lines)}


def strike(bench: Bench, faults: list[Fault], seed: int, until: float) -> None:
    """Two at a time; those that the time does not reach are left for the next run."""
    with ThreadPoolExecutor(2) as pool:
        for outcome in pool.map(lambda fault: prove(bench, fault) if time.monotonic() < until else None, faults):
            if outcome is not None:
                kept = record(outcome, seed)
                with KEPT.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(kept, ensure_ascii=False) + "\n")
                print(line(kept), flush=True)


def page(files: int, random: int) -> str:
    outcomes = known().values()
    named, drawn = ([o for o in outcomes if (o["step"] == "any") is by_lot] for by_lot in (False, True))
    failed = sum(bool(o["wrong"]) for o in outcomes)
    return "\n".join([
        HEAD.format(before=f"2020-W{WEEK - 1}", week=f"2020-W{WEEK}", files=files, number=random),
        f"{len(outcomes)} faults, {len(outcomes) - failed} passed, {failed} failed; {sum(o['readings'] for o in outcomes)} readings of all marts. "
        f"{len(drawn)} of them at moments drawn by lot.\n",
        "## At every step\n", COLUMNS + "\n".join(map(line, named)) + "\n",
        "## At moments drawn by lot\n", COLUMNS + "\n".join(map(line, drawn)) + "\n",
    ])  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random", type=int, default=30)
    parser.add_argument("--seed", type=int, default=2020)
    parser.add_argument("--minutes", type=float, default=24 * 60)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--to", type=Path, default=TABLE)
    given = parser.parse_args()
    if given.again:
        KEPT.unlink(missing_ok=True)
    code_version()  # before the journal makes the checkout another
    began = time.monotonic()
    until, done = began + 60 * given.minutes, known()
    files = 9
    with tempfile.TemporaryDirectory(prefix="faults") as folder:
        Path(folder).chmod(0o755)
        for part, weeks in (("ordinary", WEEKS), ("years end", YEARS_END)):
            place = Path(folder) / part
            place.mkdir(mode=0o755)
            wanted = [*EACH_STEP, *OTHERS, *MORE, *MANY] if weeks is WEEKS else [*CLOCK]
            numbers = range(1, given.random + 1) if weeks is WEEKS else ()
            if time.monotonic() > until or (not [f for f in wanted if f.name not in done] and all(f"random {n} of seed {given.seed}" in done for n in numbers)):
                continue
            bench = Bench.prepare(place, weeks=weeks)
            try:
                drawn = random_faults(given.random, given.seed, bench.seconds) if numbers else []
                left = [f for f in wanted if f.name not in done] + [f for f in drawn if f"{f.name} of seed {given.seed}" not in done]
                strike(bench, left, given.seed, until)
            finally:
                bench.close()
            files = bench.files if weeks is WEEKS else files
    given.to.write_text(page(files, given.random), encoding="utf-8")
    outcomes = known().values()
    failed = sum(bool(o["wrong"]) for o in outcomes)
    print(f"{given.to}: {len(outcomes)} faults, {failed} failed, {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

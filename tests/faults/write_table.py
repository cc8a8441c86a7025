"""Strike every fault and a number of random ones, and write the table ``docs/faults.md``.

    .venv/bin/python tests/faults/write_table.py --random 200 --seed 2020

With ``--minutes`` no further fault is begun after that time, and the table says how many of how many were struck.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fault_bench import WEEK, YEARS_END, Bench
from fault_list import EACH_STEP, MORE, OTHERS, Fault, Outcome, prove
from fault_more import CLOCK, MANY, random_faults

from warehouse.settings import REPOSITORY

TABLE = REPOSITORY / "docs" / "faults.md"
HEAD = """# Faults and what came of them

Written by `.venv/bin/python {command}`; the same faults are tests in `tests/faults/test_kill.py`
(one for each step always, all of them and {number} at random moments with `WAREHOUSE_LONG=1`).

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


def line(outcome: Outcome) -> str:
    wrong = re.sub(r"\s+", " ", "; ".join(outcome.wrong)).replace("|", "/")[:300]
    cells = (
        outcome.fault.step, outcome.fault.struck, outcome.after, f"{' and '.join(map(str, outcome.ended))}, then {outcome.again}", f"{outcome.reads}",
        f"**failed**: {wrong}" if wrong else "passed",
    )
    return "| " + " | ".join(cells) + " |"


def _ordinary(given: argparse.Namespace):
    return lambda bench: [*EACH_STEP, *OTHERS, *MORE, *MANY, *random_faults(given.random, given.seed, bench.seconds)]


def _strike(bench: Bench, faults: list[Fault], until: float) -> list[Outcome]:
    """Two at a time; those that the time does not reach are left out."""
    outcomes = []
    with ThreadPoolExecutor(2) as pool:
        for outcome in pool.map(lambda fault: prove(bench, fault) if time.monotonic() < until else None, faults):
            if outcome is not None:
                outcomes.append(outcome)
                print(line(outcome), flush=True)
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random", type=int, default=30)
    parser.add_argument("--seed", type=int, default=2020)
    parser.add_argument("--minutes", type=float, default=24 * 60)
    parser.add_argument("--to", type=Path, default=TABLE)
    given = parser.parse_args()
    began = time.monotonic()
    until = began + 60 * given.minutes
    with tempfile.TemporaryDirectory(prefix="faults") as folder:
        Path(folder).chmod(0o755)
        named, drawn, wanted, files = [], [], 0, 0
        for part, (make, weeks) in enumerate((((lambda _: CLOCK), YEARS_END), (_ordinary(given), None))):
            place = Path(folder) / f"bench{part}"
            place.mkdir(mode=0o755)
            bench = Bench.prepare(place, **({"weeks": weeks} if weeks else {}))
            try:
                faults = list(make(bench))
                wanted += sum(f.step == "any" for f in faults)
                found = _strike(bench, faults, until)
                named += [o for o in found if o.fault.step != "any"]
                drawn += [o for o in found if o.fault.step == "any"]
            finally:
                bench.close()
            files = bench.files
    outcomes = [*named, *drawn]
    failed = sum(bool(o.wrong) for o in outcomes)
    columns = "| step | struck | right after the blow | ended | readings | outcome |\n|---|---|---|---|---|---|\n"
    command = f"tests/faults/write_table.py --random {given.random} --seed {given.seed}" + (f" --minutes {given.minutes:g}" if given.minutes < 24 * 60 else "")
    head = HEAD.format(command=command, number=given.random, before=f"2020-W{WEEK - 1}", week=f"2020-W{WEEK}", files=files)
    text = [
        head,
        f"{len(outcomes)} faults, {len(outcomes) - failed} passed, {failed} failed; {sum(o.reads for o in outcomes)} readings of all marts.\n",
        "## At every step\n", columns + "\n".join(map(line, named)) + "\n",
        f"## At moments drawn by lot\n\n{len(drawn)} of {wanted} were struck in the time that was given.\n",
        columns + "\n".join(map(line, drawn)) + "\n",
    ]  # fmt: skip
    given.to.write_text("\n".join(text), encoding="utf-8")
    print(f"{given.to}: {len(outcomes)} faults, {failed} failed, {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

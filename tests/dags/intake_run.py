"""Runs of receive_and_load with made-up steps, in a process of its own: prints what became of each as JSON.

    python -m tests.dags.intake_run '[{"waiting": [[1, 2], [3]], "due": null, "ahead": false, "fails": [3]}]'

Only what is wired is tried: nothing is received or loaded, and Airflow keeps its notes in a SQLite file of AIRFLOW_HOME.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections import Counter

from warehouse.settings import REPOSITORY


@contextlib.contextmanager
def no_connection(role: str):
    yield None, None


def run(dag, said: dict) -> dict:
    """``waiting``: files of each task; ``due``: the week that has come due; ``fails``: files that cannot be loaded."""
    from warehouse import batches, cycle

    loaded = []

    def load(connection, settings, file_ids, progress, ahead):
        if set(file_ids) & set(said.get("fails", [])):
            raise ValueError("a fault in the data")
        loaded.append([file_ids, ahead])

    cycle.take_inbox = lambda *_, **__: []
    cycle.week_to_announce = lambda *_: said.get("due")
    batches.batches = lambda *_: [batches.Batch(f"{len(ids)} files", ids, said.get("ahead", False)) for ids in said["waiting"]]
    batches.load_batch, batches.outcome_of = load, lambda *_: "loaded"
    done = dag.test()
    states = Counter(f"{ti.task_id} {ti.state}" for ti in done.get_task_instances())
    return {"run": str(done.state), "tasks": states, "loaded": loaded}


def main() -> None:
    with contextlib.redirect_stdout(sys.stderr):
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
        from airflow.utils.db import initdb

        initdb()
        DagBundlesManager().sync_bundles_to_db()
        sys.path.insert(0, str(REPOSITORY / "dags"))
        import house

        house.warehouse_connection = no_connection
        bag = DagBag(str(REPOSITORY / "dags"))
        sync_bag_to_db(bag, "dags-folder", None)
        found = [run(bag.dags["receive_and_load"], said) for said in json.loads(sys.argv[1])]
    print(json.dumps(found))


if __name__ == "__main__":
    main()

"""A Spark standalone cluster on this machine's loopback: a master and some workers, for tests and for trying things out.

    .venv-spark/bin/python spark/cluster.py --workers 2

prints the master's address once every worker has joined, and stays up until Ctrl-C, a signal, or the end of its input.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path

PATIENCE = 180  # seconds for a process to come up; a busy machine takes its time


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cores", type=int, default=1, help="of each worker")
    parser.add_argument("--memory", default="1g", help="of each worker")
    parser.add_argument("--folder", type=Path, help="for logs and work (default: a temporary one)")
    given = parser.parse_args(arguments)
    folder = given.folder or Path(tempfile.mkdtemp(prefix="spark-cluster-"))
    folder.mkdir(parents=True, exist_ok=True)
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    processes: list[subprocess.Popen] = []
    try:
        processes.append(_start(folder, "master", "master.Master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0"))
        address = _wait(folder / "master.log", r"Starting Spark master at (spark://\S+)", processes)
        for number in range(1, given.workers + 1):
            size = ("--cores", str(given.cores), "--memory", given.memory, "--work-dir", str(folder / f"work-{number}"))
            processes.append(_start(folder, f"worker-{number}", "worker.Worker", "--host", "127.0.0.1", "--webui-port", "0", *size, address))
        for number in range(1, given.workers + 1):
            _wait(folder / f"worker-{number}.log", r"(Successfully registered with master)", processes)
        print(address, flush=True)
        if not sys.stdin.isatty():
            threading.Thread(target=lambda: (_drain(), over.set()), daemon=True).start()
        while not over.wait(1):
            _all_alive(processes, folder)
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait()
    return 0


def _drain() -> None:
    while os.read(0, 1024):
        pass


def _start(folder: Path, name: str, what: str, *arguments: str) -> subprocess.Popen:
    home = Path(find_spec("pyspark").origin).parent
    environment = os.environ | {"SPARK_HOME": str(home), "SPARK_DAEMON_MEMORY": "256m", "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false"}
    with (folder / f"{name}.log").open("w") as log:
        return subprocess.Popen(
            [home / "bin/spark-class", f"org.apache.spark.deploy.{what}", *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
        )


def _wait(log: Path, pattern: str, processes: list[subprocess.Popen]) -> str:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if found := re.search(pattern, log.read_text(errors="replace")):
            return found.group(1)
        _all_alive(processes, log.parent)
        time.sleep(0.3)
    raise SystemExit(f"Spark did not come up within {PATIENCE} s; the log is {log}.")


def _all_alive(processes: list[subprocess.Popen], folder: Path) -> None:
    if any(p.poll() is not None for p in processes):
        raise SystemExit(f"A process of the Spark cluster ended; the logs are in {folder}.")


if __name__ == "__main__":
    sys.exit(main())

"""The embedded PostgreSQL after a power cut: it comes up again with what was committed, whatever its files say."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import psycopg
import pytest

from warehouse.embedded import EmbeddedServer
from warehouse.settings import Settings

pytestmark = [pytest.mark.database, pytest.mark.slow]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A durable server of this module's own: it is killed."""
    settings = replace(Settings.from_environment(), home=tmp_path_factory.mktemp("killed"), url=None)
    settings.prepare()
    embedded = EmbeddedServer(settings)
    embedded.start()
    yield embedded
    embedded.stop()


def execute(server: EmbeddedServer, statement: str):
    with psycopg.connect(server.url(), autocommit=True) as connection:
        return connection.execute(statement)


def count(server: EmbeddedServer) -> int:
    with psycopg.connect(server.url()) as connection:
        return connection.execute("select count(*) from kept").fetchone()[0]


def test_what_was_committed_stands_after_each_kill_and_what_was_not_does_not(server):
    execute(server, "create table kept (n int)")
    for n in range(1, 4):
        execute(server, f"insert into kept values ({n})")
        open_one = psycopg.connect(server.url())
        open_one.execute("insert into kept select generate_series(1, 1000)")
        server.kill()
        server.start()  # at once: the dead process may still have its number
        assert server.running()
        assert count(server) == n
        open_one.close()


@pytest.mark.parametrize("whose", ["nobody", "another program", "a dead process not buried yet"])
def test_a_stale_pid_file_does_not_pass_for_a_server(server, whose):
    server.start()
    stale = server.data / "postmaster.pid"
    lines = stale.read_text().splitlines()
    server.stop()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)  # ended, and still a zombie
    if whose == "nobody":
        dead.wait()
    number = os.getpid() if whose == "another program" else dead.pid
    try:
        stale.write_text("\n".join([str(number), *lines[1:]]) + "\n")
        assert not server.running()
        if os.geteuid() == 0 or whose == "nobody":  # PostgreSQL itself refuses beside a process of its own account
            server.start()
            assert server.running()
    finally:
        dead.wait()
        if not server.running():
            stale.unlink(missing_ok=True)

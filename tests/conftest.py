"""One embedded PostgreSQL for the whole suite; each test that asks gets a database of its own."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from warehouse import database as warehouse_database
from warehouse.embedded import EmbeddedServer
from warehouse.settings import Settings

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """URL of a server without crash safety (fast). WAREHOUSE_TEST_URL points it elsewhere."""
    external = os.environ.get("WAREHOUSE_TEST_URL")
    if external:
        yield external
        return
    settings = replace(Settings.from_environment(), home=tmp_path_factory.mktemp("server"), url=None)
    settings.prepare()
    embedded = EmbeddedServer(settings, durable=False)
    embedded.start()
    yield embedded.url("postgres")
    embedded.stop()


@pytest.fixture(scope="session")
def template(server, tmp_path_factory):
    """Name of a migrated, empty database that others are copied from."""
    name = f"template_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"create database {name}")
    settings = replace(Settings.from_environment(), home=tmp_path_factory.mktemp("template"), url=_database(server, name))
    warehouse_database.start(settings)
    return name


@pytest.fixture
def settings(server, template, tmp_path) -> Settings:
    """A home and a migrated database of the test's own."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"create database {name} template {template} strategy file_copy")
    own = replace(Settings.from_environment(), home=Path(tmp_path) / "home", url=_database(server, name))
    own.prepare()
    yield own
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"drop database {name} with (force)")


@pytest.fixture
def connection(settings):
    with warehouse_database.connect(settings) as opened:
        yield opened


def _database(server: str, name: str) -> str:
    return server.rsplit("/", 1)[0] + "/" + name

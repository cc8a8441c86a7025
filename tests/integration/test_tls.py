"""What the warehouse's URL says of TLS holds for dbt's connections too, which are made from another configuration."""

from __future__ import annotations

import psycopg
import pytest

from warehouse.build import database_address

pytestmark = pytest.mark.database


def test_dbt_is_told_how_the_connection_is_secured(settings, monkeypatch, tmp_path):
    for name in ("PGSSLMODE", "PGSSLROOTCERT"):
        monkeypatch.delenv(name, raising=False)
    authority = tmp_path / "root.crt"
    with psycopg.connect(f"{settings.url}?sslmode=allow&sslrootcert={authority}") as connection:
        told = database_address(connection)
    assert (told["PGSSLMODE"], told["PGSSLROOTCERT"]) == ("allow", str(authority))
    with psycopg.connect(settings.url) as connection:
        assert "PGSSLROOTCERT" not in database_address(connection)

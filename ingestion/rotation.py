"""A new key for what is sealed: originals and blocks of rows, one after the other, each whole before and after."""

from __future__ import annotations

from typing import Any

import psycopg

from ingestion import personal
from ingestion.prepared import forget_all
from warehouse import keys, originals
from warehouse.locks import LOAD
from warehouse.roles import LOADER, as_role
from warehouse.settings import Settings, WarehouseError


@as_role(LOADER)
def rotate(connection: psycopg.Connection, settings: Settings, *, new_key: bool = True, keep_old: bool = False) -> dict[str, Any]:
    """Seal everything with a new key (or with the newest there is) and retire the others.

    Returns key, originals, blocks, retired. Nothing is loaded meanwhile. Cut off, what is sealed with the old key still
    opens, and the next call with ``new_key=False`` goes on. ``keep_old`` leaves the old keys for backups made with them.
    Raises WarehouseError while files are being loaded. Pseudonyms have a secret of their own and do not change.
    """
    if not connection.execute("select pg_try_advisory_lock(%s)", [LOAD]).fetchone()[0]:
        raise WarehouseError("Files are being loaded. Rotate the key when that has ended: a reader may still seal with the old one.")
    try:
        with originals.nobody_receives(settings):
            ring = keys.add_key(settings) if new_key else keys.keyring(settings)
        forget_all(settings)  # sealed with the old key, and read again at no loss
        done = {"key": ring.current, "originals": originals.reseal(settings, ring), "blocks": personal.reseal(connection, ring), "retired": []}
        if not keep_old and keys.owned(settings):
            done["retired"] = [name for name in ring.keys if name != ring.current]
            keys.retire(settings, done["retired"])
        return done
    finally:
        connection.execute("select pg_advisory_unlock(%s)", [LOAD])

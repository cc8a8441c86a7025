"""Roles of the database and all of their rights, in one place; `grants` gives them, at each migration and publication.

Three roles work, one step each, and are set by the steps themselves (`acting`), so that a step can do no more than it
is for: the loader takes files in, the transformer builds and judges, the publisher writes the ledger and the marts.
Readers are members of `bi_reader`, `auditor` or the `county_<code>` of their county. All are groups without a login.
They belong to the server: several databases share them, each gives its own rights. What each may do is tried, object by
object, by tests/integration/test_roles.py, which writes docs/roles.md.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from warehouse.settings import WarehouseError

LOADER, TRANSFORMER, PUBLISHER = "warehouse_loader", "warehouse_transformer", "warehouse_publisher"
STEPS = (LOADER, TRANSFORMER, PUBLISHER)
BI_READER, AUDITOR = "bi_reader", "auditor"
VIEWS = "warehouse_views"  # owns the marts that filter by county, and must not own their tables: owners are above policies
ACTED = (*STEPS, AUDITOR)  # the quality pages are made with an auditor's rights
BUILT = ("staging", "intermediate", "candidate")  # dbt's schemas
SCHEMAS = ("intake", "raw", "reference", "quality", "ops", "store", "marts", *BUILT)

# Columns of raw tables that may hold personal data besides those that a contract names: columns nobody knows
UNKNOWN_COLUMNS = frozenset({"extra", "source_text"})
FREE_DIMENSIONS = (
    "dim_publication", "dim_week", "dim_county", "dim_township", "dim_village", "dim_industry", "dim_fund_line", "dim_code",
)  # fmt: skip
COUNTY_VIEWS = ("check_result_current", "check_grid", "finding_life", "punctuality")  # of quality, filtered by `grants._filter`
PAYOUTS = ("payout_list", "payout_day", "payout_household", "payout_person")  # of ops, kept by expectations/payouts.py
COUNTY_TABLES = ("finding", "check_result", "reporting_status", "waiver", "anomaly", "rule", "rule_term")

READ, WRITE, ALL = "SELECT", "SELECT, INSERT, UPDATE", "SELECT, INSERT, UPDATE, DELETE"
KEPT = "MAINTAIN"  # ANALYZE by another than the owner; PostgreSQL 17 and newer

# role → schema → (privileges, relations) in turn; relations None: all that are there and, in `OWNED`, that will be.
# raw is given column by column, see `grants._raw`.
RIGHTS: dict[str, dict[str, list[tuple[str, tuple[str, ...] | None]]]] = {
    LOADER: {
        "intake": [(WRITE, None)],
        "raw": [(f"{WRITE}, {KEPT}", None)],
        "reference": [(READ, None)],
        "quality": [(READ, None), (WRITE, ("finding", "reminder"))],
        "ops": [(READ, None), (WRITE, ("pending_slice", "task_step"))],
        "marts": [(READ, None)],
    },
    TRANSFORMER: {
        "intake": [(READ, None)],
        "reference": [(READ, None)],
        "quality": [(ALL, None)],
        "ops": [(READ, None), (f"{ALL}, {KEPT}", ("pending_slice", "build_run", "build_slice", "task_step", *PAYOUTS))],
        "store": [(READ, None)],
        "marts": [(READ, None)],
    },
    PUBLISHER: {
        "intake": [(READ, None), (WRITE, ("hold",))],
        "reference": [(READ, None)],
        "quality": [(READ, None), (WRITE, ("approval",))],
        "ops": [(READ, None), (ALL, ("pending_slice", "build_run", "task_step"))],
        "store": [(READ, None), ("INSERT", ("publication", "publication_submission", "revision")), ("UPDATE", ("publication_submission",))],
        "marts": [(READ, None)],
        "candidate": [(ALL, None)],
    },
    VIEWS: {"store": [(READ, None)]},
    BI_READER: {"marts": [(READ, None)]},
    AUDITOR: {schema: [(READ, None)] for schema in SCHEMAS if schema != "raw"},
}
# schema → its owner, whose new objects others get rights on by default; the owner of the rest is who migrates
OWNED = {"store": PUBLISHER, "marts": PUBLISHER, **dict.fromkeys(BUILT, TRANSFORMER)}
KEPT_BY_MIGRATION = ("publication", "publication_submission", "revision", "mart_column", "dim_publication", "fct_revision")


def county_group(code: str) -> str:
    return f"county_{code}"


# ---------------------------------------------------------------- acting as a role


@contextlib.contextmanager
def acting(connection: psycopg.Connection, role: str) -> Iterator[None]:
    """Work on a connection with the rights of a role, then with those it had before. Raises WarehouseError where it may not."""
    before = _current(connection)
    if before == role:
        yield
        return
    _set(connection, role)
    try:
        yield
    finally:
        # a transaction that failed takes the setting back with it
        if not connection.closed and connection.info.transaction_status != TransactionStatus.INERROR:
            _set(connection, before)


def as_role(role: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A step whose first argument is a connection, done as ``role``."""

    def decorate(step: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(step)
        def acted(connection: psycopg.Connection, *arguments: Any, **options: Any) -> Any:
            with acting(connection, role):
                return step(connection, *arguments, **options)

        return acted

    return decorate


def _current(connection: psycopg.Connection) -> str:
    idle = connection.info.transaction_status == TransactionStatus.IDLE
    (role,) = connection.execute("select current_setting('role')").fetchone()
    if idle and not connection.autocommit:
        connection.rollback()  # a step's own transaction must not become a part of this one
    return role


def _set(connection: psycopg.Connection, role: str) -> None:
    idle = connection.info.transaction_status == TransactionStatus.IDLE
    try:
        connection.execute(sql.SQL("set role {}").format(sql.SQL("none") if role == "none" else sql.Identifier(role)))
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue) as error:
        raise WarehouseError(
            f"The login {connection.info.user} may not act as {role}. Let the database's owner run `warehouse up`, "
            f"then `warehouse grant {connection.info.user} --role pipeline`."
        ) from error
    if idle and not connection.autocommit:
        connection.commit()

"""Great Expectations over the candidate marts: the only module that imports it, and only when it runs.

The import takes seconds, so a process does it once, in a cycle one of its own (`expectations.validation_process`).
The project folder ``home/gx`` is made once for a catalogue and then only run; the weeks to look at come with the
connection (``warehouse.judged_weeks``), so nothing in it changes from run to run. Data Docs show the last run, below ``home/reports/data_docs``; the lasting record is ``quality``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from expectations.suites import Suite
from warehouse import database
from warehouse.roles import TRANSFORMER
from warehouse.settings import Settings

DSN = "WAREHOUSE_GX_URL"
LAYOUT = 1  # raise it when this module lays the folder out differently
RESULT_FORMAT = {"result_format": "COMPLETE"}  # the columns at fault stand in the rows, which shorter forms leave out


@dataclass(frozen=True)
class Validation:
    """What came of it. ``failed`` holds (mart, rule id, text, number of rows or None)."""

    evaluated: int = 0
    failed: list[tuple[str, str, str, int | None]] = field(default_factory=list)

    @property
    def success(self) -> bool:
        return not self.failed

    def blocking_zh(self) -> list[str]:
        """One line a failure, in Chinese."""
        return [
            f"候选集市 {mart} 未通过检查 {rule}（{text}{f'，{rows}行' if rows else ''}）" for mart, rule, text, rows in self.failed
        ]


def validate(
    settings: Settings, suites: list[Suite], forms: set[str], weeks: list[str], progress: Callable[..., None] | None = None
) -> Validation:
    """Run the suites of some forms over the given weeks of the candidate marts; ``suites`` are those of every mart.

    Raises whatever Great Expectations raises.
    """
    asked = [s for s in suites if s.mart.form in forms]
    if not asked or not weeks:
        return Validation()
    previous = os.environ.get(DSN)
    os.environ[DSN] = _address(settings, weeks)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context = _project(engine(), settings, suites)
            done = [_run(context, suite, n, len(asked), progress) for n, suite in enumerate(asked, 1)]
            context.build_data_docs()
    finally:
        if previous is None:
            del os.environ[DSN]  # it carries the password
        else:
            os.environ[DSN] = previous
    return Validation(sum(len(r.results) for r in done), [f for r, s in zip(done, asked, strict=True) for f in _failures(r, s)])


def engine():
    """Great Expectations itself, imported."""
    os.environ["GX_ANALYTICS_ENABLED"] = "False"  # before the import: it calls home otherwise
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    return great_expectations


def _run(context, suite: Suite, number: int, total: int, progress: Callable[..., None] | None):
    if progress:
        progress("validating marts", number, total)
    return context.validation_definitions.get(suite.mart.name).run(result_format=RESULT_FORMAT)


def _failures(result, suite: Suite) -> list[tuple[str, str, str, int | None]]:
    found = []
    for one in result.results:
        if not one.success:
            meta, said = one.expectation_config.meta or {}, one.result or {}
            rows = said.get("unexpected_count", said.get("observed_value"))
            trouble = [e for e in (one.exception_info or {}).values() if isinstance(e, dict) and e.get("raised_exception")]
            shown = (said.get("details") or {}).get("unexpected_rows") or []
            columns = sorted({r["at_fault"] for r in shown if "at_fault" in r})
            text = "：".join(filter(None, [meta.get("text_zh", ""), "、".join(columns)])) + ("；检查本身出错" if trouble else "")
            found.append((suite.mart.name, meta.get("rule_id", ""), text, rows if isinstance(rows, int) else None))
    return found


def _address(settings: Settings, weeks: list[str]) -> str:
    """The database's URL for SQLAlchemy, with the weeks as a setting of the session."""
    from sqlalchemy.engine import URL

    parts = {k: str(v) for k, v in conninfo_to_dict(database.url(settings)).items() if v is not None}
    options = f"{parts.pop('options', '')} -c role={TRANSFORMER} -c warehouse.judged_weeks={','.join(weeks)}".strip()
    return URL.create(
        "postgresql+psycopg2",
        parts.pop("user", None),
        parts.pop("password", None),
        parts.pop("host", None),
        int(parts.pop("port")) if "port" in parts else None,
        parts.pop("dbname", None),
        parts | {"options": options, "application_name": "warehouse"},
    ).render_as_string(hide_password=False)


def _project(gx, settings: Settings, suites: list[Suite]):
    """The project folder, made anew when what is expected has changed."""
    folder, docs = settings.home / "gx", settings.reports / "data_docs"
    asked = [(s.mart.name, s.mart.weekly, s.title_zh, s.expectations, s.skipped) for s in suites]
    fingerprint = hashlib.sha256(json.dumps([LAYOUT, gx.__version__, str(docs), asked], sort_keys=True).encode()).hexdigest()
    mark = folder / "fingerprint"
    known = mark.read_text() if mark.exists() else ""
    if known != fingerprint:
        shutil.rmtree(folder, ignore_errors=True)
    for stale in (folder / "gx" / "uncommitted" / "validations", docs):
        shutil.rmtree(stale, ignore_errors=True)
    context = gx.get_context(mode="file", project_root_dir=folder)
    if known != fingerprint:
        _describe(gx, context, suites, docs)
        mark.write_text(fingerprint)
    return context


def _describe(gx, context, suites: list[Suite], docs: Path) -> None:
    import great_expectations.expectations as kinds
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    context.variables.save()
    for name in list(context.get_site_names()):
        context.delete_data_docs_site(name)
    context.add_data_docs_site(
        "candidates",
        {
            "class_name": "SiteBuilder",
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs)},
        },
    )
    source = context.data_sources.add_postgres("candidates", connection_string=f"${{{DSN}}}")
    for suite in suites:
        where = " where week = any(string_to_array(current_setting('warehouse.judged_weeks'), ','))" if suite.mart.weekly else ""
        asset = source.add_query_asset(suite.mart.name, query=f"select * from {suite.mart.table}{where}")
        made = gx.ExpectationSuite(suite.mart.name, meta={"title_zh": suite.title_zh, "skipped": suite.skipped})
        made.expectations = [getattr(kinds, kind)(**arguments) for kind, arguments in suite.expectations]
        context.validation_definitions.add(
            gx.ValidationDefinition(
                name=suite.mart.name,
                data=asset.add_batch_definition_whole_table("judged weeks"),
                suite=context.suites.add(made),
            )
        )


"""Write what Superset imports: ``python -m bi.generate`` makes `bi/assets` of pages.yaml, the metrics and the contracts.

A test fails when the files are not what this module would write.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from bi.dashboards import pages
from bi.datasets import DATABASE, datasets, identity

ASSETS = Path(__file__).with_name("assets")
MARK = "# generated from reporting/pages.yaml by `python -m bi.generate`; do not edit\n"


def documents() -> dict[str, dict[str, Any]]:
    """Every file's path below `assets` and what is in it."""
    found: dict[str, dict[str, Any]] = {"metadata.yaml": {"version": "1.0.0", "type": "assets", "timestamp": "2020-01-01T00:00:00+00:00"}}
    found["databases/warehouse.yaml"] = {
        "database_name": DATABASE, "sqlalchemy_uri": "postgresql+psycopg2://warehouse_bi:XXXXXXXXXX@localhost:5432/warehouse", "cache_timeout": None,
        "expose_in_sqllab": True, "allow_run_async": False, "allow_ctas": False, "allow_cvas": False, "allow_dml": False, "allow_csv_upload": False,
        "extra": {"allows_virtual_table_explore": True, "engine_params": {"pool_pre_ping": True}}, "uuid": identity("database", "warehouse"), "version": "1.0.0",
    }  # fmt: skip
    for dataset in datasets().values():
        found[f"datasets/{dataset.key}.yaml"] = dataset.document()
    for page in pages():
        for number, chart in enumerate(page.charts):
            found[f"charts/{page.slug}_{number:02d}.yaml"] = chart.document()
        found[f"dashboards/{page.slug}.yaml"] = page.document()
    return found


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _text)


def files() -> dict[str, str]:
    """Path below `assets` → text."""
    return {name: MARK + yaml.dump(document, Dumper=_Plain, allow_unicode=True, sort_keys=False, width=160) for name, document in documents().items()}


def write(folder: Path = ASSETS) -> list[str]:
    """Bring the folder to what it should be; returns what changed."""
    wanted, changed = files(), []
    for path in sorted(folder.rglob("*.yaml")):
        if path.relative_to(folder).as_posix() not in wanted:
            path.unlink()
            changed.append(path.name)
    for name, text in wanted.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(name)
    return changed


if __name__ == "__main__":
    print(f"{len(write())} files changed in {ASSETS.name}")

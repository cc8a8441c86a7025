#!/usr/bin/env python3
"""Write the deployment's secrets: ``python3 deploy/make_env.py`` makes ``.env`` beside docker-compose.yml, mode 600.

Every password is random and of this installation alone. What ``.env`` holds already is kept, so the command may be
run again at any time, and after an upgrade that needs a new secret it adds just that one. Needs nothing but Python 3.
"""

import argparse
import os
import secrets
import sys
from pathlib import Path

PLACE = Path(__file__).resolve().parents[1] / ".env"
# name → what it is for; letters and digits only, so that it needs no quoting in a URL or a shell
SECRETS = {
    "POSTGRES_PASSWORD": "the database server's superuser",
    "WAREHOUSE_DB_PASSWORD": "the warehouse's user in the database",
    "AIRFLOW_DB_PASSWORD": "Airflow's user in the database",
    "AIRFLOW_ADMIN_PASSWORD": "Airflow's login admin (everything)",
    "AIRFLOW_OPERATOR_PASSWORD": "Airflow's login operator (runs, approves)",
    "AIRFLOW_VIEWER_PASSWORD": "Airflow's login viewer (reads)",
    "AIRFLOW_FERNET_SECRET": "encrypts connections and variables in Airflow's database",
    "AIRFLOW_API_SECRET": "signs sessions of Airflow's pages",
    "AIRFLOW_JWT_SECRET": "signs what tasks and services say to Airflow's API; the same on every host",
    "REDIS_PASSWORD": "the broker of Celery workers",
    "BI_SECRET_KEY": "signs sessions of the BI server and encrypts its connections",
    "BI_ADMIN_PASSWORD": "the BI server's login admin",
    "BI_METADATA_PASSWORD": "the BI server's user in the database, for its own tables",
    "BI_READER_PASSWORD": "the BI server's user in the database, for the marts",
}


def missing(text: str) -> list[str]:
    """Names of the secrets that a .env does not hold."""
    have = {line.split("=", 1)[0].strip() for line in text.splitlines() if "=" in line and line.split("=", 1)[1].strip()}
    return [name for name in SECRETS if name not in have]


def lines(names: list[str]) -> str:
    return "".join(f"# {SECRETS[name]}\n{name}={secrets.token_hex(32 if name.endswith(('SECRET', 'KEY')) else 16)}\n" for name in names)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stdout", action="store_true", help="print a complete new file instead of writing it")
    parser.add_argument("--file", type=Path, default=PLACE, help="where to write (default: %(default)s)")
    given = parser.parse_args()
    if given.stdout:
        print(lines(list(SECRETS)), end="")
        return 0
    text = given.file.read_text(encoding="utf-8") if given.file.exists() else ""
    names = missing(text)
    if names:
        draft = given.file.with_name(given.file.name + ".draft")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(text + ("\n" if text and not text.endswith("\n") else "") + lines(names))
            out.flush()
            os.fsync(out.fileno())
        draft.replace(given.file)
    given.file.chmod(0o600)
    print(f"{given.file}: {len(names)} secrets made, {len(SECRETS) - len(names)} kept. Keep a copy where only administrators get at it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

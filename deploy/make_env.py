#!/usr/bin/env python3
"""Write the deployment's secrets: ``python3 deploy/make_env.py`` makes ``.env`` beside docker-compose.yml, mode 600.

Every password is random and of this installation alone. What ``.env`` holds already is kept, so the command may be
run again at any time, and after an upgrade that needs a new secret it adds just that one. Needs nothing but Python 3.

``deploy/readers/htpasswd``, by which the web server knows who may read its pages, is brought to what ``.env`` says of
the login ``reader``; lines of others stay.
"""

import argparse
import base64
import hashlib
import hmac
import os
import secrets
import sys
from pathlib import Path

PLACE = Path(__file__).resolve().parents[1] / ".env"
READERS = Path("deploy") / "readers" / "htpasswd"  # beside .env
READER = "reader"
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
    "WEB_READER_PASSWORD": "the login reader of the quality pages and the report",
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


def value_of(text: str, name: str) -> str:
    return next(line.split("=", 1)[1].strip() for line in reversed(text.splitlines()) if line.split("=", 1)[0].strip() == name)


def hashed(password: str, salt: bytes) -> str:
    """As nginx reads it (RFC 2307). A quick hash suffices for 128 random bits; it would not for a word that a person chose."""
    return "{SSHA}" + base64.b64encode(hashlib.sha1(password.encode() + salt).digest() + salt).decode()


def fits(line: str, password: str) -> bool:
    _, _, known = line.partition(":{SSHA}")
    try:
        salt = base64.b64decode(known, validate=True)[20:]
    except ValueError:
        return False
    return bool(salt) and hmac.compare_digest("{SSHA}" + known, hashed(password, salt))


def readers(text: str, password: str) -> str:
    """The web server's list of logins with this password for READER; what stood there for others is kept."""
    own = [line for line in text.splitlines() if line.startswith(f"{READER}:") and fits(line, password)]
    others = [line for line in text.splitlines() if line.strip() and not line.startswith(f"{READER}:")]
    return "".join(f"{line}\n" for line in [own[0] if own else f"{READER}:{hashed(password, secrets.token_bytes(8))}", *others])


def write(path: Path, text: str, mode: int) -> None:
    """The whole file or nothing, never readable to more than its mode says."""
    draft = path.with_name(path.name + ".draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    draft.chmod(mode)
    draft.replace(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, default=PLACE, help="where to write (default: %(default)s)")
    given = parser.parse_args()
    text = given.file.read_text(encoding="utf-8") if given.file.exists() else ""
    names = missing(text)
    if names:
        text += ("\n" if text and not text.endswith("\n") else "") + lines(names)
        write(given.file, text, 0o600)
    given.file.chmod(0o600)
    listed = given.file.parent / READERS
    listed.parent.mkdir(parents=True, exist_ok=True)
    # readable for the web server, which runs as a user of its own; there are no passwords in it
    write(listed, readers(listed.read_text(encoding="utf-8") if listed.exists() else "", value_of(text, "WEB_READER_PASSWORD")), 0o644)
    print(f"{given.file}: {len(names)} secrets made, {len(SECRETS) - len(names)} kept. Keep a copy where only administrators get at it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

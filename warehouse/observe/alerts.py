"""Tell people what is wrong, by mail or webhook: each cause once, and once more when it is over.

Where to: the environment, or ``home/alerts.yaml`` with the same names in small letters and without the prefix
(``mail_to: a@b.cn, c@d.cn``). What was told is in ``home/alerts.json`` rather than in the database, which may be what
is down. A channel that fails is tried again at the next look, the others are not.

======================  ================================================================
WAREHOUSE_MAIL_TO       addresses, separated by commas
WAREHOUSE_MAIL_FROM     sender (default: the first address)
WAREHOUSE_SMTP_URL      smtp://user:password@host:25, smtps://… or smtp://…?starttls=1
WAREHOUSE_WEBHOOK_URL   gets one JSON object a message by POST
======================  ================================================================
"""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import logging
import os
import smtplib
import socket
import ssl
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from warehouse.observe.health import Health
from warehouse.settings import Settings, WarehouseError

NAMES = ("mail_to", "mail_from", "smtp_url", "webhook_url")
TIMEOUT = 20.0
KEPT_DAYS = 90  # an alert that is over is forgotten after that
log = logging.getLogger(__name__)
Send = Callable[[str, str, dict], None]  # subject, text, facts


@dataclass
class Alerted:
    """What one look sent: causes by what was told of them. ``failed``: channel → kind of fault."""

    raised: list[str] = field(default_factory=list)
    over: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    channels: list[str] = field(default_factory=list)


def configuration(settings: Settings) -> dict[str, str]:
    """Where alerts go; {} where nobody wants any. Raises WarehouseError for a file that cannot be read."""
    path = settings.home / "alerts.yaml"
    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8")) or {} if path.exists() else {}
    except (OSError, yaml.YAMLError) as error:
        raise WarehouseError(f"{path} cannot be read as YAML: {error}") from error
    unknown = set(told) - set(NAMES)
    if unknown:
        raise WarehouseError(f"{path} has settings that do not exist: {', '.join(sorted(unknown))}. There are: {', '.join(NAMES)}.")
    told |= {name: os.environ[f"WAREHOUSE_{name.upper()}"] for name in NAMES if os.environ.get(f"WAREHOUSE_{name.upper()}")}
    if told.get("mail_to") and not told.get("smtp_url"):
        raise WarehouseError("Alerts by mail need WAREHOUSE_SMTP_URL, such as smtp://mail.example.cn:25.")
    return {name: str(value) for name, value in told.items() if value}


def alert(settings: Settings, health: Health, told: dict[str, str] | None = None) -> Alerted:
    """Send what is new and what is over. Safe to call at any time, from several processes."""
    told = configuration(settings) if told is None else told
    channels: dict[str, Send] = {}
    if told.get("mail_to"):
        channels["mail"] = lambda subject, text, facts: _mail(told, subject, text)
    if told.get("webhook_url"):
        channels["webhook"] = lambda subject, text, facts: _post(told["webhook_url"], {"subject": subject, "text": text, **facts})
    result = Alerted(channels=list(channels))
    if not channels:
        return result
    with _state(settings) as known:
        causes = health.causes
        blind = "database" in causes  # what a database that is away cannot tell is not over
        for key, text in causes.items():
            entry = known.setdefault(key, {"since": health.at.isoformat(), "told": [], "over": None})
            if entry["over"]:  # it comes again
                entry |= {"since": health.at.isoformat(), "told": [], "over": None}
            if _tell(channels, entry, result, f"【县域数据仓库】{_title(key)}", text, {"cause": key, "state": "raised", "since": entry["since"]}):
                result.raised.append(key)
        for key, entry in list(known.items()):
            if key in causes or (blind and key != "disk"):
                continue
            if not entry["over"]:
                entry |= {"over": health.at.isoformat(), "told": [], "was_told": bool(entry["told"])}
            if entry.get("was_told") and _tell(channels, entry, result, f"【县域数据仓库】已恢复：{_title(key)}", "上述情况已不存在，无需处理。",
                                               {"cause": key, "state": "over", "since": entry["since"]}):  # fmt: skip
                result.over.append(key)
            if health.at - dt.datetime.fromisoformat(entry["over"]) > dt.timedelta(days=KEPT_DAYS):
                del known[key]
    return result


TITLES = {
    "publication": "到期未发布", "missing": "有县连续两周未报", "gate": "发布等待审批", "blocked": "检查未通过，未发布", "disk": "磁盘空间不足",
    "dag": "Airflow 运行失败", "cycle": "处理失败", "database": "数据库无法使用", "files": "文件滞留未装载", "set_aside": "送件被搁置",
}  # fmt: skip


def _title(key: str) -> str:
    return TITLES[key.split(":")[0]]


def _tell(channels: dict[str, Send], entry: dict, result: Alerted, subject: str, text: str, facts: dict) -> bool:
    """Send by the channels that have not told yet; whether one did so now."""
    sent = False
    for name, send in channels.items():
        if name in entry["told"]:
            continue
        try:
            send(subject, text, facts)
            entry["told"].append(name)
            sent = True
        except (OSError, smtplib.SMTPException, WarehouseError) as error:
            log.warning("An alert could not be sent by %s: %s", name, type(error).__name__)
            result.failed[name] = type(error).__name__
    return sent


@contextmanager
def _state(settings: Settings):
    """What was told so far, held against others and written back in one step, also when a channel fails half way."""
    path = settings.home / "alerts.json"
    with open(settings.home / ".alerts.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        except ValueError:
            known = {}  # better told twice than never
        try:
            yield known
        finally:
            draft = path.with_name(".alerts.draft")
            draft.write_text(json.dumps(known, ensure_ascii=False, indent=1), encoding="utf-8")
            draft.replace(path)


# -- channels --------------------------------------------------------------------------------------


def _mail(told: dict[str, str], subject: str, text: str) -> None:
    to = [address.strip() for address in told["mail_to"].split(",") if address.strip()]
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, told.get("mail_from") or to[0], ", ".join(to)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text + "\n")
    url = urlsplit(told["smtp_url"])
    options = parse_qs(url.query)
    if url.scheme not in ("smtp", "smtps") or not url.hostname:
        raise WarehouseError("WAREHOUSE_SMTP_URL must look like smtp://host:25 or smtps://host:465.")
    name = socket.gethostname()  # not the fully qualified one, which asks a name server
    if url.scheme == "smtps":
        server = smtplib.SMTP_SSL(url.hostname, url.port or 465, name, timeout=TIMEOUT, context=ssl.create_default_context())
    else:
        server = smtplib.SMTP(url.hostname, url.port or 25, name, timeout=TIMEOUT)
    with server:
        if options.get("starttls", ["0"])[0] in ("1", "true"):
            server.starttls(context=ssl.create_default_context())
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
        server.send_message(message)


def _post(url: str, body: dict) -> None:
    import requests

    try:
        answer = requests.post(url, json=body, timeout=TIMEOUT)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise OSError(type(error).__name__) from None  # its text holds the address, which may hold a token

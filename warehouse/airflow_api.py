"""The few calls on Airflow's REST API that the supervisor makes."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import Counter
from typing import Any

SECONDS = 10.0


class AirflowApi:
    """Client of one API server at ``address``; logs in by itself. OSError when nobody answers or the answer is a refusal."""

    def __init__(self, address: str, user: str, password: str):
        self.address, self.user, self.password = address, user, password
        self._token: str | None = None
        # this server is on 127.0.0.1: a proxy of the surroundings has no business here
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def answers(self) -> bool:
        try:
            return bool(self._send("GET", "/api/v2/monitor/health", login=False))
        except OSError:
            return False

    def healthy(self) -> bool:
        """Whether database, scheduler and DAG processor all say they are well."""
        try:
            health = self._send("GET", "/api/v2/monitor/health", login=False)
        except OSError:
            return False
        return all(health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor"))

    def dags(self) -> set[str]:
        return {dag["dag_id"] for dag in self._send("GET", "/api/v2/dags?limit=100")["dags"]}

    def trigger(self, dag: str, conf: dict[str, Any] | None = None) -> str:
        """Start a run now; returns its id."""
        return self._send("POST", f"/api/v2/dags/{dag}/dagRuns", {"logical_date": None, "conf": conf or {}})["dag_run_id"]

    def variable(self, name: str) -> str | None:
        """Value of a variable; None where there is none."""
        try:
            return self._send("GET", f"/api/v2/variables/{name}")["value"]
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def set_variable(self, name: str, value: str, description: str = "") -> None:
        body = {"key": name, "value": value, "description": description}
        if self.variable(name) is None:
            self._send("POST", "/api/v2/variables", body)
        else:
            self._send("PATCH", f"/api/v2/variables/{name}", body)

    def runs(self, dag: str, limit: int = 3) -> list[dict[str, Any]]:
        """The newest runs of a DAG, newest first."""
        return self._send("GET", f"/api/v2/dags/{dag}/dagRuns?limit={limit}&order_by=-id")["dag_runs"]

    def tasks(self, dag: str, run: str) -> list[dict[str, Any]]:
        quoted = urllib.request.quote(run, safe="")
        return self._send("GET", f"/api/v2/dags/{dag}/dagRuns/{quoted}/taskInstances?limit=200")["task_instances"]

    def _send(self, method: str, path: str, body: dict | None = None, login: bool = True) -> Any:
        headers = {"Content-Type": "application/json"}
        if login:
            headers["Authorization"] = f"Bearer {self._token or self._log_in()}"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.address + path, data=data, headers=headers, method=method)
        try:
            with self._opener.open(request, timeout=SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 401 and login:  # the token has run out
                self._token = None
            raise

    def _log_in(self) -> str:
        self._token = self._send("POST", "/auth/token", {"username": self.user, "password": self.password}, login=False)["access_token"]
        return self._token


def describe_tasks(tasks: list[dict[str, Any]]) -> str:
    """'scan done, load_files 12/25' for the tasks of one run that have begun or wait."""
    states: dict[str, Counter] = {}
    for task in tasks:
        states.setdefault(task["task_id"], Counter())[task["state"] or "waiting"] += 1
    words = []
    for name, counts in states.items():
        total, done = sum(counts.values()), counts["success"] + counts["skipped"]
        if total > 1:
            words.append(f"{name} {done}/{total}" + (f" ({counts['failed']} failed)" if counts["failed"] else ""))
        elif counts["running"] or counts["failed"] or counts["up_for_retry"] or counts["queued"] or counts["awaiting_input"]:
            words.append(f"{name} {next(iter(counts)).replace('_', ' ')}")
    return ", ".join(words)

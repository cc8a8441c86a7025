"""Superset over HTTP, as a browser's user: logs in, lists what it may see, asks datasets and charts."""

from __future__ import annotations

import re
from dataclasses import dataclass

import requests


@dataclass
class Superset:
    address: str

    def login(self, user: str, password: str) -> requests.Session:
        session = requests.Session()
        token = re.search(r'csrf_token[^>]*?value="([^"]+)"', session.get(f"{self.address}/login/", timeout=60).text)[1]
        answer = session.post(f"{self.address}/login/", data={"username": user, "password": password, "csrf_token": token}, headers={"Referer": f"{self.address}/login/"}, timeout=60)
        assert answer.ok and "/login" not in answer.url, f"{user} cannot log in"
        session.headers.update({"X-CSRFToken": session.get(f"{self.address}/api/v1/security/csrf_token/", timeout=60).json()["result"], "Referer": self.address})
        return session

    def ids(self, session: requests.Session, kind: str) -> dict[str, int]:
        """uuid → id of every chart, dataset or dashboard that the session may see."""
        found = {}
        while True:  # a hundred a page, whatever one asks for
            asked = {"q": f"(columns:!(id,uuid),page_size:100,page:{len(found) // 100})"}
            answer = session.get(f"{self.address}/api/v1/{kind}/", params=asked, timeout=60).json()
            found |= {thing["uuid"]: thing["id"] for thing in answer["result"]}
            if len(found) >= answer["count"] or not answer["result"]:
                return found

    def ask(self, session: requests.Session, dataset: int, **query) -> requests.Response:
        body = {"datasource": {"id": dataset, "type": "table"}, "queries": [{"row_limit": 10000, "columns": [], "metrics": [], "filters": []} | query], "result_format": "json", "result_type": "full"}
        return session.post(f"{self.address}/api/v1/chart/data", json=body, timeout=120)

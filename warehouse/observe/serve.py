"""`/health` and `/metrics` over HTTP, for a load balancer, an uptime monitor or Prometheus. Nothing but figures leaves."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from warehouse.observe.health import Health, health
from warehouse.observe.metrics import exposition
from warehouse.settings import Settings

FRESH_SECONDS = 10.0  # one look at the database in that time, however often somebody asks


class _Looks:
    """The last look, shared among requests."""

    def __init__(self, settings: Settings):
        self.settings, self._lock, self._at, self._found = settings, threading.Lock(), float("-inf"), None

    def look(self) -> Health:
        with self._lock:
            if time.monotonic() - self._at > FRESH_SECONDS:
                self._found, self._at = health(self.settings), time.monotonic()
            return self._found


def server(settings: Settings, host: str = "127.0.0.1", port: int = 8090) -> ThreadingHTTPServer:
    """A server that answers GET /health (200 healthy, 503 not; JSON), /metrics (Prometheus text) and /live (200, no look)."""
    looks = _Looks(settings)

    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "warehouse", ""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0].rstrip("/")
            if path == "/live":
                self._answer(200, "text/plain", b"ok\n")
            elif path == "/health":
                found = looks.look()
                self._answer(200 if found.healthy else 503, "application/json", json.dumps(found.as_json(), ensure_ascii=False, default=str).encode())
            elif path == "/metrics":
                self._answer(200, "text/plain; version=0.0.4", exposition(looks.look()).encode())
            else:
                self._answer(404, "text/plain", b"GET /health, /metrics or /live\n")

        do_HEAD = do_GET

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_) -> None:
            """Not a line for every look of a monitor."""

    return ThreadingHTTPServer((host, port), Handler)

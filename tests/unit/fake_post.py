"""A mail server and a web server that keep what they are sent."""

from __future__ import annotations

import contextlib
import email
import json
import socketserver
import threading
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Mailbox:
    """Speaks as much SMTP as smtplib asks for. ``refuses``: answers 451 to every message."""

    def __init__(self):
        self.messages: list[EmailMessage] = []
        self.refuses = False
        box = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                def say(line):
                    self.wfile.write(line.encode() + b"\r\n")

                say("220 test")
                while line := self.rfile.readline().decode().strip():
                    verb = line.split()[0].upper()
                    if verb == "DATA" and not box.refuses:
                        say("354 go on")
                        data = b""
                        while not data.endswith(b"\r\n.\r\n"):
                            data += self.rfile.readline()
                        box.messages.append(email.message_from_bytes(data[:-3], policy=default))
                        say("250 kept")
                    elif verb == "DATA":
                        say("451 try later")
                    elif verb == "QUIT":
                        say("221 bye")
                        return
                    else:
                        say("250 test")

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"smtp://127.0.0.1:{self.server.server_address[1]}"


class Hook:
    """Keeps the bodies that are posted to it: JSON where it is, else bytes. ``status``: what it answers."""

    def __init__(self):
        self.bodies: list = []
        self.paths: list[str] = []
        self.status = 200
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if hook.status < 400:
                    hook.paths.append(self.path)
                    hook.bodies.append(json.loads(body) if "json" in self.headers.get("Content-Type", "") else body)
                self.send_response(hook.status)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@contextlib.contextmanager
def running(what):
    threading.Thread(target=what.server.serve_forever, daemon=True).start()
    try:
        yield what
    finally:
        what.server.shutdown()
        what.server.server_close()

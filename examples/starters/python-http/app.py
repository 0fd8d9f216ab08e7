"""A web service in one file: `/` greets and shows its version, `/version` says it as JSON, `/healthz` is for probes."""

import html
import json
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

GREETING = os.environ.get("GREETING", "Hello")
STARTED = time.time()

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{greeting} · {version}</title>
<style>
  :root {{ color-scheme: light dark; font-family: system-ui, sans-serif; }}
  body {{ min-height: 100vh; margin: 0; display: grid; place-content: center; text-align: center; }}
  h1 {{ font-size: clamp(2.5rem, 10vw, 5rem); margin: 0; }}
  p {{ font-size: 1.25rem; opacity: .75; }}
  code {{ font-size: .9em; }}
</style>
<h1>{greeting}</h1>
<p>This is version <b>{version}</b> at commit <code>{commit}</code></p>
<p>answered by {instance}, up for {uptime} s</p>
</html>
"""


def read_version(folder=Path(__file__).parent):
    """What the build wrote beside this file; a work tree that was never built says "dev"."""
    try:
        facts = json.loads((folder / "version.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        facts = {}
    return {"version": str(facts.get("version", "dev")), "commit": str(facts.get("commit", ""))[:10] or "none"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    version = read_version()

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/":
            self.answer(200, "text/html", self.page())
        elif path == "/version":
            self.answer(200, "application/json", json.dumps({**self.version, "greeting": GREETING}))
        elif path == "/healthz":
            stopping = self.server.stopping.is_set()
            self.answer(503 if stopping else 200, "text/plain", "stopping\n" if stopping else "ok\n")
        else:
            self.answer(404, "text/plain", "not here\n")

    do_HEAD = do_GET

    def page(self):
        return PAGE.format(
            greeting=html.escape(GREETING),
            instance=html.escape(f"{socket.gethostname()}:{self.server.server_port}"),
            uptime=round(time.time() - STARTED),
            **{key: html.escape(value) for key, value in self.version.items()},
        )

    def answer(self, status, kind, text):
        body = text.encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Version", self.version["version"])
        if self.server.stopping.is_set():
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, text, *values):
        print(f"{self.address_string()} {text % values}", flush=True)


class Server(ThreadingHTTPServer):
    request_queue_size = 128

    def __init__(self, address):
        super().__init__(address, Handler)
        self.stopping = threading.Event()

    def stop(self, grace):
        """Say "stopping" to probes, answer everybody for `grace` more seconds, then end."""
        self.stopping.set()
        threading.Timer(grace, self.shutdown).start()


def main():
    server = Server((os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8080"))))
    grace = float(os.environ.get("STOP_GRACE", "0.5"))
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, lambda *_: server.stop(grace))
    print(f"version {Handler.version['version']} listens on port {server.server_port}", flush=True)
    server.serve_forever(poll_interval=0.1)
    print("stopped", flush=True)


if __name__ == "__main__":
    sys.exit(main())

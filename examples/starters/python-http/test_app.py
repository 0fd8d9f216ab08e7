"""Starts the service on a free port and asks it."""

import json
import tempfile
import threading
import unittest
import urllib.error
import urllib.request
from pathlib import Path

import app


class ServiceTest(unittest.TestCase):
    def setUp(self):
        self.server = app.Server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def tearDown(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.server.server_port}{path}", timeout=5) as answer:
            return answer.read().decode()

    def test_greets_and_shows_its_version(self):
        page = self.get("/")
        self.assertIn(app.GREETING, page)
        self.assertIn(app.Handler.version["version"], page)

    def test_says_its_version_to_machines(self):
        self.assertEqual(json.loads(self.get("/version"))["greeting"], app.GREETING)

    def test_is_healthy_until_it_stops(self):
        self.assertEqual(self.get("/healthz"), "ok\n")
        self.server.stopping.set()
        with self.assertRaises(urllib.error.HTTPError) as refused:
            self.get("/healthz")
        self.assertEqual(refused.exception.code, 503)
        refused.exception.close()

    def test_knows_nothing_else(self):
        with self.assertRaises(urllib.error.HTTPError) as refused:
            self.get("/secret")
        self.assertEqual(refused.exception.code, 404)
        refused.exception.close()


class VersionTest(unittest.TestCase):
    def test_reads_what_the_build_wrote(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "version.json").write_text('{"version": "7", "commit": "0123456789abcdef"}', encoding="utf-8")
            self.assertEqual(app.read_version(Path(folder)), {"version": "7", "commit": "0123456789"})

    def test_is_dev_without_a_build(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(app.read_version(Path(folder))["version"], "dev")


if __name__ == "__main__":
    unittest.main()

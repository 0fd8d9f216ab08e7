"""What is compared with: the same form posted to the same Jenkins, and its log read, by nothing but `requests`."""

from __future__ import annotations

import re
import threading
import time
import uuid

import requests

STAMP = re.compile(rb"stamp (\d{13})")
FORM = {
    "FDD_REPOSITORY": "http://127.0.0.1:8000/git/sample.git",
    "FDD_REF": "refs/heads/main",
    "FDD_COMMIT": "3f786850e387550fdab836ed7e6dc881de23001b",
    "IMAGE": "",
    "REGISTRY": "",
    "REGISTRY_USER": "",
}


class Bare:
    """One kept connection, as a script would have it."""

    def __init__(self, url: str, user: str, token: str, job: str) -> None:
        self._base = f"{url}job/{job.replace('/', '/job/')}/"
        self._session = requests.Session()
        self._session.auth = (user, token)

    def start(self) -> float:
        """Seconds from the request to Jenkins' 201."""
        form = {"FDD_BUILD_KEY": str(uuid.uuid4()), **FORM}
        began = time.monotonic()
        answer = self._session.post(f"{self._base}buildWithParameters?delay=0sec", data=form, timeout=20)
        taken = time.monotonic() - began
        assert answer.status_code == 201, answer.text
        return taken


class LogReader(threading.Thread):
    """Reads progressiveText until the log ends, `pace` seconds from an answer to the next question. `late`: ms a line."""

    def __init__(self, jenkins: tuple[str, str, str], job: str, number: int, pace: float) -> None:
        super().__init__(daemon=True)
        url, user, token = jenkins
        self._url = f"{url}job/{job.replace('/', '/job/')}/{number}/logText/progressiveText"
        self._login, self._pace = (user, token), pace
        self.late: list[float] = []

    def run(self) -> None:
        start, more = "0", True
        with requests.Session() as session:
            session.auth = self._login
            session.headers["User-Agent"] = "a reader beside the portal"
            while more:
                answer = session.get(f"{self._url}?start={start}", timeout=20)
                now = time.time() * 1000
                self.late += [now - int(found[1]) for found in STAMP.finditer(answer.content)]
                start, more = answer.headers["X-Text-Size"], "X-More-Data" in answer.headers
                time.sleep(self._pace)

"""python-jenkins for jobs and their configuration, on our transport.

Left alone it knows no timeout, follows redirects with our token, asks for a crumb that a token does not need and reads
XML in a guessed encoding. Its exceptions stop here: what is wrong with an answer is judged before it sees it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import jenkins
import requests

from fangduoduo_release.common.errors import Rejected, Unavailable
from fangduoduo_release.common.sentence import S

from .paths import job_url
from .transport import Transport

FOLDER = (
    "<?xml version='1.1' encoding='UTF-8'?><com.cloudbees.hudson.plugins.folder.Folder>"
    "<description>Managed by fangduoduo_release.</description></com.cloudbees.hudson.plugins.folder.Folder>"
)


class _Server(jenkins.Jenkins):  # type: ignore[misc]
    """The SDK's own class; only how it sends is ours."""

    def __init__(self, transport: Transport) -> None:
        config = transport.config
        super().__init__(config.base, config.user, config.token, timeout=config.timeout_s)
        self._transport = transport

    def maybe_add_crumb(self, req: requests.Request) -> None:
        """An API token needs none."""

    def _maybe_add_auth(self) -> None:
        """The transport's session signs every request."""

    def _request(self, req: requests.Request, stream: object = None) -> requests.Response:
        return self._transport.send(req)


class Jobs:
    """Reading and writing jobs by their configuration."""

    def __init__(self, transport: Transport) -> None:
        self._server = _Server(transport)

    def config(self, path: str) -> str | None:
        """The job's config.xml; None when there is no such job."""
        job_url(path)
        try:
            return str(self._server.get_job_config(path))
        except jenkins.NotFoundException:
            return None

    def exists(self, path: str) -> bool:
        job_url(path)
        with _stopped(path):
            return bool(self._server.job_exists(path))

    def create(self, path: str, config_xml: str) -> None:
        job_url(path)
        with _stopped(path):
            self._server.create_job(path, config_xml)

    def change(self, path: str, config_xml: str) -> bool:
        """False when there is no such job."""
        job_url(path)
        try:
            self._server.reconfig_job(path, config_xml)
        except jenkins.NotFoundException:
            return False
        return True


@contextmanager
def _stopped(path: str) -> Iterator[None]:
    """What the SDK itself finds wrong with a plain answer: a job that is there already, another name, no JSON."""
    try:
        yield
    except jenkins.JenkinsException as error:
        sentence = S("Jenkins did not take the job “%(job)s”.", job=path)
        raise Rejected(sentence, evidence=str(error)[:500], code="job_refused") from error
    except (ValueError, KeyError, TypeError) as error:
        sentence = S("The answer of Jenkins about the job “%(job)s” cannot be read.", job=path)
        raise Unavailable(sentence, evidence=str(error)[:500], code="broken_answer") from error

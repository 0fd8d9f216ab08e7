"""The contract, against the simulator and (marked `live`) against the Jenkins that the environment names."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest

from builds.drivers.builder.jenkins import JenkinsBuilder, JenkinsConfig
from builds.drivers.builder.jenkins.paths import job_url
from tests.simulators.jenkins import Jenkins, User

from .contract import JenkinsContract

LIVE = ("FDD_LIVE_JENKINS_URL", "FDD_LIVE_JENKINS_USER", "FDD_LIVE_JENKINS_TOKEN")


@pytest.fixture(scope="module")
def simulated() -> Iterator[Jenkins]:
    with Jenkins(user="portal", prefix="/ci") as jenkins:
        yield jenkins


@pytest.fixture(scope="module")
def real() -> Iterator[JenkinsBuilder]:
    url, user, token = (os.environ.get(name, "") for name in LIVE)
    config = JenkinsConfig(url, user, token, folder=f"fdd-contract-{uuid.uuid4().hex[:8]}")
    made = JenkinsBuilder(config)
    yield made
    made._http.ask("POST", f"{job_url(config.folder)}/doDelete", form={}, accept=(302, 404))


class TestSimulated(JenkinsContract):
    @pytest.fixture
    def builder(self, simulated: Jenkins) -> JenkinsBuilder:
        return JenkinsBuilder(JenkinsConfig(simulated.url, simulated.user, simulated.token, timeout_s=60))


class TestLeastPermissions(JenkinsContract):
    """The user that the README asks for: no administrator. It deletes too, as the tests must and the portal never does."""

    PERMISSIONS = frozenset({"Overall/Read", "Job/Read", "Job/Create", "Job/Configure", "Job/Build", "Job/Cancel"})

    @pytest.fixture
    def builder(self, simulated: Jenkins) -> JenkinsBuilder:
        user = User("plain", "11ffee", permissions=self.PERMISSIONS | {"Job/Delete", "Run/Delete"})
        simulated.doors.add(user)
        return JenkinsBuilder(JenkinsConfig(simulated.url, user.name, user.token, folder="least", timeout_s=60))


@pytest.mark.live
@pytest.mark.skipif(not all(os.environ.get(name) for name in LIVE), reason=f"needs {', '.join(LIVE)}")
class TestLive(JenkinsContract):
    """In a folder of its own, deleted at the end. `FDD_LIVE_SEEN_AS`: how that Jenkins reaches this machine."""

    seen_as = os.environ.get("FDD_LIVE_SEEN_AS", "127.0.0.1")

    @pytest.fixture
    def builder(self, real: JenkinsBuilder) -> JenkinsBuilder:
        return real

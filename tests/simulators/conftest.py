"""A simulated Jenkins, Gerrit or Kubernetes for each test, and somebody who asks it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import requests

from tests.simulators.gerrit.fixtures import gerrit_rig
from tests.simulators.gerrit_ground import Asker
from tests.simulators.gerrit_rig import USER, Rig
from tests.simulators.jenkins import Jenkins
from tests.simulators.jenkins.fixtures import jenkins
from tests.simulators.jenkins_ground import Person
from tests.simulators.kubernetes.fixtures import cluster
from tests.simulators.kubernetes_ground import SPACE, Caller
from tests.simulators.kubernetes_rig import Rig as Cluster

__all__ = ["cluster", "gerrit_rig", "jenkins"]


@pytest.fixture
def person(jenkins: Jenkins) -> Iterator[Person]:
    with requests.Session() as session:
        session.auth = (jenkins.user, jenkins.token)
        yield Person(jenkins, session)


@pytest.fixture
def asker(gerrit_rig: Rig) -> Iterator[Asker]:
    """With the project team/app."""
    gerrit_rig.gerrit.create_project("team/app")
    with httpx.Client(base_url=f"{gerrit_rig.url}a/", auth=(USER, gerrit_rig.password), timeout=60) as client:
        yield Asker(gerrit_rig, client)


@pytest.fixture
def caller(cluster: Cluster) -> Iterator[Caller]:
    """The administrator, and a namespace `shop-test`."""
    cluster.namespace(SPACE)
    with Caller(cluster) as caller:
        yield caller

"""A simulated Jenkins for each test, and somebody who asks it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tests.simulators.jenkins import Jenkins
from tests.simulators.jenkins.fixtures import jenkins
from tests.simulators.jenkins_ground import Person

__all__ = ["jenkins"]


@pytest.fixture
def person(jenkins: Jenkins) -> Iterator[Person]:
    with requests.Session() as session:
        session.auth = (jenkins.user, jenkins.token)
        yield Person(jenkins, session)

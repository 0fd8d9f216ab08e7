"""A canned Jenkins on a real socket for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from builds.drivers.builder.jenkins import JenkinsBuilder

from .canned import Canned


@pytest.fixture
def jenkins() -> Iterator[Canned]:
    with Canned().serving() as canned:
        yield canned


@pytest.fixture
def builder(jenkins: Canned) -> JenkinsBuilder:
    return jenkins.builder()

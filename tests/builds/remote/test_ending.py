"""How a build elsewhere ends here: version and final state together, and nothing by an engine that lost its claim."""

from __future__ import annotations

import pytest

from builds.models import Build, BuildLog, RemoteBuild, Version
from builds.remote.advance import _end
from builds.remote.results import Made
from fangduoduo_release.common import runs
from fangduoduo_release.common.runs import LostClaim
from tests import world

from .conftest import claimed, placed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def held(build: Build) -> Build:
    placed(build, queue_id=1, number=1)
    found = claimed(build)
    runs.transition(found, "running")
    return found


def made() -> Made:
    return Made({"notes": "hi"}, world.archive({"a.txt": b"x"}), ("", ""))


def test_a_success_leaves_its_version_with_its_state(held: Build) -> None:
    assert _end(held, "succeeded", None, made=made()) is None
    assert Build.objects.get(pk=held.pk).state == "succeeded"
    assert Version.objects.get(build=held).notes == "hi"
    assert RemoteBuild.objects.get(pk=held.pk).ended
    assert BuildLog.objects.get(build=held).complete


def test_an_engine_that_lost_its_claim_leaves_nothing(held: Build) -> None:
    Build.objects.filter(pk=held.pk).update(fence=held.fence + 1)
    with pytest.raises(LostClaim):
        _end(held, "succeeded", None, made=made())
    assert Build.objects.get(pk=held.pk).state == "running"
    assert not Version.objects.exists()
    assert not RemoteBuild.objects.get(pk=held.pk).ended
    assert not BuildLog.objects.filter(build=held, complete=True).exists()


def test_what_ends_a_build_is_one_transaction(held: Build) -> None:
    """A version that cannot be stored takes the state back with it."""
    broken = Made({"notes": "hi"}, ("a" * 64, -1), (None, ""))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        _end(held, "succeeded", None, made=broken)
    assert Build.objects.get(pk=held.pk).state == "running"
    assert not Version.objects.exists()

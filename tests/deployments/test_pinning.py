"""What a deployment's pins say to those after it, and that people always see the five and nothing of our own notes."""

from __future__ import annotations

from typing import Any

import pytest

from deployments import configuring, pinning
from deployments.models import Deployment, Service
from deployments.plans import Choice, pins_of
from fangduoduo_release.common.errors import Rejected
from projects import specs
from projects.models import Project
from tests import world

FIVE = {"digest", "config", "manifest_sha256", "pipeline_revision", "traffic"}
PLAIN = {
    "digest": "sha256:aa",
    "config": None,
    "manifest_sha256": "",
    "pipeline_revision": 3,
    "traffic": {"stable": 100},
}


@pytest.mark.parametrize("ours", sorted(pinning.OURS))
def test_what_we_note_for_ourselves_is_not_shown(ours: str) -> None:
    assert pinning.shown({**PLAIN, ours: True}) == PLAIN


def test_pins_that_are_shown_stay_as_they_are_stored() -> None:
    stored = {**PLAIN, "held": "x"}
    pinning.shown(stored)["digest"] = "other"
    assert stored == {**PLAIN, "held": "x"}


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["local", "kubernetes"])
@pytest.mark.parametrize("by_digest", [True, False], ids=["by-digest", "by-tag"])
def test_whatever_is_chosen_the_five_are_pinned(kind: str, by_digest: bool) -> None:
    version = world.version(world.bare_project(), image="registry.example/shop:1")
    for action in Deployment.Action.values:
        chosen = None if action == "remove" else version
        pins = pins_of(Choice(action, chosen, None, 1, 0, digest="sha256:bb", by_digest=by_digest), kind)
        assert set(pinning.shown(pins)) == FIVE
        assert pins["traffic"] == {"stable": 100, "canary": 0}
        assert (pins["digest"] == "") is (chosen is None)


@pytest.mark.django_db
def test_what_a_version_knows_of_itself_goes_before_what_its_tag_once_meant() -> None:
    project, known = world.bare_project(), f"sha256:{'a' * 64}"
    pinned = world.version(project, image="registry.example/shop:1", digest=known)
    tagged = world.version(project, image="registry.example/shop:2")
    found = [
        pins_of(Choice("deploy", one, None, 1, 0, digest="sha256:bb"), "kubernetes")["digest"]
        for one in (pinned, tagged)
    ]
    assert found == [known, "sha256:bb"]


@pytest.mark.parametrize(
    ("pins", "scaled", "anew"),
    [
        ({}, False, False),
        ({"pullable": True}, False, True),
        ({"by_digest": True}, True, True),
        ({"by_digest": True, "pullable": True}, True, True),
        ({"pullable": False, "by_digest": False}, False, False),
    ],
    ids=["nothing", "pullable", "by-digest", "both", "neither"],
)
def test_what_only_scales_leaves_running_instances_as_they_were_started(
    pins: dict[str, Any], scaled: bool, anew: bool
) -> None:
    assert pinning.by_digest(pins, anew=False) is scaled
    assert pinning.by_digest(pins, anew=True) is anew


@pytest.mark.parametrize(
    ("pins", "digest"),
    [({"digest": "sha256:aa"}, ""), ({"digest": "sha256:aa", "by_digest": True}, "sha256:aa")],
    ids=["by-tag", "by-digest"],
)
def test_an_image_is_started_by_its_digest_only_where_that_is_pinned(pins: dict[str, Any], digest: str) -> None:
    assert pinning.digest_of(Deployment(pins=pins)) == digest


def test_a_service_without_a_deployment_has_no_pins() -> None:
    assert pinning.of_last(Service()) == {}
    assert pinning.config_now(Service()) is None


def test_the_configuration_that_counts_is_the_services_and_else_its_last_deployments() -> None:
    own, earlier = {"source": "database", "key": "a"}, {"source": "portal", "key": "spec"}
    last = Deployment(pins={"config": earlier})
    assert pinning.config_now(Service(config=own, last_deployment=last)) == own
    assert pinning.config_now(Service(last_deployment=last)) == earlier
    assert pinning.config_now(Service(last_deployment=Deployment(pins={}))) is None


# --- which spec revision a pin names ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("pin", "revision"),
    [
        (None, None),
        ({}, None),
        ({"source": "portal", "key": "spec", "revision": 3, "sha256": ""}, 3),
        ({"source": "portal", "revision": "12"}, 12),
        ({"source": "kv", "key": "a", "revision": "99", "spec": {"revision": 4}}, 4),
        ({"source": "kv", "key": "a", "revision": "99", "spec": {}}, None),
        ({"source": "kv", "key": "a", "revision": "7a3f"}, None),
        ({"source": "portal", "revision": -1}, None),
        ({"source": "portal", "revision": None}, None),
    ],
    ids=["null", "empty", "portal", "text", "source", "source-silent", "opaque", "negative", "none"],
)
def test_which_revision_of_the_spec_a_pin_names(pin: dict[str, Any] | None, revision: int | None) -> None:
    assert configuring.spec_of(pin) == revision


def test_a_pin_of_the_spec_alone_names_no_texts() -> None:
    assert configuring.pinned({"source": "portal", "key": "spec", "revision": 1}) is None
    assert configuring.pinned(None) is None
    found = configuring.pinned({"source": "kv", "key": "shop/a.yaml", "revision": "5", "sha256": "ab"})
    assert found is not None
    assert (found.source, found.key, found.revision, found.files) == ("kv", "shop/a.yaml", "5", ())


@pytest.mark.django_db
def test_a_spec_that_is_bound_to_nothing_pins_its_own_revision() -> None:
    project: Project = world.bare_project()
    spec = specs.store(project.created_by, project, {"command": ["./start"], "config": {}})
    pin = configuring.resolve(Service(project=project), spec)
    assert pin == {"source": "portal", "key": "spec", "revision": spec.number, "sha256": spec.sha256}
    assert configuring.spec_of(pin) == spec.number


@pytest.mark.django_db
def test_texts_without_a_pin_are_none_and_a_pinned_text_that_is_gone_is_refused() -> None:
    project = world.bare_project()
    service, version = Service(project=project, machine=world.machine()), world.version(project)
    assert configuring.texts(None, service, version, replicas=1, digest="") == ("", ())
    gone = {"source": "kv", "key": "shop/a.yaml", "revision": "5", "sha256": "0" * 64}
    with pytest.raises(Rejected):
        configuring.texts(gone, service, version, replicas=1, digest="")

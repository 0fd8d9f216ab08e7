"""A spec is kept revision by revision: the same content is no revision, secrets stay where they were, and no value is readable."""

from __future__ import annotations

from typing import Any

import pytest

from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Denied, Invalid
from projects import configuration, specs
from projects.models import Project, SpecRevision
from tests import world

pytestmark = pytest.mark.django_db
PLAIN = {"command": ["./start"], "replicas": 2}


@pytest.fixture
def shop() -> Project:
    return world.bare_project(world.person("ann"), "shop")


def store(project: Project, **data: Any) -> SpecRevision:
    return specs.store(SYSTEM, project, {**PLAIN, **data})


def test_revisions_count_up_within_their_project(shop: Project) -> None:
    other = world.bare_project()
    assert [store(shop, replicas=n).number for n in (1, 2, 3)] == [1, 2, 3]
    assert store(other).number == 1
    newest = specs.latest(shop)
    assert newest is not None
    assert newest.number == 3
    assert specs.latest(world.bare_project()) is None


def test_the_same_again_is_the_same_revision_in_whatever_order_it_is_written(shop: Project) -> None:
    first = store(shop, env={"A": "1", "B": "2"}, secrets={"KEY": "v"})
    assert specs.store(SYSTEM, shop, {"env": {"B": "2", "A": "1"}, "replicas": 2, "command": ["./start"]}) == first
    assert store(shop, env={"A": "1", "B": "2"}, secrets={"KEY": "v"}) == first
    assert shop.spec_revisions.count() == 1


def test_going_back_to_what_it_was_is_a_revision_of_its_own(shop: Project) -> None:
    """What counts is the newest: the history tells that it was something else in between."""
    first, _, third = store(shop, replicas=1), store(shop, replicas=2), store(shop, replicas=1)
    assert (third.number, third.sha256) == (3, first.sha256)


def test_secrets_that_are_not_named_stay_and_null_takes_one_away(shop: Project) -> None:
    store(shop, secrets={"A": "1", "B": "2"})
    assert store(shop, replicas=3).secrets == {"A": "1", "B": "2"}
    assert store(shop, secrets={"A": "new", "B": None, "NEVER": None}).secrets == {"A": "new"}
    assert store(shop, secrets=None).secrets == {"A": "new"}


def test_an_earlier_revision_keeps_its_secrets(shop: Project) -> None:
    """A rollback starts with the values of then."""
    first = store(shop, secrets={"A": "then"})
    store(shop, secrets={"A": "now"})
    first.refresh_from_db()
    assert specs.service_spec(first).secrets == {"A": "then"}


def test_a_new_value_is_a_new_revision_though_nothing_else_changed(shop: Project) -> None:
    first, second = store(shop, secrets={"A": "1"}), store(shop, secrets={"A": "2"})
    assert (second.number, first.sha256 == second.sha256) == (2, False)
    assert first.spec == second.spec == PLAIN


@pytest.mark.parametrize("given", ["A=1", ["A"], 7, True], ids=["text", "list", "number", "yes"])
def test_secrets_are_names_with_values(shop: Project, given: Any) -> None:
    with pytest.raises(Invalid) as error:
        store(shop, secrets=given)
    assert str(error.value) == "“secrets” must map names to text."
    assert set(error.value.fields) == {"secrets"}


@pytest.mark.parametrize(
    "secrets", [{"A": 1}, {"A": ["x"]}, {"a-b": "x"}, {"PORT": "1"}, {"FDD_X": "1"}, {"A": "\0"}], ids=str
)
def test_a_secret_that_no_process_can_be_given_is_refused_and_nothing_is_kept(shop: Project, secrets: Any) -> None:
    first = store(shop)
    with pytest.raises(Invalid):
        store(shop, secrets=secrets)
    assert specs.latest(shop) == first


def test_every_broken_field_is_named_at_once(shop: Project) -> None:
    with pytest.raises(Invalid) as error:
        store(shop, replicas=1000, port=0, env={"1": "x"}, surprise=True)
    assert set(error.value.fields) == {"replicas", "port", "env", "surprise"}


# --- the fingerprint -------------------------------------------------------------------------------------------------
def test_the_hash_is_of_content_and_not_of_order() -> None:
    assert specs.fingerprint({"a": 1, "b": 2}, {"X": "1", "Y": "2"}) == specs.fingerprint(
        {"b": 2, "a": 1}, {"Y": "2", "X": "1"}
    )


@pytest.mark.parametrize(
    ("plain", "secrets"),
    [({"a": 2}, {"X": "1"}), ({"a": 1}, {"X": "2"}), ({"a": 1}, {"Y": "1"}), ({"a": 1}, {}), ({"a": "1"}, {"X": "1"})],
    ids=["value", "secret", "name", "no-secret", "kind"],
)
def test_whatever_differs_makes_another_hash(plain: dict[str, Any], secrets: dict[str, str]) -> None:
    assert specs.fingerprint(plain, secrets) != specs.fingerprint({"a": 1}, {"X": "1"})


def test_a_plain_variable_and_a_secret_of_one_value_are_not_the_same() -> None:
    assert specs.fingerprint({"env": {"A": "1"}}, {}) != specs.fingerprint({"env": {}}, {"A": "1"})


# --- what begins it --------------------------------------------------------------------------------------------------
def test_every_starter_begins_with_a_spec_that_is_taken(shop: Project, settings: Any) -> None:
    names = [path.name.removesuffix(".spec.json") for path in settings.STARTERS_ROOT.glob("*.spec.json")]
    assert names
    for name in [*names, "no-such-starter"]:
        specs.store(SYSTEM, world.bare_project(), specs.starter_spec(name))


def test_a_plain_spec_is_nobodys_to_change() -> None:
    specs.starter_spec("no-such-starter")["replicas"] = 99
    assert specs.EMPTY["replicas"] == 1


# --- whose keys ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("key", "own"),
    [
        ("shop/a.yaml", True),
        ("shop/", True),
        ("shop", False),
        ("shop2/a", False),
        ("other/shop/a", False),
        ("Shop/a", False),
    ],
)
def test_a_projects_own_keys_begin_with_its_name_and_a_stroke(shop: Project, key: str, own: bool) -> None:
    assert configuration.is_own(shop, key) is own


def test_the_key_of_another_is_refused_with_whose_ones_own_are(shop: Project) -> None:
    with pytest.raises(Denied) as error:
        configuration.require_own(shop.created_by, shop, "shop2/a.yaml")
    assert str(error.value) == "The keys of shop begin with “shop/”."
    assert (error.value.rule, error.value.granted_by) == ("own_keys", ["ops"])
    configuration.require_own(world.ops(), shop, "shop2/a.yaml")
    configuration.require_own(shop.created_by, shop, "shop/a.yaml")


@pytest.mark.parametrize("key", ["shop/../other/a", "/shop/a", "shop//a", "shop/a\n", "", "shop/" + "a" * 1000])
def test_what_is_no_key_is_refused_for_ops_too(shop: Project, key: str) -> None:
    with pytest.raises(Invalid):
        configuration.require_own(world.ops(), shop, key)


def test_only_what_is_called_yaml_has_to_be_some() -> None:
    configuration.judge("shop/notes.txt", "a: [")
    configuration.judge("shop/a.yaml", "replicas: ${REPLICAS}\nimage: ${IMAGE}\n")
    for name in ("shop/a.yaml", "shop/a.yml"):
        with pytest.raises(Invalid):
            configuration.judge(name, "a: [")

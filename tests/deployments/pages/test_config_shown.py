"""Pins of configuration in words: beside what runs, with diffs, and without the values of secrets."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from clusters.config_store import keep_texts
from clusters.configs import source_named
from clusters.drivers.config.base import sha256_of
from clusters.models import ConfigSeen
from deployments.config_shown import changed_since, readable, shown
from deployments.models import Service
from fangduoduo_release.common.models import Connection

pytestmark = pytest.mark.django_db
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: %s}\n"


def pin(base: str = "", revision: str = "1", source: str = "database", spec: int = 1, **files: str) -> dict[str, Any]:
    keep_texts([base, *files.values()])
    return {
        "source": source, "key": "shop/base.yaml" if base else "", "revision": revision if base else "",
        "sha256": sha256_of(base) if base else "",
        "files": [
            {"path": f"etc/{name}", "key": f"shop/{name}", "revision": revision, "sha256": sha256_of(text)}
            for name, text in files.items()
        ],
        "spec": {"revision": spec, "sha256": "e" * 64},
    }  # fmt: skip


def test_nothing_pinned_is_nothing() -> None:
    assert shown(None) is None
    assert shown({}) is None


def test_the_portals_own_spec_names_its_revision() -> None:
    found = shown(
        {"source": "portal", "key": "spec", "revision": 7, "sha256": "f" * 64}, {"source": "portal", "revision": 6}
    )
    assert found is not None
    assert (found.source, found.spec, found.sha256, found.texts, found.was_spec) == ("", 7, "f" * 64, (), 6)


def test_each_text_says_what_became_of_it() -> None:
    runs = pin("a: 1\n", "1", same="s", changed="x\n", gone="g")
    found = shown(pin("a: 2\n", "2", same="s", changed="y\n", new="n"), runs)
    assert found is not None
    assert found.changed
    assert {one.path: (one.change, one.was, one.revision) for one in found.texts} == {
        "": ("changed", "1", "2"),
        "etc/same": ("", "", "2"),
        "etc/changed": ("changed", "1", "2"),
        "etc/gone": ("gone", "1", ""),
        "etc/new": ("new", "", "2"),
    }
    diffs = {one.path: one.diff for one in found.texts}
    assert "-a: 1" in diffs[""]
    assert "+a: 2" in diffs[""]
    assert diffs["etc/same"] == ""


def test_without_anything_that_runs_nothing_is_called_changed() -> None:
    found = shown(pin("a: 1\n", x="x"))
    assert found is not None
    assert not found.changed
    assert [one.path for one in found.texts] == ["", "etc/x"]


def test_a_text_that_is_kept_no_more_breaks_no_page() -> None:
    before = pin("a: 1\n")
    before["sha256"] = "0" * 64
    found = shown(pin("a: 2\n", "2"), before)
    assert found is not None
    assert found.texts[0].change == "changed"


class TestSecrets:
    def test_their_values_are_in_no_diff(self) -> None:
        found = shown(pin(SECRET % "hunter3", "2"), pin(SECRET % "hunter2", "1"))
        assert found is not None
        assert found.texts[0].change == "changed"
        assert "hunter" not in found.texts[0].diff

    def test_nor_where_they_lie_in_a_list(self) -> None:
        text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: s}\n  data: {a: aHVudGVy}\n"
        assert "aHVudGVy" not in readable("", text)
        assert "kind: Secret" in readable("", text)

    def test_a_text_nobody_can_read_shows_nothing(self) -> None:
        assert readable("", "kind: Secret\nstringData: {password: hunter2") == ""

    def test_other_manifests_are_shown_as_they_are_written(self) -> None:
        assert readable("", "# why\nkind: Deployment\n") == "# why\nkind: Deployment\n"
        assert readable("etc/a", "Secret = 1") == "Secret = 1"


class TestChangedSince:
    def service(self, pk: int, config: dict[str, Any] | None) -> Service:
        return Service(pk=pk, config=config)

    def test_both_kinds_of_source_are_asked_at_once(self, django_assert_num_queries: Any) -> None:
        consul = Connection.objects.create(name="consul-bj", kind="consul")
        source_named("database").put("shop/base.yaml", "new", author="ann")
        for key, text in (("shop/base.yaml", "elsewhere"), ("shop/a", "other")):
            ConfigSeen.objects.create(
                connection=consul, key=key, sha256=sha256_of(text), text=text, seen_at=timezone.now()
            )
        services = [
            self.service(1, pin("old")),
            self.service(2, pin("new")),
            self.service(3, pin("elsewhere", source="consul-bj", a="first")),
            self.service(4, None),
            self.service(5, {"source": "portal", "key": "spec", "revision": 1, "sha256": "x"}),
        ]
        with django_assert_num_queries(1):
            assert changed_since(services) == {1: 1, 3: 1}

    def test_nothing_pinned_asks_nothing(self, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(0):
            assert changed_since([self.service(1, None)]) == {}

    def test_only_the_newest_revision_counts_and_a_key_that_is_gone_differs(self) -> None:
        source = source_named("database")
        source.put("shop/base.yaml", "one", author="ann")
        source.put("shop/base.yaml", "two", author="ann")
        assert changed_since([self.service(1, pin("two"))]) == {}
        assert changed_since([self.service(1, pin("one"))]) == {1: 1}

    def test_what_nobody_has_looked_at_is_not_called_changed(self) -> None:
        consul = Connection.objects.create(name="consul-bj", kind="consul")
        ConfigSeen.objects.create(connection=consul, key="shop/base.yaml")
        assert changed_since([self.service(1, pin("x", source="consul-bj"))]) == {}


@pytest.mark.parametrize(
    "kind", ['"Secre\\x74"', '"\\u0053ecret"', '"Sec\\\n    ret"'], ids=["hex", "unicode", "folded"]
)
def test_a_secret_whose_kind_is_written_with_escapes_is_masked_too(kind: str) -> None:
    told = readable("", f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: a}}\nstringData: {{password: hunter2}}\n")
    assert "hunter2" not in told
    assert "kind: Secret" in told


def test_a_manifest_without_secrets_is_shown_as_it_is_written() -> None:
    text = 'kind: ConfigMap # as we like it\ndata: {a: "b"}\n'
    assert readable("", text) == text

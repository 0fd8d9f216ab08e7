"""Lists and watches of the simulated cluster."""

from __future__ import annotations

import pytest

from tests.waiting import until

from .kubernetes_ground import DEPLOYMENT, PODS, SPACE, Caller, deployment

CONFIGS = f"/api/v1/namespaces/{SPACE}/configmaps"


def _config(caller: Caller, name: str, **labels: str) -> None:
    caller.rig.create("ConfigMap", SPACE, {"metadata": {"name": name, "labels": labels}, "data": {}})


def test_a_watch_goes_on_from_where_a_list_ended(caller: Caller) -> None:
    _config(caller, "a")
    listed = caller.get(CONFIGS)
    assert [item["metadata"]["name"] for item in listed["items"]] == ["a"]
    _config(caller, "b")
    caller.rig.delete("configmaps", SPACE, "a")
    with caller.watching(CONFIGS, resourceVersion=listed["metadata"]["resourceVersion"], timeoutSeconds="1") as watched:
        assert watched.ended.wait(60)
    assert [(e["type"], e["object"]["metadata"]["name"]) for e in watched.events] == [("ADDED", "b"), ("DELETED", "a")]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in watched.events]
    assert versions == sorted(versions)
    assert versions[0] > int(listed["metadata"]["resourceVersion"])


def test_a_watch_without_a_version_begins_with_what_there_is(caller: Caller) -> None:
    _config(caller, "a")
    with caller.watching(CONFIGS, resourceVersion="0") as watched:
        watched.said("ADDED", "a")
        _config(caller, "b")
        watched.said("ADDED", "b")


def test_what_leaves_the_selector_is_deleted_for_the_watch(caller: Caller) -> None:
    _config(caller, "a", team="shop")
    with caller.watching(CONFIGS, labelSelector="team=shop") as watched:
        caller.rig.faults.edit("configmaps", SPACE, "a", {"metadata": {"labels": {"team": "pay"}}})
        watched.said("DELETED", "a")
        caller.rig.faults.edit("configmaps", SPACE, "a", {"metadata": {"labels": {"team": "shop"}}})
        watched.said("ADDED", "a")
        caller.rig.faults.edit("configmaps", SPACE, "a", {"data": {"x": "1"}})
        watched.said("MODIFIED", "a")


def test_bookmarks_move_the_version_on(caller: Caller) -> None:
    caller.rig.call(setattr, caller.rig.watching, "bookmark_every", 0.1)
    with caller.watching(allowWatchBookmarks="true") as watched:
        first = watched.said("BOOKMARK")["object"]["metadata"]["resourceVersion"]
        _config(caller, "another-kind")
        until(
            lambda: any(int(e["object"]["metadata"]["resourceVersion"]) > int(first) for e in watched.events), what="it"
        )
        caller.rig.faults.no_bookmarks = True
    with caller.watching(allowWatchBookmarks="true", timeoutSeconds="1") as watched:
        assert watched.ended.wait(60)
    assert watched.events == []


@pytest.mark.parametrize("at_once", [False, True])
def test_a_forgotten_version_is_gone(caller: Caller, at_once: bool) -> None:
    old = str(caller.rig.revision())
    _config(caller, "a")
    caller.rig.faults.compact()
    _config(caller, "b")
    if at_once:
        caller.rig.faults.gone_at_once()
        refused = caller.refused("GET", CONFIGS, params={"watch": "1", "resourceVersion": old})
    else:
        with caller.watching(CONFIGS, resourceVersion=old) as watched:
            assert watched.ended.wait(60)
        (event,) = watched.events
        assert event["type"] == "ERROR"
        refused = event["object"]
    assert (refused["code"], refused["reason"]) == (410, "Expired")
    assert refused["message"].startswith(f"too old resource version: {old} (")


def test_pieces_of_a_list_are_of_one_state(caller: Caller) -> None:
    for number in range(7):
        _config(caller, f"c{number}")
    piece = caller.get(CONFIGS, limit=3)
    names = [item["metadata"]["name"] for item in piece["items"]]
    assert piece["metadata"]["remainingItemCount"] == 4
    caller.rig.delete("configmaps", SPACE, "c5")
    _config(caller, "c9")
    while token := piece["metadata"].get("continue"):
        last = token
        piece = caller.get(CONFIGS, **{"limit": 3, "continue": token})
        names += [item["metadata"]["name"] for item in piece["items"]]
    assert names == [f"c{number}" for number in range(7)]
    caller.rig.faults.compact()
    refused = caller.refused("GET", CONFIGS, params={"limit": 3, "continue": last})
    assert (refused["code"], refused["reason"]) == (410, "Expired")


def test_selectors_by_label_and_field(caller: Caller) -> None:
    for name, team in (("a", "shop"), ("b", "pay"), ("c", "")):
        _config(caller, name, **({"team": team} if team else {}))
    wanted = {
        "team=shop": "a", "team!=shop": "bc", "team in (shop, pay)": "ab", "team": "ab", "!team": "c",
        "team notin (pay)": "ac",
    }  # fmt: skip
    for selector, names in wanted.items():
        found = caller.get(CONFIGS, labelSelector=selector)["items"]
        assert "".join(item["metadata"]["name"] for item in found) == names, selector
    assert len(caller.get(CONFIGS, fieldSelector="metadata.name=b")["items"]) == 1
    assert caller.refused("GET", CONFIGS, params={"fieldSelector": "data.x=1"})["code"] == 400


def test_events_are_found_by_whom_they_concern(caller: Caller) -> None:
    caller.applied(deployment())
    caller.rig.rolled_out(SPACE, "web")
    (pod, *_) = caller.get(PODS, fieldSelector="status.phase=Running")["items"]
    name = pod["metadata"]["name"]
    found = caller.get(f"/api/v1/namespaces/{SPACE}/events", fieldSelector=f"involvedObject.name={name},type=Normal")
    assert [event["reason"] for event in found["items"]] == ["Scheduled", "Pulled", "Created", "Started"]


def test_a_slow_watch_ends_instead_of_growing(caller: Caller) -> None:
    caller.rig.call(setattr, caller.rig.watching, "backlog", 100)
    caller.applied(deployment())
    caller.rig.rolled_out(SPACE, "web")
    with caller.watching() as watched:
        caller.rig.call(_flood, caller, 200)
        assert watched.ended.wait(60)
    assert len(watched.events) <= 100


def _flood(caller: Caller, changes: int) -> None:
    """At once: nothing can be sent in between."""
    store = caller.rig.store
    kind = next(kind for kind in store.tables if kind.plural == "pods")
    stored = next(iter(store.all(kind, SPACE)))
    for _ in range(changes):
        stored = store.put(kind, stored.thaw())


def test_initial_events_are_refused_as_where_the_feature_is_off(caller: Caller) -> None:
    query = {"watch": "1", "sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
    assert caller.refused("GET", PODS, params=query)["code"] == 422


def test_scale_and_selector(caller: Caller) -> None:
    caller.applied(deployment())
    caller.rig.faults.autoscale(SPACE, "web", 4)
    scale = caller.get(f"{DEPLOYMENT}/scale")
    assert (scale["spec"], scale["status"]["selector"]) == ({"replicas": 4}, "app=web")
    caller.rig.rolled_out(SPACE, "web")
    assert len(caller.rig.pods(SPACE)) == 4

"""What callers send is read within limits, and says itself what it is: each refusal with its sentence, each limit at its edge."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from django.test import RequestFactory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusters.drivers.runtime.kubernetes.api import APPLY_PATCH, MERGE_PATCH
from clusters.gateway import bodies, paths
from clusters.gateway.statuses import Refused
from fangduoduo_release.common import safe_yaml

WEB = paths.parse("apis/apps/v1/namespaces/shop/deployments/web")
LIST = paths.parse("apis/apps/v1/namespaces/shop/deployments")
SHAPELESS = "A manifest is an object with apiVersion, kind and metadata."
NOT_A_PATCH = "A patch is an object."
HOW_MANY = 'Say how many: {"spec": {"replicas": 3}}.'


def refused(call: Any, *args: Any) -> tuple[int, str]:
    with pytest.raises(Refused) as refusal:
        call(*args)
    return refusal.value.status, str(refusal.value.sentence)


def manifest(**metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", **metadata}}


def nested(depth: int, *, list_: bool = False) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if list_ else {"a": value}
    return value


# -- bytes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("more", "fits"), [(-1, True), (0, True), (1, False)], ids=["less", "just-so", "a-byte-more"])
@pytest.mark.parametrize("told", [True, False], ids=["size-told", "in-chunks"])
def test_a_body_may_be_a_mebibyte_and_no_byte_more(more: int, fits: bool, told: bool) -> None:
    raw = b"x" * (bodies.MAX_BYTES + more)
    request = RequestFactory().post("/", raw, content_type="application/json")
    if not told:
        del request.META["CONTENT_LENGTH"]
        request._stream.limit = len(raw)  # type: ignore[attr-defined]
        request._stream.remaining = len(raw)  # type: ignore[attr-defined]
    if fits:
        assert bodies.raw_of(request) == raw
    else:
        assert refused(bodies.raw_of, request) == (413, "The body is larger than 1024 KiB.")


def test_a_size_that_is_told_is_believed_before_anything_is_read() -> None:
    request = RequestFactory().post("/", b"{}", content_type="application/json")
    request.META["CONTENT_LENGTH"] = str(bodies.MAX_BYTES + 1)
    assert refused(bodies.raw_of, request)[0] == 413
    assert request.read() == b"{}", "it was not touched"


def test_what_the_framework_finds_too_large_is_too_large(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    request = RequestFactory().post("/", b"x" * 11, content_type="application/json")
    assert refused(bodies.raw_of, request) == (413, "The body is larger than 1024 KiB.")


def test_a_form_that_was_read_already_is_told_what_to_send() -> None:
    request = RequestFactory().post("/", {"a": "b"})
    assert request.POST["a"] == "b"
    assert refused(bodies.raw_of, request) == (415, "Send JSON or YAML with its content type.")


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ("application/json", "application/json"), ("application/json; charset=utf-8", "application/json"),
        ("Application/JSON ;x", "application/json"), ("  application/yaml  ", "application/yaml"), ("", ""), (";", ""),
        (MERGE_PATCH, MERGE_PATCH),
    ],
)  # fmt: skip
def test_the_content_type_is_read_without_its_parameters(told: str, kind: str) -> None:
    request = RequestFactory().post("/", b"{}", content_type=told)
    assert bodies.media_type(request) == kind


# -- data ---------------------------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(json_values)
def test_json_comes_in_as_it_was_sent(value: Any) -> None:
    assert bodies.parsed(json.dumps(value).encode(), bodies.JSON) == value


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=60), st.sampled_from([bodies.JSON, bodies.YAML, APPLY_PATCH, MERGE_PATCH]))
def test_any_bytes_are_data_or_a_400(raw: bytes, kind: str) -> None:
    try:
        bodies.parsed(raw, kind)
    except Refused as refusal:
        status = refusal.status
    else:
        status = 200
    assert status in (200, 400)


@pytest.mark.parametrize("kind", [bodies.YAML, APPLY_PATCH])
def test_what_is_not_utf_8_is_told(kind: str) -> None:
    assert refused(bodies.parsed, b"a: \xff", kind) == (400, "The body is not UTF-8.")


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"{]", b"nul", b"{'a': 1}", b"NaN", b'"\xff"', b'{"a": 1,}', b'{"a": 1} {}'], ids=repr
)
def test_what_is_no_json_is_told(raw: bytes) -> None:
    status, sentence = refused(bodies.parsed, raw, bodies.JSON)
    assert status == 400
    assert sentence.startswith("The body is not valid JSON: ")
    assert len(sentence) < 250


@pytest.mark.parametrize("as_list", [False, True], ids=["objects", "lists"])
def test_json_is_nested_so_deep_and_no_deeper(as_list: bool) -> None:
    deepest = nested(safe_yaml.MAX_DEPTH, list_=as_list)
    assert bodies.parsed(json.dumps(deepest).encode(), bodies.JSON) == deepest
    deeper = json.dumps(nested(safe_yaml.MAX_DEPTH + 1, list_=as_list)).encode()
    assert refused(bodies.parsed, deeper, bodies.JSON) == (400, "The JSON is nested deeper than 50 levels.")


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'], ids=["lists", "objects", "both"])
def test_a_tower_of_brackets_is_a_400(opening: str) -> None:
    assert refused(bodies.parsed, (opening * 100_000).encode(), bodies.JSON)[0] == 400


def test_several_documents_are_not_one() -> None:
    assert refused(bodies.parsed, b"a: 1\n---\nb: 2\n", bodies.YAML)[0] == 400


# -- manifests ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "metadata", [{}, {"namespace": "shop"}, {"namespace": ""}, {"namespace": None}, {"labels": {"a": "b"}}], ids=str
)
def test_a_manifest_for_its_path_is_taken_as_it_is(metadata: dict[str, Any]) -> None:
    given_ = manifest(**metadata)
    assert bodies.require_manifest(given_, WEB) is given_
    assert bodies.require_manifest(given_, LIST) is given_


@pytest.mark.parametrize(
    "value", [None, [], "x", 5, {}, {"metadata": None}, {"metadata": []}, {"metadata": "web"}], ids=repr
)
def test_what_is_no_manifest_is_told(value: Any) -> None:
    assert refused(bodies.require_manifest, value, WEB) == (400, SHAPELESS)


@pytest.mark.parametrize(
    ("changed", "kind", "version"),
    [
        ({"kind": "Service"}, "Service", "apps/v1"), ({"kind": "deployment"}, "deployment", "apps/v1"),
        ({"apiVersion": "apps/v1beta1"}, "Deployment", "apps/v1beta1"), ({"apiVersion": "v1", "kind": "Secret"}, "Secret", "v1"),
        ({"kind": None}, "None", "apps/v1"), ({"kind": "x" * 100}, "x" * 60, "apps/v1"), ({"kind": ["Deployment"]}, "['Deployment']", "apps/v1"),
    ],
    ids=str,
)  # fmt: skip
def test_a_manifest_of_another_kind_than_the_path_is_told_with_both(
    changed: dict[str, Any], kind: str, version: str
) -> None:
    said = f"The body is a “{kind}” of “{version}”, and the path is of “Deployment apps/v1”."
    assert refused(bodies.require_manifest, manifest() | changed, WEB) == (400, said)


@pytest.mark.parametrize("namespace", ["other", "SHOP", "shop ", "kube-system", 5, ["shop"], False, {}], ids=repr)
def test_no_body_goes_to_another_namespace_than_its_path(namespace: Any) -> None:
    said = f"The namespace of the body, “{namespace}”, is not that of the path, “shop”."
    body = manifest(namespace=namespace)
    assert refused(bodies.require_manifest, body, WEB) == (403, said)
    assert refused(bodies.require_patch, {"metadata": {"namespace": namespace}}, MERGE_PATCH, WEB) == (403, said)
    assert refused(bodies.require_scale, {**body, "spec": {"replicas": 1}}, WEB) == (403, said)


@pytest.mark.parametrize("name", ["api", "", "WEB", 5, ["web"]], ids=repr)
def test_no_body_has_another_name_than_its_path(name: Any) -> None:
    said = f"The name of the body, “{name}”, is not that of the path, “web”."
    assert refused(bodies.require_manifest, manifest(name=name), WEB) == (400, said)
    assert bodies.require_manifest(manifest(name=name), LIST), "a path without a name asks for none"


# -- patches ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [MERGE_PATCH, bodies.STRATEGIC_PATCH])
@pytest.mark.parametrize("value", [None, [], [{}], "x", 5, True], ids=repr)
def test_a_patch_that_is_no_object_is_told(kind: str, value: Any) -> None:
    assert refused(bodies.require_patch, value, kind, WEB) == (400, NOT_A_PATCH)


@pytest.mark.parametrize("value", [None, {}, "x", 5, ["x"], [{"op": "add"}, "x"], [None]], ids=repr)
def test_a_json_patch_that_is_no_list_of_operations_is_told(value: Any) -> None:
    assert refused(bodies.require_patch, value, bodies.JSON_PATCH, WEB) == (
        400,
        "A JSON patch is a list of operations.",
    )


@pytest.mark.parametrize("op", ["copy", "move", "ADD", "", None, 5, "x" * 50], ids=repr)
def test_an_operation_that_does_not_say_what_it_brings_is_not_taken(op: Any) -> None:
    value = [{"op": "test", "path": "/spec/replicas", "value": 1}, {"op": op, "path": "/spec", "from": "/metadata"}]
    said = f"The gateway takes add, replace, remove and test in a JSON patch, not “{str(op)[:20]}”."
    assert refused(bodies.require_patch, value, bodies.JSON_PATCH, WEB) == (400, said)


@pytest.mark.parametrize("op", sorted(bodies.OPS))
def test_every_other_operation_passes_as_it_is(op: str) -> None:
    value = [{"op": op, "path": "/spec/replicas", "value": 1}]
    before = copy.deepcopy(value)
    assert bodies.require_patch(value, bodies.JSON_PATCH, WEB) == before


# -- how many -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("replicas", [0, 1, 100, 2**31])
def test_of_a_scale_only_the_number_is_handed_on(replicas: int) -> None:
    body = {
        "kind": "Scale",
        "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "more": 1},
        "status": {"replicas": 9},
    }
    assert bodies.require_scale(body, WEB) == {"spec": {"replicas": replicas}}


@pytest.mark.parametrize(
    "spec", [None, [], "x", {}, *({"replicas": one} for one in (None, -1, 1.0, "3", True, [3]))], ids=repr
)
def test_a_scale_without_a_number_is_told_how_it_is_said(spec: Any) -> None:
    assert refused(bodies.require_scale, {"spec": spec}, WEB) == (400, HOW_MANY)


@pytest.mark.parametrize("value", [None, [], 3, "3"], ids=repr)
def test_a_scale_that_is_no_object_is_told(value: Any) -> None:
    assert refused(bodies.require_scale, value, WEB) == (400, NOT_A_PATCH)

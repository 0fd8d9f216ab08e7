"""What a server writes in another way is the same, and what is really another amount is told: quantities, and drift in general."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusters.drivers.runtime.kubernetes import drift

plainly = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def differ(one: Any, other: Any, kind: str = "limits") -> bool:
    said, there = ({"spec": {"resources": {kind: {"cpu": value}}}} for value in (one, other))
    return drift.differences(said, there) != ()


def decimal(thousandths: int) -> str:
    """The number as people write it: 1500 is “1.5”."""
    whole, rest = divmod(thousandths, 1000)
    return f"{whole}.{rest:03}".rstrip("0").rstrip(".")


# -- quantities ---------------------------------------------------------------------------------------------------------


@plainly
@given(st.integers(0, 10**6))
def test_thousandths_and_decimals_of_a_core_are_the_same_amount(thousandths: int) -> None:
    assert not differ(decimal(thousandths), f"{thousandths}m")
    assert not differ(f"{thousandths}m", decimal(thousandths), "requests")


@pytest.mark.parametrize("thousandths", [9, 13, 18, 26, 36, 43, 51, 103, 1009, 2003])
def test_an_amount_that_no_float_holds_exactly_is_the_same_too(thousandths: int) -> None:
    """A server writes `0.009` as `9m`; told as drift, a service would never be as it was deployed."""
    assert not differ(decimal(thousandths), f"{thousandths}m")


@plainly
@given(st.integers(0, 10**6), st.integers(1, 50))
def test_another_amount_is_told_however_close_it_is(thousandths: int, more: int) -> None:
    assert differ(f"{thousandths}m", f"{thousandths + more}m")
    assert differ(decimal(thousandths), decimal(thousandths + more))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1k", "1000"), ("1M", "1000k"), ("1G", "1000M"), ("1T", "1000G"), ("1P", "1000T"), ("1E", "1000P"),
        ("1Ki", "1024"), ("1Mi", "1024Ki"), ("1Gi", "1024Mi"), ("1Ti", "1024Gi"), ("1Pi", "1024Ti"), ("1Ei", "1024Pi"),
        ("1m", "1000u"), ("1u", "1000n"), ("1", "1000m"), ("0.5Gi", "512Mi"), (".5", "500m"), ("1.", "1"), ("01", "1"),
        ("1.50", "1500m"), (2, "2"), (0.25, "250m"), ("1180591620717411303424", "1024Ei"),
    ],
)  # fmt: skip
def test_every_unit_is_known_in_both_directions(one: Any, other: Any) -> None:
    assert not differ(one, other)
    assert not differ(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1K", "1000"), ("1ki", "1024"), ("1g", "1G"), ("1 Gi", "1Gi"), ("1GiB", "1Gi"), ("0x10", "16"), ("1_000", "1000"),
        ("1m", "1M"), ("1Ki", "1k"), ("1", "1n"), ("", "0"), ("one", "1"), ("9" * 5000, "1"), ("1180591620717411303425", "1024Ei"),
    ],
    ids=lambda text: text[:24] or "nothing",
)  # fmt: skip
def test_what_is_another_amount_or_none_is_a_difference(one: str, other: str) -> None:
    assert differ(one, other)


def test_a_limit_that_was_taken_away_is_told_and_one_of_nothing_is_not() -> None:
    assert differ("100m", None)
    assert not differ(0, None)


@pytest.mark.parametrize(
    "path",
    [("args",), ("metadata", "annotations", "note"), ("data", "limits"), ("resources", "other", "cpu"), ("limits",)],
    ids=".".join,
)
def test_elsewhere_text_is_text(path: tuple[str, ...]) -> None:
    def holding(value: Any) -> dict[str, Any]:
        for key in reversed(path):
            value = {key: value}
        return {"spec": value}

    assert drift.differences(holding("1000m"), holding("1"))


def test_the_size_of_an_empty_folder_is_a_quantity() -> None:
    said, there = (
        {"spec": {"volumes": [{"name": "v", "emptyDir": {"sizeLimit": size}}]}} for size in ("1Gi", "1024Mi")
    )
    assert drift.differences(said, there) == ()


# -- drift of anything ---------------------------------------------------------------------------------------------------

words = st.sampled_from(["name", "image", "port", "type", "ip", "value", "mountPath", "containerPort", "a", "b"])
scalars = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["", "x", "1", "1000m", "a: b"]))
keyed = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("pqrs")}, optional={"image": scalars, "value": scalars}),
    max_size=4, unique_by=lambda one: one["name"],
)  # fmt: skip
trees = st.recursive(
    scalars | keyed,
    lambda inner: (
        st.dictionaries(words, inner, max_size=4) | st.lists(st.dictionaries(words, scalars, max_size=3), max_size=3)
    ),
    max_leaves=20,
)
manifests = st.dictionaries(st.sampled_from(["spec", "data", "metadata"]), trees, max_size=3)


@plainly
@given(manifests)
def test_nothing_has_drifted_from_itself(said: dict[str, Any]) -> None:
    assert drift.differences(said, copy.deepcopy(said)) == ()
    assert drift.differences(said, json.loads(json.dumps(said))) == ()


@plainly
@given(manifests)
def test_what_was_never_said_is_nobody_s_drift(there: dict[str, Any]) -> None:
    assert drift.differences({}, there) == ()


@plainly
@given(manifests, manifests)
def test_anything_is_compared_with_anything_and_neither_is_changed(said: dict[str, Any], there: dict[str, Any]) -> None:
    before = json.dumps([said, there])
    found = drift.differences(said, there)
    assert json.dumps([said, there]) == before
    assert len(drift.sentences("Deployment", "shop", found)) <= drift.MOST + 1


@plainly
@given(keyed.filter(bool), st.randoms(use_true_random=False))
def test_a_list_of_named_things_has_no_order(items: list[dict[str, Any]], dice: Any) -> None:
    there = copy.deepcopy(items)
    dice.shuffle(there)
    assert drift.differences({"spec": {"containers": items}}, {"spec": {"containers": there}}) == ()


@plainly
@given(keyed.filter(bool), st.data())
def test_a_named_thing_that_is_gone_is_told_by_its_name(items: list[dict[str, Any]], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(items))
    there = [one for one in items if one is not gone]
    ((where, then, now),) = drift.differences({"spec": {"containers": items}}, {"spec": {"containers": there}})
    assert (where, then, now) == (f"spec.containers[{gone['name']}]", gone, None)


@pytest.mark.parametrize("args", [["a", "b"], ["a"], []], ids=len)
def test_a_list_of_words_is_one_value(args: list[str]) -> None:
    said = {"spec": {"args": args}}
    assert drift.differences(said, copy.deepcopy(said)) == ()
    ((where, then, now),) = drift.differences(said, {"spec": {"args": [*args, "c"]}})
    assert (where, then, now) == ("spec.args", args, [*args, "c"])


def test_another_word_in_a_service_s_selector_chooses_other_pods_and_is_told() -> None:
    said, there = {"spec": {"selector": {"app": "web"}}}, {"spec": {"selector": {"app": "web", "colour": "green"}}}
    assert drift.differences(said, there) == (("spec.selector.colour", None, "green"),)
    labels = {"metadata": {"labels": {"app": "web"}}}
    assert drift.differences(labels, {"metadata": {"labels": {"app": "web", "colour": "green"}}}) == ()


# -- how it is told ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "told", "last"), [(0, 0, ""), (1, 1, ""), (10, 10, ""), (11, 11, "… and 1 more fields."),
                                                     (500, 11, "… and 490 more fields.")])  # fmt: skip
def test_so_many_fields_are_told_and_the_rest_is_counted(count: int, told: int, last: str) -> None:
    found = [(f"spec.f{number}", 1, 2) for number in range(count)]
    said = [str(one) for one in drift.sentences("Deployment", "shop", found)]
    assert len(said) == told
    assert (said[-1] if last else "") == last


@pytest.mark.parametrize(("length", "cut"), [(80, False), (81, True), (100_000, True)])
def test_a_long_value_is_cut_where_it_is_told(length: int, cut: bool) -> None:
    (sentence,) = drift.sentences("ConfigMap", "shop", [("data.a", "x" * length, None)])
    assert str(sentence).endswith(f"data.a is – instead of {'x' * 79 + '…' if cut else 'x' * length}.")

"""Selectors pick what Kubernetes would pick: compared with a reference that is written the slow, plain way."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusters.gateway import selectors
from clusters.gateway.kinds import KINDS
from clusters.gateway.statuses import Refused

KEYS = ("app", "tier", "weight", "example.com/team", "in", "a_b")
VALUES = ("", "web", "api", "1", "7", "-3", "12.5", "1_0", "v1.2", "in", "True")
Labels = dict[str, str]
Term = tuple[str, Callable[[Labels], bool]]


def refused(text: str) -> str:
    with pytest.raises(Refused) as refusal:
        selectors.labels(text)
    assert refusal.value.status == 400
    return str(refusal.value.sentence)


def refused_field(text: str, *allowed: str) -> str:
    with pytest.raises(Refused) as refusal:
        selectors.fields(text, allowed)
    assert refusal.value.status == 400
    return str(refusal.value.sentence)


def picks(selector: str, labels: Labels) -> bool:
    test = selectors.labels(selector)
    return test is None or test(labels)


# -- the reference: each term with what Kubernetes' documentation says of it --------------------------------------------


def whole(text: str | None) -> int | None:
    """A number as Go reads it: a sign and digits, nothing else."""
    digits = (text or "").removeprefix("-")
    return int(text or "") if digits and all(one in "0123456789" for one in digits) else None


def equal(key: str, sign: str, value: str) -> Term:
    if sign == "!=":
        return f"{key}{sign}{value}", lambda has: key not in has or has[key] != value
    return f"{key}{sign}{value}", lambda has: key in has and has[key] == value


def among(key: str, how: str, values: list[str]) -> Term:
    text = f"{key} {how} ({','.join(values)})"
    if how == "in":
        return text, lambda has: key in has and has[key] in values
    return text, lambda has: key not in has or has[key] not in values


def present(key: str, wanted: bool) -> Term:
    return (key, lambda has: key in has) if wanted else (f"!{key}", lambda has: key not in has)


def compared(key: str, sign: str, limit: int) -> Term:
    def test(has: Labels) -> bool:
        number = whole(has.get(key))
        if number is None:
            return False
        return number > limit if sign == ">" else number < limit

    return f"{key}{sign}{limit}", test


keys = st.sampled_from(KEYS)
written = st.sampled_from([one for one in VALUES if not one.startswith("-")])
terms = st.one_of(
    st.builds(equal, keys, st.sampled_from(["=", "==", "!="]), written),
    st.builds(among, keys, st.sampled_from(["in", "notin"]), st.lists(written, min_size=1, max_size=3)),
    st.builds(present, keys, st.booleans()),
    st.builds(compared, keys, st.sampled_from("<>"), st.integers(0, 10)),
)
objects = st.dictionaries(keys, st.sampled_from(VALUES), max_size=5)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(terms, min_size=1, max_size=4), objects)
def test_a_label_selector_picks_as_the_reference_does(asked: list[Term], has: Labels) -> None:
    text = ",".join(term for term, _ in asked)
    assert picks(text, has) == all(test(has) for _, test in asked), text


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(terms, min_size=1, max_size=4), objects, st.sampled_from(["", " ", "   "]))
def test_spaces_between_terms_mean_nothing(asked: list[Term], has: Labels, space: str) -> None:
    tight = ",".join(term for term, _ in asked)
    loose = space + f"{space},{space}".join(term for term, _ in asked) + space
    assert picks(loose, has) == picks(tight, has)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(terms, min_size=2, max_size=4), objects)
def test_the_order_of_terms_means_nothing(asked: list[Term], has: Labels) -> None:
    texts = [term for term, _ in asked]
    assert picks(",".join(texts), has) == picks(",".join(reversed(texts)), has)


@pytest.mark.parametrize("key", ["tier", "weight", "example.com/team"])
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(written, min_size=1, max_size=3), objects)
def test_in_and_notin_are_each_other_s_opposite(key: str, values: list[str], has: Labels) -> None:
    inside, outside = f"{key} in ({','.join(values)})", f"{key} notin ({','.join(values)})"
    assert picks(inside, has) is not picks(outside, has)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(alphabet="ab1,=!<>() innot\\/._-\n\té", max_size=30), objects)
def test_whatever_is_written_is_a_selector_or_a_400(text: str, has: Labels) -> None:
    with contextlib.suppress(Refused):  # anything else would be a 500
        assert picks(text, has) in (True, False)


# -- one by one ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", " ", "\t\n"], ids=["nothing", "a-space", "a-line"])
def test_nothing_asked_for_is_everything(text: str) -> None:
    assert selectors.labels(text) is None
    assert selectors.fields(text, ()) is None


@pytest.mark.parametrize(
    "text",
    [
        "a=b,", ",a=b", "a=b,,c=d", "a b", "=", "!", "!!a", "a=!b", "a===b", "a=b=c", "a in", "a in (b", "a in b)", "a in (b))",
        "a in ((b))", "a in (b c)", "a in (-b)", "a in(b) c", "a is (b)", "a&b", "a=b;c=d", "-a", "a-", "a=-b", "a=b.", "ä=b", "a=ä",
        "a=b\0", "a='b'", 'a="b"', "a in (b,ä)", "a~b", "(a)",
    ],
)  # fmt: skip
def test_what_is_no_label_selector_says_so(text: str) -> None:
    assert refused(text).endswith("is no label selector")


@pytest.mark.parametrize("value", ["b", "", "1.5", "1_000", "0x10", "1e3"], ids=lambda value: value or "nothing")
@pytest.mark.parametrize("sign", ["<", ">"])
def test_only_a_whole_number_is_greater_or_less(sign: str, value: str) -> None:
    assert refused(f"weight{sign}{value}") == "for “>” and “<” the value of a label selector is a number"


@pytest.mark.parametrize("value", ["1_000", "1e9", "", "much", "12.5", " 7", "٧"], ids=ascii)
def test_a_label_that_is_no_whole_number_is_neither_greater_nor_less(value: str) -> None:
    assert not picks("weight>0", {"weight": value})
    assert not picks("weight<99999", {"weight": value})


@pytest.mark.parametrize(("sign", "picked"), [(">", ["6"]), ("<", ["-1", "4"])])
def test_a_limit_itself_is_neither_greater_nor_less(sign: str, picked: list[str]) -> None:
    assert [one for one in ("-1", "4", "5", "6") if picks(f"weight{sign}5", {"weight": one})] == picked


def test_a_selector_may_be_so_long_and_no_longer() -> None:
    longest = ",".join(["a=b"] * 2000)
    assert len(longest) == selectors.LONGEST - 1
    assert picks(longest, {"a": "b"})
    assert picks(longest + " ", {"a": "b"})
    assert refused(longest + "  ").endswith("is no label selector")


def test_what_is_refused_is_repeated_in_part_only() -> None:
    assert len(refused("?" * 5000)) < 300
    assert len(refused_field("?" * 5000)) < 300
    assert len(refused_field("x" * 5000 + "=1")) < 200


# -- fields -------------------------------------------------------------------------------------------------------------

POD: dict[str, Any] = {
    "metadata": {"name": "web-1", "namespace": "shop"},
    "spec": {"nodeName": "node-1", "unschedulable": True, "odd": "a,b=c"},
    "status": {"replicas": 3, "ready": False, "nothing": None},
}
FIELDS = ("metadata.name", "metadata.namespace", "spec.nodeName", "spec.odd", "spec.unschedulable", "status.ready",
          "status.replicas", "status.nothing", "status.missing", "metadata.name.deeper", "a.b.c")  # fmt: skip


def picks_field(text: str, item: Any = POD) -> bool:
    test = selectors.fields(text, FIELDS)
    return test is None or test(item)


@pytest.mark.parametrize(
    ("text", "picked"),
    [
        ("metadata.name=web-1", True), ("metadata.name==web-1", True), ("metadata.name!=web-1", False),
        ("metadata.name=web", False), ("metadata.name=WEB-1", False), ("metadata.name=", False),
        ("metadata.name=web-1,spec.nodeName=node-1", True), ("metadata.name=web-1,spec.nodeName=node-2", False),
        ("spec.unschedulable=true", True), ("spec.unschedulable=True", False), ("status.ready=false", True),
        ("status.replicas=3", True), ("status.replicas=03", False),
        ("status.missing=", True), ("status.missing!=", False), ("status.nothing=", True), ("status.nothing=None", False),
        ("metadata.name.deeper=", True), ("a.b.c=", True), ("a.b.c!=x", True),
        (r"spec.odd=a\,b\=c", True), (r"spec.odd!=a\,b\=c", False), (" metadata.name = web-1 ", True),
    ],
)  # fmt: skip
def test_a_field_selector_picks_by_the_text_of_the_field(text: str, picked: bool) -> None:
    assert picks_field(text) is picked


@pytest.mark.parametrize(
    "text", ["metadata.name", "metadata.name>a", "=web", "metadata.name=a=b", "metadata.name=a,", ",", "a b=c", "metadata.name in (a)"]
)  # fmt: skip
def test_what_is_no_field_selector_says_so(text: str) -> None:
    assert refused_field(text, *FIELDS).endswith("is no field selector")


@pytest.mark.parametrize("name", ["metadata.labels", "spec", "data.password", "metadata.Name", "METADATA.NAME"])
def test_a_field_that_is_not_offered_cannot_be_asked_for(name: str) -> None:
    assert refused_field(f"{name}=x", *FIELDS) == f"field label not supported: {name}"


def test_no_term_of_a_long_field_selector_is_left_out() -> None:
    """A selector that loses its end would list what its caller has ruled out, wherever it is cut."""
    many = ",".join([*(f"metadata.name!=other-{number:05}" for number in range(400)), "metadata.name!=web-1"])
    assert len(many) > selectors.LONGEST
    for spaces in range(30):
        assert refused_field(" " * spaces + many, *FIELDS).endswith("is no field selector")


@pytest.mark.parametrize(
    "item", [{}, {"metadata": None}, {"metadata": "x"}, {"metadata": ["name"]}, [], "x", None], ids=str
)
def test_an_object_of_any_form_is_looked_at_and_never_trips(item: Any) -> None:
    assert not picks_field("metadata.name=web-1", item)
    assert picks_field("metadata.name!=web-1", item)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.resource.key)
def test_every_field_that_a_kind_offers_can_be_asked_for(kind: Any) -> None:
    for name in kind.fields:
        test = selectors.fields(f"{name}=x", kind.fields)
        assert test is not None
        assert test({}) is False

"""What the settings form shows is what it saves again: who changes one field changes nothing else of the spec."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django import forms
from django.utils.translation import override
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusters.drivers.config.binding import ConfigBinding, FileBinding
from clusters.drivers.runtime.spec import ServiceSpec
from projects.config_forms import BindingForm, TextForm
from projects.forms import SpecForm, read_pairs

# What people type and programs send: quotes, spaces, several lines, other scripts, and what a shell or YAML reads otherwise.
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
WORDS = st.text(alphabet="ab Z0=$'\"\\#{}&;é店\n\t.-", max_size=12)
NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,5}", fullmatch=True).filter(lambda name: name not in {"PORT", "HOST"})
SECONDS = st.floats(1, 600).map(lambda value: round(value, 3)) | st.integers(1, 600)
CHECKS = st.sampled_from([
    {"http": {"path": "/health"}}, {"http": {"path": "/h", "port": 9000}}, {"tcp": {}}, {"tcp": {"port": 7}},
    {"exec": {"command": ["./check", "a b"]}}, {"http": {"path": "/"}, "period_s": 7, "timeout_s": 3},
])  # fmt: skip
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "command": st.lists(WORDS, min_size=1, max_size=4).filter(lambda argv: bool(argv[0].strip())),
        "replicas": st.integers(0, 100),
        "port": st.integers(1, 65535),
        "port_name": st.sampled_from(["http", "grpc"]),
        "env": st.dictionaries(NAMES, WORDS, max_size=4),
        "resources": st.sampled_from([{}, {"memory": "256Mi"}, {"memory": 268435456}, {"cpu": 0.5}]),
        "health_check": st.fixed_dictionaries({}, optional={"readiness": CHECKS, "liveness": CHECKS}),
        "drain_s": SECONDS,
        "stop_grace_s": SECONDS,
        "start_deadline_s": SECONDS,
        "autoscale": st.sampled_from([{"min": 2, "max": 5, "cpu_percent": 70}, {"min": 1, "max": 3}]),
        "ingress": st.sampled_from([{"host": "a.example"}, {"host": "a.example", "path": "/api", "class_name": "nginx", "tls_secret": "t"}]),
        "files_at": st.sampled_from(["/app", "/srv/conf"]),
        "files": st.just([{"path": "conf/a", "content": "1\n2\n"}]),
    },
)  # fmt: skip


def sent(form: forms.Form) -> dict[str, str]:
    """What a browser sends of a form that nobody touched: one line from a text field, `\\r\\n` from an area."""
    found = {}
    for name in form.fields:
        field = form[name]
        shown = field.field.widget.format_value(field.value())
        shown = shown[0] if isinstance(shown, list) else shown  # of a choice
        text = "" if shown is None else str(shown)
        lines = "\r\n" if isinstance(field.field.widget, forms.Textarea) else ""
        found[name] = text.replace("\n", lines)
    return found


def saved_untouched(spec: dict[str, Any]) -> dict[str, Any]:
    form = SpecForm(sent(SpecForm(initial=SpecForm.initial_from(spec))))
    assert form.is_valid(), form.errors
    return form.merged(spec)


def same(spec: dict[str, Any]) -> None:
    before = json.dumps(spec, sort_keys=True)
    assert ServiceSpec.from_json(saved_untouched(spec)) == ServiceSpec.from_json(spec)
    assert json.dumps(spec, sort_keys=True) == before, "the spec that is kept was changed in place"


@quick
@given(spec=SPECS)
def test_saved_untouched_everything_means_what_it_meant(spec: dict[str, Any]) -> None:
    same(spec)


@quick
@given(spec=SPECS)
def test_saved_twice_it_is_no_further_revision(spec: dict[str, Any]) -> None:
    once = saved_untouched(spec)
    assert saved_untouched(once) == once


@pytest.mark.parametrize(
    "spec",
    [
        {"env": {"KEY": "-----BEGIN-----\nabc\n-----END-----\n", "A": "1"}},
        {"env": {"A": "x\nB=1"}},
        {"env": {"A": " x "}},
        {"env": {"A": ""}},
        {"env": {"A": "a=b"}},
        {"command": ["sh", "-c", "a &&\nb"]},
        {"command": ["./start", "", "a b", "'", "${PORT}"]},
        {"health_check": {"readiness": {"http": {"path": "/h", "port": 9000}}}},
        {"health": {"readiness": {"http": {"path": "/h"}}, "liveness": {"tcp": {}}}},
        {"health_check": {"readiness": {"exec": {"command": ["./check"]}}}},
        {"drain_s": 12.34567, "start_deadline_s": 1234.567},
        {"drain_s": 0.00001},
    ],
    ids=["several-lines", "a-line-like-another-variable", "spaces", "empty", "equals", "script", "quotes", "port-of-check",
         "checks-by-their-other-name", "check-by-command", "parts-of-seconds", "hardly-a-moment"],
)  # fmt: skip
def test_nothing_of_it_is_lost(spec: dict[str, Any]) -> None:
    same(spec)


def test_what_a_line_cannot_hold_is_named_and_not_shown() -> None:
    form = SpecForm(initial=SpecForm.initial_from({"env": {"A": "1", "KEY": "a\nb"}}))
    assert form["env"].value() == "A=1"
    with override("en"):
        assert "KEY" in str(form.fields["env"].help_text)
        assert "KEY" not in str(SpecForm(initial=SpecForm.initial_from({"env": {"A": "1"}})).fields["env"].help_text)


def test_what_is_typed_goes_before_what_was_kept() -> None:
    before = {"env": {"A": "1", "KEY": "a\nb"}}
    typed = sent(SpecForm(initial=SpecForm.initial_from(before))) | {"env": "KEY=new"}
    form = SpecForm(typed)
    assert form.is_valid()
    assert form.merged(before)["env"] == {"KEY": "new"}


@pytest.mark.parametrize(
    ("typed", "check"), [("/new", {"http": {"path": "/new", "port": 9000}, "period_s": 7}), ("", None)]
)
def test_a_check_that_is_typed_anew_keeps_its_port_and_its_pace(typed: str, check: Any) -> None:
    before = {"health_check": {"readiness": {"http": {"path": "/h", "port": 9000}, "period_s": 7}}}
    form = SpecForm(sent(SpecForm(initial=SpecForm.initial_from(before))) | {"health_path": typed})
    assert form.is_valid()
    assert form.merged(before)["health_check"].get("readiness") == check


def test_a_path_replaces_a_check_of_another_kind() -> None:
    for other in ({"tcp": {"port": 7}}, {"exec": {"command": ["./check"]}}):
        before = {"health_check": {"readiness": other, "liveness": {"tcp": {}}}}
        form = SpecForm(sent(SpecForm(initial=SpecForm.initial_from(before))) | {"health_path": "/h"})
        assert form.is_valid()
        health = form.merged(before)["health_check"]
        assert health == {"readiness": {"http": {"path": "/h"}}, "liveness": {"tcp": {}}}


# --- secrets ---------------------------------------------------------------------------------------------------------
def test_secrets_are_sent_only_when_some_were_typed_and_never_come_back() -> None:
    typed = sent(SpecForm(initial=SpecForm.initial_from({})))
    form = SpecForm(typed)
    assert form.is_valid()
    assert "secrets" not in form.merged({})
    form = SpecForm({**typed, "secrets": "KEY=planted\r\nOLD=", "replicas": "many"})
    assert not form.is_valid()
    assert "planted" not in form.as_p()
    form = SpecForm({**typed, "secrets": "KEY=planted\r\nOLD="})
    assert form.is_valid()
    assert form.merged({})["secrets"] == {"KEY": "planted", "OLD": None}


# --- lines -----------------------------------------------------------------------------------------------------------
@quick
@given(pairs=st.dictionaries(NAMES, st.text(alphabet="ab=c 1", max_size=6).map(str.strip), max_size=5))
def test_pairs_come_back_from_their_lines(pairs: dict[str, str]) -> None:
    lines = [f"{name}={value}" for name, value in pairs.items()]
    assert read_pairs("\r\n".join(lines)) == read_pairs("\n\n ".join(lines)) == pairs


@pytest.mark.parametrize("line", ["A", "=1", " = 1", "A\nB=1"], ids=["no-equals", "no-name", "only-spaces", "first"])
def test_what_is_no_pair_is_named(line: str) -> None:
    with pytest.raises(forms.ValidationError) as error, override("en"):
        read_pairs(line)
    assert "is not NAME=value." in error.value.messages[0]


# --- what a project is bound to --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "binding",
    [
        ConfigBinding("database", "shop/${MACHINE}.yaml"),
        ConfigBinding("kv", "", (FileBinding("conf/app.yaml", "shop/app.yaml"), FileBinding("a=b", "shop/b"))),
        ConfigBinding("kv", "shop/base.yaml", (FileBinding("a b.txt", "shop/a"),)),
    ],
    ids=["base", "files", "both"],
)
def test_a_binding_that_is_saved_untouched_is_the_same(binding: ConfigBinding) -> None:
    shown = BindingForm(sources=["database", "kv"], binding=binding, slug="shop")
    form = BindingForm(sent(shown), sources=["database", "kv"], binding=None, slug="shop")
    assert form.is_valid(), form.errors
    assert ConfigBinding.from_json(form.binding()) == binding


def test_nothing_bound_stays_nothing_and_a_source_that_is_gone_is_no_choice() -> None:
    shown = BindingForm(sources=["database"], binding=None, slug="shop")
    form = BindingForm(sent(shown), sources=["database"], binding=None, slug="shop")
    assert form.is_valid()
    assert form.binding() is None
    assert not BindingForm({"source": "kv"}, sources=["database"], binding=None, slug="shop").is_valid()


@pytest.mark.parametrize("line", ["conf/app.yaml", "= shop/a", "conf/a =", "="])
def test_what_is_no_path_and_key_is_named(line: str) -> None:
    form = BindingForm(
        {"source": "database", "files": f"ok = shop/ok\r\n{line}"}, sources=["database"], binding=None, slug="s"
    )
    with override("en"):
        assert f"“{line}” is not path = key." in form.errors["files"]


@quick
@given(text=st.text(alphabet="a \n\t#:-é", max_size=40))
def test_a_text_comes_back_to_the_byte_without_a_browsers_line_ends(text: str) -> None:
    form = TextForm({"text": text.replace("\n", "\r\n"), "note": "", "expected": ""})
    assert form.is_valid()
    assert form.cleaned_data["text"] == text

"""What a spec may say of configuration, and what is put in for `${NAMES}`."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.drivers.config.binding import MAX_FILES, ConfigBinding, FileBinding
from clusters.drivers.config.templating import fill, fill_key, names_in
from fangduoduo_release.common import safe_yaml
from fangduoduo_release.common.errors import Invalid

VALUES = {
    "VERSION": "7",
    "IMAGE": "registry.example:5000/team/shop:7-abc@sha256:" + "a" * 64,
    "DIGEST": "sha256:" + "a" * 64,
    "COMMIT": "f" * 40,
    "PROJECT": "shop",
    "MACHINE": "test-a",
    "ENVIRONMENT": "test",
    "NAMESPACE": "shop-test",
    "REPLICAS": "3",
}


def refusals(data: Any) -> list[str]:
    with pytest.raises(Invalid) as told:
        ConfigBinding.from_json(data)
    assert list(told.value.fields) == ["config"]
    return [str(one) for one in told.value.fields["config"]]


# --- bindings --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("nothing", [None, {}])
def test_nothing_is_no_binding(nothing: Any) -> None:
    assert ConfigBinding.from_json(nothing) is None


def test_a_whole_binding_comes_back_as_it_was() -> None:
    data = {
        "source": "consul-prod",
        "key": "shop/${MACHINE}.yaml",
        "files": [{"path": "conf/app.yaml", "key": "shop/app.yaml"}],
    }
    binding = ConfigBinding.from_json(data)
    assert binding == ConfigBinding(
        "consul-prod", "shop/${MACHINE}.yaml", (FileBinding("conf/app.yaml", "shop/app.yaml"),)
    )
    assert binding is not None
    assert binding.as_json() == data
    assert binding.keys(VALUES) == ["shop/test-a.yaml", "shop/app.yaml"]


def test_files_alone_and_a_manifest_alone() -> None:
    files = ConfigBinding.from_json({"source": "database", "files": [{"path": "a.yaml", "key": "shop/a.yaml"}]})
    assert files is not None
    assert (files.key, files.keys({})) == ("", ["shop/a.yaml"])
    base = ConfigBinding.from_json({"source": "database", "key": "shop/base.yaml"})
    assert base is not None
    assert base.as_json() == {"source": "database", "key": "shop/base.yaml"}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("database", "“config” must be an object."),
        ([1], "“config” must be an object."),
        ({"source": "database"}, "Name the key of a base manifest, or files."),
        ({"key": "shop/a.yaml"}, "Name the source: “database”, or a connection of kind “consul”."),
        ({"source": "a b", "key": "shop/a.yaml"}, "Name the source"),
        ({"source": 7, "key": "shop/a.yaml"}, "Name the source"),
        ({"source": "database", "key": "../a"}, "“../a” is no key"),
        ({"source": "database", "key": 7}, "“7” is no key"),
        ({"source": "database", "key": ["a"]}, "is no key"),
        ({"source": "database", "key": "shop/${HOME}.yaml"}, "“shop/${HOME}.yaml” is no key"),
        ({"source": "database", "key": "shop/${VERSION}.yaml"}, "is no key"),
        ({"source": "database", "key": "shop/$${MACHINE}.yaml"}, "is no key"),
        (
            {"source": "database", "key": "shop/a.yaml", "more": 1},
            "There is no field “more” in a project's configuration.",
        ),
        ({"source": "database", "files": {}}, "Name the key of a base manifest, or files."),
        ({"source": "database", "files": "a"}, "“files” must be a list of at most 20 files."),
        ({"source": "database", "files": [1]}, "Each file has a “path” and a “key”, and nothing else."),
        ({"source": "database", "files": [{"path": "a"}]}, "Each file has a “path” and a “key”"),
        ({"source": "database", "files": [{"path": "a", "key": "b", "mode": 1}]}, "and nothing else"),
        ({"source": "database", "files": [{"path": "../a", "key": "b"}]}, "“../a” does not stay inside"),
        ({"source": "database", "files": [{"path": "/etc/passwd", "key": "b"}]}, "does not stay inside"),
        ({"source": "database", "files": [{"path": 7, "key": "b"}]}, "does not stay inside"),
        ({"source": "database", "files": [{"path": "a", "key": "b//c"}]}, "“b//c” is no key"),
        ({"source": "database", "files": [{"path": "a", "key": "b"}] * 2}, "The file “a” is named twice."),
        ({"source": "database", "files": [{"path": f"f{n}", "key": "b"} for n in range(MAX_FILES + 1)]}, "at most 20"),
    ],
)
def test_what_a_binding_may_not_say(data: Any, sentence: str) -> None:
    assert any(sentence in said for said in refusals(data))


def test_every_mistake_is_named_at_once() -> None:
    data = {"source": "", "key": "/", "files": [{"path": "..", "key": "a"}], "x": 1}
    assert len(refusals(data)) == 4


def test_a_key_whose_value_is_missing_or_odd_is_refused_when_it_is_filled() -> None:
    binding = ConfigBinding("database", "shop/${NAMESPACE}/app.yaml")
    with pytest.raises(Invalid, match="is no key"):
        binding.keys({**VALUES, "NAMESPACE": ""})
    with pytest.raises(Invalid, match="no plain word"):
        binding.keys({**VALUES, "NAMESPACE": "a\nb"})
    with pytest.raises(Invalid, match="is no key"):
        binding.keys({**VALUES, "NAMESPACE": "x/../../other"})


# --- templating ------------------------------------------------------------------------------------------------------
def test_every_name_is_replaced() -> None:
    text = "\n".join(f"{name}: ${{{name}}}" for name in VALUES)
    assert fill(text, VALUES) == "\n".join(f"{name}: {value}" for name, value in VALUES.items())
    assert names_in(text) == set(VALUES)
    assert {k: str(v) for k, v in safe_yaml.load_one(fill(text, VALUES)).items()} == VALUES


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("${VERSION}${VERSION}", "77"),
        ("v${VERSION}-${COMMIT}", "v7-" + "f" * 40),
        ("$${VERSION}", "${VERSION}"),
        ("$$${VERSION}", "$${VERSION}"),
        ("$VERSION", "$VERSION"),
        ("${version}", "${version}"),
        ("${ VERSION }", "${ VERSION }"),
        ("${VERSION:-1}", "${VERSION:-1}"),
        ("${HOME} ${JAVA_OPTS}", "${HOME} ${JAVA_OPTS}"),
        ("${${VERSION}}", "${7}"),
        ("${VERSION", "${VERSION"),
        ("{{ .Values.x }} {% raw %}", "{{ .Values.x }} {% raw %}"),
        ("", ""),
    ],
)
def test_what_is_replaced_and_what_stays(text: str, filled: str) -> None:
    assert fill(text, VALUES) == filled


def test_what_is_put_in_is_never_looked_at_again() -> None:
    assert fill("${PROJECT}", {"PROJECT": "shop"}) == "shop"
    with pytest.raises(Invalid):
        fill("${PROJECT}", {"PROJECT": "${VERSION}", "VERSION": "7"})


@pytest.mark.parametrize(
    "value", ["a: b", "a\nb: c", "a #b", "a ", " a", "[a]", "{a}", "'a", '"a', "*a", "&a", "!a", "a,b", "a: ", "a:", "x" * 501,
              "${VERSION}", "-", "", "店"]
)  # fmt: skip
def test_no_value_breaks_out_of_its_place(value: str) -> None:
    if value == "":
        assert fill("a: ${IMAGE}", {"IMAGE": value}) == "a: "
        return
    with pytest.raises(Invalid, match="is no plain word"):
        fill("a: ${IMAGE}", {"IMAGE": value})


def test_keys_know_fewer_names() -> None:
    assert fill_key("${PROJECT}/${MACHINE}/${ENVIRONMENT}/${NAMESPACE}/${VERSION}", VALUES) == (
        "shop/test-a/test/shop-test/${VERSION}"
    )


def test_a_megabyte_of_places_is_filled_at_once() -> None:
    assert len(fill("${VERSION}" * 100_000, VALUES)) == 100_000
    assert fill("${" * 300_000, VALUES) == "${" * 300_000

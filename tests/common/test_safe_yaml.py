"""YAML that somebody gave us: what it becomes, what it may not hold, and that nothing costs more than its length."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.safe_yaml import MAX_BYTES, dump, load_all, load_one

LONG_S = 30.0  # of the processor; usual is one, and what grows with the square of the text takes minutes
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, labels: &labels {app: shop}}
spec:
  replicas: 3
  selector: {matchLabels: *labels}
  template:
    spec:
      containers:
        - name: shop
          args: ["--ratio=0.5", '12:30', 2024-01-01]
          ports: [{containerPort: 8080}]
          env:
            - {name: OCTAL, value: "017"}
"""


def refusal(text: str, read: Callable[[str], Any] = load_all) -> str:
    """The sentence it is refused with, and never after long."""
    began = time.thread_time()
    with pytest.raises(Invalid) as told:
        read(text)
    assert time.thread_time() - began < LONG_S
    assert told.value.code == "bad_yaml"
    json.dumps(told.value.sentence.as_json())
    return str(told.value)


def bomb(levels: int, each: int = 9) -> str:
    """Each level says the one before it several times."""
    lines = [f"a0: &a0 [{','.join(['lol'] * each)}]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * each)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


# --- what it becomes -------------------------------------------------------------------------------------------------
def test_a_manifest_becomes_plain_data() -> None:
    found = load_one(DEPLOYMENT)
    assert json.loads(json.dumps(found)) == found
    assert found["spec"]["selector"]["matchLabels"] == {"app": "shop"}
    container = found["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == ["--ratio=0.5", "12:30", "2024-01-01"]
    assert container["env"] == [{"name": "OCTAL", "value": "017"}]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01T10:00:00Z", "2024-01-01T10:00:00Z"),
        ("12:30", "12:30"),
        ("80:8080", "80:8080"),
        ("1:59:59.5", "1:59:59.5"),
        ("7", 7),
        ("-7", -7),
        ("0x1F", 31),
        ("017", 15),
        ("1_000", 1000),
        ("1.5", 1.5),
        ("256Mi", "256Mi"),
        ("250m", "250m"),
        ("1.2.3", "1.2.3"),
        ("true", True),
        ("no", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("'no'", "no"),
        ("!!str 5", "5"),
        ("店铺", "店铺"),
        ('"\\u5e97"', "店"),
        ("|\n  a\n  b\n", "a\nb\n"),
    ],
)
def test_scalars(text: str, value: Any) -> None:
    found = load_one(f"a: {text}")["a"]
    assert found == value
    assert type(found) is type(value)


def test_documents_that_are_empty_are_left_out() -> None:
    assert load_all("---\na: 1\n---\n# nothing\n---\nb: 2\n...\n") == [{"a": 1}, {"b": 2}]
    assert load_all("") == []
    assert load_all("# only a remark\n") == []


def test_merge_keys_are_merged_and_the_own_value_wins() -> None:
    text = "x: &x {a: 1, b: 2}\nz: &z {c: 3}\ny:\n  <<: [*x, *z]\n  b: 4\n"
    assert load_one(text)["y"] == {"a": 1, "b": 4, "c": 3}


def test_an_anchor_that_is_said_again_in_another_document_means_the_other_one() -> None:
    assert load_all("a: &x 1\nb: *x\n---\na: &x 2\nb: *x\n") == [{"a": 1, "b": 1}, {"a": 2, "b": 2}]
    assert "stands for is not said before" in refusal("a: &x 1\n---\nb: *x\n")


def test_a_byte_order_mark_and_windows_line_ends() -> None:
    assert load_all("\ufeffa: 1\r\nb: 2\r\n") == [{"a": 1, "b": 2}]


def test_one_document_is_one() -> None:
    assert "0 YAML documents where one" in refusal("", load_one)
    assert "2 YAML documents where one" in refusal("a: 1\n---\nb: 2\n", load_one)


# --- what it may not hold --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text",
    [
        'a: !!python/object/apply:os.system ["touch /tmp/planted"]',
        "a: !!python/name:os.system",
        "a: !!python/object/new:subprocess.Popen [[id]]",
        "a: !!binary aGk=",
        "a: !!set {x}",
        "a: !!omap [x: 1]",
        "a: !!pairs [x: 1]",
        "a: !!timestamp 2024-01-01",
        "a: !!int x",
        'a: !!int ""',
        "a: !!bool maybe",
        "a: !!float x",
        "a: !!null x",
        "a: !env HOME",
        "%TAG ! tag:example,2000:\n---\na: !b 1",
        "a: !<tag:example,2000:b> 1",
    ],
)
def test_tags_are_refused(text: str) -> None:
    assert "is not taken" in refusal(text)


@pytest.mark.parametrize(
    ("text", "line", "name"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "a"),
        ('a: 1\n"a": 2\n', 2, "a"),
        ("x:\n  - {k: 1, k: 2}\n", 2, "k"),
        ('1: a\n"1": b\n', 2, "1"),
        ("x: &x {a: 1}\ny:\n  <<: *x\n  b: 1\n  b: 2\n", 5, "b"),
    ],
)
def test_a_key_given_twice_is_refused_where_it_stands(text: str, line: int, name: str) -> None:
    assert refusal(text) == f"This is not valid YAML, line {line}: “{name}” is given twice."


@pytest.mark.parametrize("key", ["1", "1.5", "true", "yes", "~", "? "])
def test_keys_are_text(key: str) -> None:
    assert "is not text; write it in quotes" in refusal(f"x: {{{key}: a}}" if key != "? " else "? \n: a\n")


@pytest.mark.parametrize("text", ["? [a]\n: b", "? {a: b}\n: c"])
def test_a_collection_is_no_key(text: str) -> None:
    assert "unhashable key" in refusal(text)


@pytest.mark.parametrize(
    "number",
    [".inf", "-.inf", ".NaN", "9" * 5000, "0x" + "f" * 5000, "9" * 25, "-" + "9" * 25, "0x_", "1_" + "0" * 5000 + ".0"],
)
def test_numbers_that_are_none(number: str) -> None:
    assert refusal(f"a: {number}") == "The YAML holds a number that is none, or too large."


def test_numbers_of_64_bits_are_numbers() -> None:
    assert load_one(f"a: {2**63}\nb: -{2**63}\n") == {"a": 2**63, "b": -(2**63)}


@pytest.mark.parametrize("text", ["a: \ud800", "\udfff: a"])
def test_half_a_character_is_none(text: str) -> None:
    assert refusal(text) == "The YAML holds characters that are none."


@pytest.mark.parametrize("text", ["a: \0", "a: x\x07", "\x01"])
def test_control_characters_are_refused(text: str) -> None:
    assert "control characters are not allowed" in refusal(text)


@pytest.mark.parametrize("text", ['a: "x\\0y"', '"x\\0y": a', 'a: ["\\x00"]'])
def test_a_nul_that_is_written_out_is_refused(text: str) -> None:
    assert refusal(text) == "The YAML holds a NUL, which no text has."


def test_half_a_character_that_is_written_out_is_refused() -> None:
    assert "invalid Unicode character escape code" in refusal('a: "\\ud800"')


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [1\nb: 2", 2),
        ("a:\tb\n\tc: d", 2),
        ('a: "open', 1),
        ("a: b: c", 1),
        ("a: 1\n  b: 2", 2),
        ("@a", 1),
        ("a: =", 1),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_line(text: str, line: int) -> None:
    assert refusal(text).startswith(f"This is not valid YAML, line {line}: ")


# --- what it may cost ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("levels", [3, 9, 30, 2000])
def test_a_bomb_of_aliases(levels: int) -> None:
    text = bomb(levels)
    if levels == 3:
        assert len(load_one(text)["a2"]) == 9
        return
    assert refusal(text) == "The YAML repeats itself by aliases more often than is allowed."


def test_a_bomb_of_few_aliases_that_stand_for_much() -> None:
    assert "repeats itself" in refusal(f"a: &a [{'x,' * 3000}]\nb: [{','.join(['*a'] * 90)}]")


def test_a_long_text_said_often() -> None:
    assert "repeats itself" in refusal(f'a: &a "{"x" * 100_000}"\nb: [{",".join(["*a"] * 90)}]')
    assert "repeats itself" in refusal("\n".join(f"k{n}: &k{n} v" for n in range(9)) + "\nz: [" + "*k1," * 101 + "]")


def test_a_bomb_of_merges() -> None:
    lines = ["a0: &a0 {k0: 1}"] + [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}], k{n}: 1}}" for n in range(1, 40)]
    assert "repeats itself" in refusal("\n".join(lines))
    wide = "x: &x {" + ",".join(f"k{n}: 1" for n in range(4000)) + "}\n"
    assert "repeats itself" in refusal(wide + "".join(f"y{n}: {{<<: *x}}\n" for n in range(45)))
    assert "repeats itself" in refusal("x: &x {a: 1}\n" + "".join(f"y{n}: {{<<: *x}}\n" for n in range(60)))


@pytest.mark.parametrize(
    "text", ["a: &a [*a]", "&a {b: *a}", "&a {<<: *a, b: 1}", "&a [[[*a]]]", "a: &x 1\nb: &x [*x]"]
)
def test_what_stands_within_itself(text: str) -> None:
    assert "stands within itself" in refusal(text)


@pytest.mark.parametrize(
    "text", ["[" * 50_000, "{" * 50_000, "- " * 50_000, "? " * 50_000, "[{a: " * 20_000, "a: [" * 300]
)
def test_what_is_nested_deeply(text: str) -> None:
    said = refusal(text)
    assert any(words in said for words in ("nested deeper than 50", "maximum nesting depth", "not valid YAML"))


def test_fifty_levels_are_enough_for_anybody() -> None:
    assert load_one("[" * 50 + "]" * 50)
    assert "nested deeper than 50 levels" in refusal("[" * 51 + "]" * 51)


def test_a_text_that_is_too_large() -> None:
    assert refusal("a: " + "x" * MAX_BYTES) == "The YAML is larger than 1024 KiB."
    assert refusal("a: " + "店" * (MAX_BYTES // 3)) == "The YAML is larger than 1024 KiB."


def test_too_many_documents_and_values() -> None:
    assert len(load_all("---\na: 1\n" * 100)) == 100
    assert refusal("---\na: 1\n" * 101) == "The YAML holds more than 100 documents."
    assert refusal("---\n" * 200_000) == "The YAML holds more than 100 documents."
    assert refusal("- a\n" * 250_000) == "The YAML holds more than 200000 values."


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"key{n}: value {n}\n" for n in range(45_000)),
        "".join(f"a{n}: &x{n} 1\n" for n in range(40_000)),
        'a: "' + "x" * 1_000_000 + '"',
        "a: |\n" + " x\n" * 330_000,
        "a: x\n" + " x\n" * 330_000,
        "\n" * 1_000_000,
        "#" * 1_000_000,
    ],
    ids=["pairs", "anchors", "quoted", "block", "plain", "lines", "remark"],
)
def test_a_megabyte_is_read_in_reasonable_time(text: str) -> None:
    assert len(text) <= MAX_BYTES
    began = time.thread_time()
    load_all(text)
    assert time.thread_time() - began < LONG_S


@pytest.mark.parametrize(
    "text",
    ['a: "' + "x" * 1_000_000, "[" + "*a," * 200_000, ":" * 1_000_000, "%" * 1_000_000, "x" * 1_000_000 + ": 1", "[" + "[]," * 300_000],
    ids=["open", "aliases", "colons", "percent", "key", "lists"],
)  # fmt: skip
def test_a_megabyte_of_nonsense_is_refused_in_reasonable_time(text: str) -> None:
    refusal(text)


# --- writing it ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text",
    ["y", "n", "yes", "1e3", "-1E+5", "0o17", "12:30", "2024-01-01", "null", "~", "", "a: b", "-", "*x", "&x", "!x", "%x", "@x",
     "a\nb\n", "a\nb", "\n", " x", "x ", "1_000", "0x1f", "=", "<<", ".5", "+1", "\t", "é", "a\u2028b", "\x85", "#a", "a #b",
     "\ufeff", "店铺", "{", "[", "'", '"', "\\", "|", ">", "${VERSION}", "true"],
)  # fmt: skip
def test_every_text_comes_back_as_it_was(text: str) -> None:
    value = {"k": text, text or "empty": [text, {"deep": text}]}
    assert load_one(dump(value)) == value


@pytest.mark.parametrize("text", ["y", "n", "1e3", "0o17", "12:30", "2024-01-01", "no"])
def test_what_other_readers_take_for_something_else_stands_in_quotes(text: str) -> None:
    assert dump({"a": text}) == f"a: '{text}'\n"


def test_what_is_written_is_sorted_without_aliases_and_lines_stand_below_each_other() -> None:
    shared = {"x": 1}
    assert dump({"b": shared, "a": shared, "c": "1\n2\n"}) == "a:\n  x: 1\nb:\n  x: 1\nc: |\n  1\n  2\n"
    assert dump(load_one(DEPLOYMENT)) == dump(load_one(dump(load_one(DEPLOYMENT))))
    assert "&" not in dump(load_one(DEPLOYMENT))

"""Keys, texts and answers of config sources at their limits, and from whoever means no good: taken, or refused in our words."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusters.drivers.config import base, consul_wire, templating
from clusters.drivers.config.binding import MAX_FILES, ConfigBinding, FileBinding
from clusters.drivers.config.consul_wire import INDEX, ConsulAccess
from fangduoduo_release.common import safe_yaml
from fangduoduo_release.common.errors import AppError, Invalid
from fangduoduo_release.common.exchange import Answer

TOKEN = "b1gs33d0-planted-token"
ACCESS = ConsulAccess("https://consul.example:8501", TOKEN, prefix="team", datacenter="dc1")


def refused(call: Any, *args: Any) -> tuple[str, str]:
    with pytest.raises(AppError) as refusal:
        call(*args)
    told = f"{refusal.value} {refusal.value.sentence.params} {getattr(refusal.value, 'evidence', '')}"
    assert TOKEN not in told
    return refusal.value.code, str(refusal.value.sentence)


# -- keys and texts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    ["", "/", "a/", "/a", "a//b", ".", "..", "a/..", "a/../b", ".hidden", "a/.hidden", "-a", " a", "a\n", "a\0", "a\\b", "a%2fb", "a?b",
     "a#b", "é", "${PROJECT}", "a/${X}", "x" * 301, "/".join(["x"] * 151)],
    ids=lambda key: ascii(key)[:20],
)  # fmt: skip
def test_what_is_no_key_is_no_key_of_any_source(key: str) -> None:
    assert refused(base.check_key, key) == (
        "bad_key",
        f"“{key[:200]}” is no key: plain names with “/” between them are.",
    )


@pytest.mark.parametrize(
    "key", ["a", "A1", "a/b/c.yaml", "a b", "a+b@c_d-e.f", "1", "x" * 300, "a..b"], ids=lambda key: key[:20]
)
def test_plain_names_are_keys(key: str) -> None:
    assert base.check_key(key) == key


@pytest.mark.parametrize("letter", ["x", "é", "店", "\U0001f600"], ids=["one-byte", "two", "three", "four"])
def test_a_text_is_measured_in_bytes_and_may_be_a_mebibyte(letter: str) -> None:
    width = len(letter.encode())
    fits = letter * (base.LARGEST_TEXT // width)
    assert base.check_text("a", fits) == fits
    too_much = ("config_too_large", "The text of “a” is larger than 1024 KiB.")
    assert refused(base.check_text, "a", fits + letter) == too_much
    assert refused(base.decode, "a", (fits + letter).encode()) == too_much


def test_what_is_no_text_says_why() -> None:
    assert refused(base.check_text, "a", "x\0y") == ("not_text", "The text of “a” holds a NUL; it is no text.")
    assert refused(base.check_text, "a", "\ud800") == ("not_text", "The text of “a” holds characters that are none.")
    assert refused(base.decode, "a", b"abc\xff") == ("not_text", "What “a” holds is not text in UTF-8 (byte 3).")
    assert refused(base.decode, "a", b"a\0") == ("not_text", "The text of “a” holds a NUL; it is no text.")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50))
def test_a_text_comes_back_as_it_was_written(text: str) -> None:
    assert base.decode("a", base.check_text("a", text).encode()) == text


# -- what is filled in --------------------------------------------------------------------------------------------------

words = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._/@+-]{0,20}(:[A-Za-z0-9._/@+-]{1,5})?", fullmatch=True)
hostile = st.text(st.sampled_from("a1:-#[]{}&*!|>'\"%@`, \n\t\r\u2028\u0085?~$=<"), max_size=12)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(templating.IN_TEXTS)), words | hostile)
def test_no_value_makes_a_field_that_nobody_wrote(name: str, value: str) -> None:
    try:
        text = templating.fill(f"first: ${{{name}}}\nlist: [x, ${{{name}}}y]\nlast: end\n", {name: value})
    except Invalid:  # refused is as good
        return
    found = safe_yaml.load_one(text)
    assert list(found) == ["first", "list", "last"]
    assert len(found["list"]) == 2
    assert found["last"] == "end"
    assert found["list"][1] == f"{value}y"


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.sampled_from("${}AVERSIONx \n"), max_size=40))
def test_a_text_without_our_names_stays_as_it_is(text: str) -> None:
    if not templating.names_in(text) and "$${" not in text:
        assert templating.fill(text, dict.fromkeys(templating.IN_TEXTS, "v")) == text


@pytest.mark.parametrize("name", sorted(templating.IN_TEXTS - templating.IN_KEYS))
def test_a_key_does_not_depend_on_what_is_deployed(name: str) -> None:
    key = f"shop/${{{name}}}"
    assert templating.fill_key(key, {name: "v"}) == key
    assert refused(base.check_key, key)[0] == "bad_key"


@pytest.mark.parametrize(("length", "fine"), [(500, True), (501, False)])
def test_a_value_may_be_so_long(length: int, fine: bool) -> None:
    if fine:
        assert templating.fill("${VERSION}", {"VERSION": "v" * length}) == "v" * length
    else:
        said = "The value of ${VERSION} is no plain word, so it is not put into a configuration."
        assert refused(templating.fill, "${VERSION}", {"VERSION": "v" * length}) == ("bad_value", said)


# -- bindings -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, MAX_FILES])
@pytest.mark.parametrize("key", ["", "shop/base.yaml"], ids=["files-alone", "with-a-base"])
def test_a_binding_is_read_back_as_it_was_written(count: int, key: str) -> None:
    files = tuple(FileBinding(f"conf/{number}.ini", f"shop/${{MACHINE}}/{number}") for number in range(count))
    binding = ConfigBinding("my_consul-1", key, files)
    assert ConfigBinding.from_json(json.loads(json.dumps(binding.as_json()))) == binding
    keys = binding.keys({"MACHINE": "east"})
    assert keys == ([key] if key else []) + [f"shop/east/{number}" for number in range(count)]


@pytest.mark.parametrize(("length", "fine"), [(1, True), (60, True), (61, False), (0, False)])
def test_a_source_is_called_something_short(length: int, fine: bool) -> None:
    data = {"source": "s" * length, "key": "a"}
    if fine:
        assert ConfigBinding.from_json(data) == ConfigBinding("s" * length, "a")
    else:
        assert refused(ConfigBinding.from_json, data)[0] == "bad_config"


# -- what a Consul answers ----------------------------------------------------------------------------------------------


def row(**changed: Any) -> bytes:
    value = base64.b64encode(b"a: 1\n").decode()
    return json.dumps([{"Key": "team/a", "ModifyIndex": 7, "Value": value, **changed}]).encode()


def read(body: bytes, status: int = 200, *, cut: bool = False, **headers: str) -> Any:
    return consul_wire.document_in(ACCESS, "a", Answer(status, headers, body, cut))


def test_a_key_is_read_from_its_row() -> None:
    found = read(row())
    assert (found.key, found.text, found.revision, found.sha256) == ("a", "a: 1\n", "7", base.sha256_of("a: 1\n"))
    assert read(row(Value=None)).text == "", "Consul has null for an empty value"


def test_only_consul_s_own_word_that_there_is_no_key_is_believed() -> None:
    assert read(b"", 404, **{INDEX: "12"}) is None
    assert refused(read, b"<html>not here</html>", 404)[0] == "not_consul"


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"{}", b"[]", b"[null]", b"[[]]", b"true", b"<html>", b"[" * 100_000, row()[:-1], row(ModifyIndex="7"),
     row(ModifyIndex=None), row(Value=5), row(Value=["x"]), row(Value="not base64!"), row(Value="YQ"), row(Value="é"),
     b"[" + row()[1:-1] + b"," + row()[1:-1] + b"]"],
    ids=lambda body: ascii(body)[:40],
)  # fmt: skip
def test_an_answer_that_no_consul_gives_is_told_as_such(body: bytes) -> None:
    said = "“consul.example:8501” does not answer like a Consul (status 200)."
    assert refused(read, body) == ("not_consul", said)


def test_a_value_that_was_cut_off_is_never_taken_for_the_whole() -> None:
    assert refused(lambda: read(row(), cut=True)) == ("config_too_large", "The text of “a” is larger than 1024 KiB.")


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (403, "Permission denied: lacks permission 'key:write' on \"a\"", "no_permission"), (401, "", "no_permission"),
        (403, "ACL not found", "bad_token"), (429, "", "rate_limited"), (500, "RESOURCE_EXHAUSTED", "rate_limited"),
        (500, "No path to datacenter", "bad_datacenter"), (400, 'Invalid query parameter: "ns"', "no_namespaces"),
        (413, "", "config_too_large"), (500, "No cluster leader", "no_leader"), (500, "oops", "busy"), (503, "", "busy"),
        (408, "", "busy"), (302, "", "redirect"), (418, "tea", "not_consul"), (204, "", "not_consul"),
    ],
)  # fmt: skip
def test_each_refusal_has_its_name_and_never_repeats_the_token(status: int, body: str, code: str) -> None:
    assert refused(read, f"{body} {TOKEN}".encode(), status)[0] == code


@pytest.mark.parametrize("before", [0, 290, 495, 5000])
@pytest.mark.parametrize("status", [200, 204, 400, 403, 418, 500])
def test_who_repeats_our_header_is_not_quoted_with_the_token_in_it(status: int, before: int) -> None:
    """Not even with half of it, where the quotation ends."""
    with pytest.raises(AppError) as refusal:
        read(b"x" * before + f"X-Consul-Token: {TOKEN}\n".encode() * 30, status)
    assert TOKEN[:8] not in getattr(refusal.value, "evidence", "")


def test_a_consul_that_wants_a_token_says_so_to_who_has_none() -> None:
    nobody = ConsulAccess("https://consul.example")
    answer = Answer(403, {}, b"Permission denied")
    assert refused(consul_wire.judge, nobody, answer) == (
        "needs_token",
        "Consul at “consul.example” wants an ACL token.",
    )


def test_a_server_that_speaks_https_is_told_apart_from_one_that_is_no_consul() -> None:
    plain = ConsulAccess("http://consul.example:8501")
    answer = Answer(400, {}, b"Client sent an HTTP request to an HTTPS server.")
    assert refused(consul_wire.judge, plain, answer)[0] == "wants_tls"
    assert refused(consul_wire.judge, ACCESS, answer)[0] == "not_consul"


@pytest.mark.parametrize("body", [b"{}", b"null", b"[1]", b'["a", null]', b"nonsense"], ids=repr)
def test_a_list_of_keys_is_a_list_of_texts(body: bytes) -> None:
    assert refused(consul_wire.names_in, ACCESS, Answer(200, {}, body))[0] == "not_consul"


def test_a_list_that_was_cut_off_is_not_taken_for_all_there_is() -> None:
    answer = Answer(200, {}, b'["team/a"]', cut=True)
    said = "There are too many keys under “team” to be listed."
    assert refused(consul_wire.names_in, ACCESS, answer) == ("too_many_keys", said)
    assert consul_wire.names_in(ACCESS, Answer(404, {INDEX: "3"}, b"")) == []


@pytest.mark.parametrize("key", ["a", "a b/c+d", "a@b"])
def test_an_address_names_the_key_and_its_scope_and_no_secret(key: str) -> None:
    quoted = key.replace(" ", "%20").replace("+", "%2B").replace("@", "%40")
    assert ACCESS.kv(key, consistent="") == f"https://consul.example:8501/v1/kv/team/{quoted}?consistent&dc=dc1"
    assert ACCESS.page(key) == f"https://consul.example:8501/ui/dc1/kv/team/{quoted}/edit"
    assert consul_wire.waiting(ACCESS, key, 0, 60) == f"https://consul.example:8501/v1/kv/team/{quoted}?dc=dc1"
    assert consul_wire.waiting(ACCESS, key, 5, 0.2).endswith("?index=5&wait=1s&dc=dc1"), (
        "no wait of nothing, which would spin"
    )

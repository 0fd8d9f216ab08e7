"""What every config source promises, run on each: the embedded one, Consul's simulator, and a live Consul.

A subclass gives the fixture `source`, and `root`: the folder of keys that belongs to the test.
"""

from __future__ import annotations

import hashlib

import pytest

from clusters.drivers.config.base import LARGEST_TEXT, ConfigSource
from fangduoduo_release.common.errors import Conflict, Invalid, NotFound

TEXT = "kind: Deployment\nmetadata:\n  name: 店铺\n"


class ConfigContract:
    root = "shop"

    def key(self, name: str) -> str:
        return f"{self.root}/{name}"

    def test_what_was_put_is_read_with_its_revision_and_hash(self, source: ConfigSource) -> None:
        put = source.put(self.key("app.yaml"), TEXT, author="dev")
        read = source.read(self.key("app.yaml"))
        assert read == put
        assert read.text == TEXT
        assert read.revision
        assert read.sha256 == hashlib.sha256(TEXT.encode()).hexdigest()

    def test_another_text_is_another_revision_and_the_old_one_can_still_be_read(self, source: ConfigSource) -> None:
        first = source.put(self.key("app.yaml"), "a: 1\n", author="dev")
        second = source.put(self.key("app.yaml"), "a: 2\n", author="ops")
        assert first.revision != second.revision
        assert source.read(self.key("app.yaml"), first.revision).text == "a: 1\n"
        assert source.read(self.key("app.yaml"), second.revision).text == "a: 2\n"

    def test_the_history_names_who_put_what_newest_first(self, source: ConfigSource) -> None:
        first = source.put(self.key("app.yaml"), "a: 1\n", author="dev", note="begin")
        second = source.put(self.key("app.yaml"), "a: 2\n", author="ops", note="twice as much")
        told = [(one.revision, one.sha256, one.author, one.note) for one in source.history(self.key("app.yaml"))]
        assert told == [
            (second.revision, second.sha256, "ops", "twice as much"),
            (first.revision, first.sha256, "dev", "begin"),
        ]

    def test_the_same_text_again_is_the_same_revision(self, source: ConfigSource) -> None:
        first = source.put(self.key("app.yaml"), TEXT, author="dev")
        assert source.put(self.key("app.yaml"), TEXT, author="ops").revision == first.revision

    def test_an_empty_text_is_a_text(self, source: ConfigSource) -> None:
        source.put(self.key("empty.yaml"), "", author="dev")
        assert source.read(self.key("empty.yaml")).text == ""

    def test_keys_are_listed_below_a_prefix_and_no_others(self, source: ConfigSource) -> None:
        for name in ("b.yaml", "a.yaml", "sub/c.yaml"):
            source.put(self.key(name), TEXT, author="dev")
        source.put(f"{self.root}-other/a.yaml", TEXT, author="dev")
        assert list(source.keys(f"{self.root}/")) == [self.key(n) for n in ("a.yaml", "b.yaml", "sub/c.yaml")]
        assert source.keys(self.key("nothing/")) == []

    def test_letters_of_another_size_are_another_key(self, source: ConfigSource) -> None:
        source.put(self.key("App.yaml"), "big\n", author="dev")
        source.put(self.key("app.yaml"), "small\n", author="dev")
        assert source.read(self.key("App.yaml")).text == "big\n"
        assert list(source.keys(self.key("a"))) == [self.key("app.yaml")]

    def test_a_key_that_is_not_there(self, source: ConfigSource) -> None:
        with pytest.raises(NotFound, match=r"There is no configuration “.*/none\.yaml”"):
            source.read(self.key("none.yaml"))
        assert source.history(self.key("none.yaml")) == []

    def test_a_revision_that_never_was(self, source: ConfigSource) -> None:
        source.put(self.key("app.yaml"), TEXT, author="dev")
        for strange in ("999999999", "-1", "x", "1e3", "٣"):
            with pytest.raises(NotFound, match="has no revision"):
                source.read(self.key("app.yaml"), strange)

    def test_a_new_key_is_put_once(self, source: ConfigSource) -> None:
        source.put(self.key("new.yaml"), "a: 1\n", author="dev", expected="")
        with pytest.raises(Conflict):
            source.put(self.key("new.yaml"), "a: 2\n", author="ops", expected="")
        assert source.read(self.key("new.yaml")).text == "a: 1\n"

    def test_of_two_who_began_with_the_same_text_one_is_told(self, source: ConfigSource) -> None:
        base = source.put(self.key("app.yaml"), "a: 1\n", author="dev")
        mine = source.put(self.key("app.yaml"), "a: 2\n", author="dev", expected=base.revision)
        with pytest.raises(Conflict, match=f"it is at revision {mine.revision} now"):
            source.put(self.key("app.yaml"), "a: 3\n", author="ops", expected=base.revision)
        assert source.read(self.key("app.yaml")).text == "a: 2\n"

    def test_a_key_that_was_expected_and_is_gone(self, source: ConfigSource) -> None:
        with pytest.raises(Conflict, match="not there any more"):
            source.put(self.key("gone.yaml"), TEXT, author="dev", expected="7")

    @pytest.mark.parametrize(
        "key",
        ["", "/a", "a/", "a//b", "../a", "a/../b", "a/.b", "a\nb", "a?b", "a#b", "a%2fb", "x" * 301, "ключ", "${X}"],
    )
    def test_strange_keys_are_refused_by_name(self, source: ConfigSource, key: str) -> None:
        with pytest.raises(Invalid, match="is no key"):
            source.read(key)
        with pytest.raises(Invalid, match="is no key"):
            source.put(key, TEXT, author="dev")

    @pytest.mark.parametrize("text", ["a\0b", "\ud800"])
    def test_what_is_no_text_is_refused(self, source: ConfigSource, text: str) -> None:
        with pytest.raises(Invalid) as told:
            source.put(self.key("bad.yaml"), text, author="dev")
        assert told.value.code == "not_text"

    def test_a_text_that_is_too_large_is_refused(self, source: ConfigSource) -> None:
        with pytest.raises(Invalid, match="larger than 1024 KiB"):
            source.put(self.key("large.yaml"), "x" * (LARGEST_TEXT + 1), author="dev")

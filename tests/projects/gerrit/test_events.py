"""Lines of the event stream: what real ones tell, what is ignored, and that no line whatsoever does harm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projects.drivers.source.base import ZERO, ChangeMoved, Moved, News, PatchSet, Person, PushEvent, RepositoryNews
from projects.drivers.source.gerrit.events import Unreadable, parse

RECORDED = Path(__file__).parents[2] / "recordings" / "gerrit" / "stream-events.jsonl.txt"
OLD, NEW = "b0085dbeeac47d0ce566750d93f1b1f865d07cdb", "41d29efb4196d5fd447190d3b8ec26d70b9f8eec"
AT = 1795421933.0
PATCH_SET = PatchSet(
    number=1,
    patch_set=1,
    sha=NEW,
    ref="refs/changes/01/1/1",
    branch="master",
    change_id="I4857e9b43918243af66cc09ff352619595c081c9",
    subject="Add file",
    message="Add file\n\nChange-Id: I4857e9b43918243af66cc09ff352619595c081c9\n",
    author=Person("Administrator", "admin@example.com"),
    actor="admin",
    url="http://127.0.0.1:8082/c/demo/app/+/1",
    kind="REWORK",
    happened_at=AT,
)


def recorded() -> list[tuple[str, str]]:
    title, found = "", []
    for line in RECORDED.read_text().splitlines():
        if line.startswith("#"):
            title = line[2:]
        elif line.strip():
            found.append((title, line))
    return found


def moved(ref: str, old: str, new: str) -> Moved:
    return Moved("demo/app", PushEvent(ref, old, new, actor="admin", happened_at=AT))


TOLD: dict[str, list[News]] = {
    "ref-updated: direct push or submit: branch moved": [moved("refs/heads/master", OLD, NEW)],
    "ref-updated: branch created": [moved("refs/heads/topic", ZERO, NEW)],
    "ref-updated: branch deleted": [moved("refs/heads/topic", NEW, ZERO)],
    "ref-updated: change meta (NoteDb) ref on upload": [],
    "ref-updated: patch set ref on upload": [],
    "ref-updated: tag": [moved("refs/tags/v1", ZERO, NEW)],
    "ref-updated: project config": [],
    "patchset-created": [ChangeMoved("demo/app", PATCH_SET)],
    "project-created": [RepositoryNews("demo/app")],
}


@pytest.mark.parametrize(("title", "line"), recorded())
def test_every_recorded_line_tells_what_it_says(title: str, line: str) -> None:
    if title == "change-merged":
        [news] = parse(line)
        assert isinstance(news, ChangeMoved)
        assert news.patch_set.status == "MERGED"
        return
    assert parse(line) == TOLD[title]
    assert parse(line.encode()) == TOLD[title]


def event(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, "eventCreatedOn": 1795421933, **fields})


def update(ref: str = "refs/heads/main", old: Any = OLD, new: Any = NEW, project: Any = "demo/app") -> dict[str, Any]:
    return {"refName": ref, "oldRev": old, "newRev": new, "project": project}


def change(**fields: Any) -> str:
    text = {"number": 2, "revision": NEW, "ref": "refs/changes/07/107/2"}
    about = {"project": "demo/app", "branch": "main", "number": 107, **fields.pop("change", {})}
    return event(fields.pop("kind", "patchset-created"), patchSet={**text, **fields}, change=about)


class TestMoves:
    def test_one_event_may_tell_of_several_refs(self) -> None:
        line = event(
            "batch-ref-updated",
            submitter={"username": "ann"},
            refUpdates=[update(), update("refs/tags/v1", ZERO), update("refs/changes/01/1/meta"), "nonsense", None],
        )
        told = parse(line)
        assert [one.event.ref for one in told if isinstance(one, Moved)] == ["refs/heads/main", "refs/tags/v1"]
        assert {one.event.actor for one in told if isinstance(one, Moved)} == {"ann"}

    def test_a_batch_may_name_its_project_once(self) -> None:
        line = event("batch-ref-updated", project="demo/app", refUpdates=[update(project=None)])
        assert [one.repository for one in parse(line)] == ["demo/app"]

    @pytest.mark.parametrize(
        "ref",
        ["refs/changes/01/1/1", "refs/meta/config", "refs/users/01/1", "refs/notes/review", "refs/cache-automerge/1",
         "refs/sequences/changes", "refs/draft-comments/01/1/1", "refs/starred-changes/01/1/1", "HEAD", "master", ""],
    )  # fmt: skip
    def test_refs_that_are_no_branch_and_no_tag_are_ignored(self, ref: str) -> None:
        assert parse(event("ref-updated", refUpdate=update(ref))) == []

    def test_a_side_that_is_left_out_is_nothing_at_all(self) -> None:
        [told] = parse(event("ref-updated", refUpdate=update(old=None)))
        assert isinstance(told, Moved)
        assert told.event.created
        [told] = parse(event("ref-updated", refUpdate=update(new=None)))
        assert isinstance(told, Moved)
        assert told.event.deleted

    @pytest.mark.parametrize(
        "one",
        [update(old=NEW), update(old=None, new=None), update(old=ZERO, new=ZERO), update(new="abc"), update(new=7),
         update(project=""), update(project=7), update(project="a\ud800"), update(project="x" * 501), None, [], "x"],
    )  # fmt: skip
    def test_what_does_not_suffice_is_no_news(self, one: Any) -> None:
        assert parse(event("ref-updated", refUpdate=one)) == []

    def test_zeros_of_sha256_are_zero(self) -> None:
        [told] = parse(event("ref-updated", refUpdate=update(old="0" * 64, new="a" * 64)))
        assert isinstance(told, Moved)
        assert told.event.old == ZERO

    def test_a_time_may_be_text_and_may_be_absent(self) -> None:
        for written, read in (("1795421933", AT), (1795421933.5, AT + 0.5), (None, 0.0), ("soon", 0.0), (-1, 0.0),
                              (True, 0.0), (10**400, 0.0)):  # fmt: skip
            line = json.dumps({"type": "ref-updated", "eventCreatedOn": written, "refUpdate": update()})
            [told] = parse(line)
            assert isinstance(told, Moved)
            assert told.event.happened_at == read

    @pytest.mark.parametrize(
        ("account", "name"),
        [({"name": "Ann", "username": "ann"}, "ann"), ({"name": "ann"}, ""), ({"email": "a@b"}, "a@b"), ({}, ""),
         (None, ""), ("ann", "")],
    )  # fmt: skip
    def test_who_did_it_is_named_as_well_as_can_be(self, account: Any, name: str) -> None:
        [told] = parse(event("ref-updated", submitter=account, refUpdate=update()))
        assert isinstance(told, Moved)
        assert told.event.actor == name


class TestChanges:
    def test_numbers_may_be_text(self) -> None:
        line = change(number="2", change={"number": "107"})
        [told] = parse(line)
        assert isinstance(told, ChangeMoved)
        assert told.patch_set.key == "107:2"

    def test_where_the_text_is_follows_from_its_numbers(self) -> None:
        for ref in (None, "", "refs/heads/main", "refs/changes/7/107/2", 3):
            [told] = parse(change(ref=ref))
            assert isinstance(told, ChangeMoved)
            assert told.patch_set.ref == "refs/changes/07/107/2"

    @pytest.mark.parametrize(
        ("kind", "status"),
        [("patchset-created", "NEW"), ("change-merged", "MERGED"), ("change-abandoned", "ABANDONED"),
         ("change-restored", "NEW")],
    )  # fmt: skip
    def test_what_became_of_it(self, kind: str, status: str) -> None:
        [told] = parse(change(kind=kind))
        assert isinstance(told, ChangeMoved)
        assert told.patch_set.status == status

    def test_a_text_put_onto_a_change_that_is_done_is_not_taken_for_an_open_one(self) -> None:
        [told] = parse(change(change={"status": "MERGED"}))
        assert isinstance(told, ChangeMoved)
        assert told.patch_set.status == "MERGED"

    @pytest.mark.parametrize(
        "fields",
        [{"number": 0}, {"number": -1}, {"number": True}, {"number": "x"}, {"number": 2**40}, {"number": None},
         {"revision": None}, {"revision": "abc"}, {"revision": ZERO}, {"change": {"number": None}},
         {"change": {"project": None}}, {"change": {"number": 1.5}}],
    )  # fmt: skip
    def test_what_does_not_suffice_is_no_news(self, fields: dict[str, Any]) -> None:
        assert parse(change(**fields)) == []

    def test_texts_are_made_storable(self) -> None:
        [told] = parse(change(change={"subject": "a\x00b\ud800"}))
        assert isinstance(told, ChangeMoved)
        assert told.patch_set.subject == "a\ufffdb\ufffd"


class TestRepositories:
    @pytest.mark.parametrize(
        "names",
        [{"oldProjectName": "a", "newProjectName": "b"}, {"projectName": "a", "newProjectName": "b"},
         {"oldProjectName": "a", "projectName": "b"}, {"project": "a", "newName": "b"},
         {"project": {"name": "a"}, "newProjectName": {"name": "b"}}],
    )  # fmt: skip
    def test_a_new_name_is_understood_in_every_spelling(self, names: dict[str, Any]) -> None:
        assert parse(event("project-renamed", **names)) == [RepositoryNews("a", renamed_to="b")]

    def test_a_rename_to_itself_or_to_nothing_is_no_news(self) -> None:
        assert parse(event("project-renamed", projectName="a")) == []
        assert parse(event("project-renamed")) == []

    def test_one_that_is_deleted(self) -> None:
        assert parse(event("project-deleted", projectName="a")) == [RepositoryNews("a", gone=True)]


class TestLines:
    @pytest.mark.parametrize(
        "line", ["[]", "7", "null", '"x"', '{"type":"ref-upd', "hello", "[" * 100_000, b"\xff\xfe"]
    )
    def test_what_is_no_object_is_unreadable(self, line: str | bytes) -> None:
        with pytest.raises(Unreadable):
            parse(line)

    @pytest.mark.parametrize(
        "line", ["", "\n", b"  \r\n", "{}", '{"type": 7}', '{"type": "comment-added"}', '{"type": null}']
    )
    def test_what_is_of_no_interest_is_nothing(self, line: str | bytes) -> None:
        assert parse(line) == []

    def test_a_number_of_ten_thousand_digits_does_no_harm(self) -> None:
        with pytest.raises(Unreadable):
            parse('{"type": "ref-updated", "eventCreatedOn": ' + "9" * 10_000 + "}")


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([OLD, NEW, ZERO, "refs/heads/x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def is_sound(news: News) -> bool:
    """What the inbox relies on."""
    assert news.repository
    assert news.repository.encode()
    if isinstance(news, Moved):
        assert news.event.ref.startswith(("refs/heads/", "refs/tags/"))
        assert news.event.old != news.event.new
    if isinstance(news, ChangeMoved):
        assert news.patch_set.number > 0
        assert news.patch_set.ref.startswith("refs/changes/")
    return True


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_recorded_event_may_have_anything_anywhere(data: st.DataObject) -> None:
    """Fields of real events are replaced, removed and added at any depth: no error, and nothing unsound comes out."""
    _title, line = data.draw(st.sampled_from(recorded()))
    found = json.loads(line)
    for _ in range(data.draw(st.integers(1, 4))):
        at = found
        while True:
            name = data.draw(st.sampled_from([*sorted(at), "project"]))
            inner = at.get(name)
            if isinstance(inner, dict) and inner and data.draw(st.booleans()):
                at = inner
                continue
            if data.draw(st.booleans()):
                at[name] = data.draw(values)
            else:
                at.pop(name, None)
            break
        if not found:
            break
    assert all(is_sound(news) for news in parse(json.dumps(found)))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300) | values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_give_news_or_are_unreadable(line: bytes) -> None:
    try:
        assert all(is_sound(news) for news in parse(line))
    except Unreadable:
        pass

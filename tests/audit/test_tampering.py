"""Whoever may write to the database, but does not have the key, changes nothing unseen."""

from __future__ import annotations

import hmac
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from fangduoduo_release.audit import anchor, chain, verifying
from fangduoduo_release.audit.models import AuditCheck, AuditEntry, AuditHead

from .rows import by_hand, change, copy_row, remove, write

pytestmark = pytest.mark.django_db

OTHER: dict[str, Any] = {
    "id": 77_777,
    "at": timezone.now() + timedelta(days=1),
    "actor": "mallory",
    "verb": "thing.undo",
    "object_kind": "tests.other",
    "object_id": "2",
    "object_label": "another thing",
    "project": "other",
    "before": '{"n":1}',
    "after": '{"n": 3}',  # a blank more is a change too
    "address": "203.0.113.9",
    "user_agent": "curl",
    "request_id": "f" * 32,
    "seq": 99,
    "key": "00000000",
    "previous": "1" * 64,
    "digest": "2" * 64,
}


def found() -> list[str]:
    return [str(sentence) for sentence in verifying.verify().findings]


def test_what_was_not_touched_is_sound() -> None:
    write(7)
    report = verifying.verify()
    assert (report.rows, report.seq, report.findings) == (7, 7, [])
    assert report.digest == AuditHead.objects.get().digest


def test_the_matrix_below_leaves_no_column_out() -> None:
    assert {field.column for field in AuditEntry._meta.concrete_fields} == set(OTHER)


@pytest.mark.parametrize("seq", [1, 3, 5], ids=["first", "middle", "last"])
@pytest.mark.parametrize("column", sorted(OTHER))
def test_another_value_in_any_column_of_any_row_is_found(column: str, seq: int) -> None:
    write(5)
    change(seq, column, OTHER[column])
    complaints = found()
    assert complaints
    named = str(OTHER["seq"] if column == "seq" else seq)
    assert any(f"Row {named} " in complaint for complaint in complaints), complaints


@pytest.mark.parametrize("column", ["actor", "object_label", "before", "after", "address"])
def test_emptying_a_column_is_found(column: str) -> None:
    write(3)
    change(2, column, None if column in {"before", "after"} else "")
    assert bool(found()) is (column not in {"before", "address"}), "these two were empty"


def test_moving_text_from_one_column_to_its_neighbour_is_found() -> None:
    write(2)
    by_hand("UPDATE audit_auditentry SET object_kind = 'tests.thin', object_id = 'g1' WHERE seq = 1")
    assert len(found()) == 1


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ([1], "Row 1 is missing."),
        ([3], "Row 3 is missing."),
        ([2, 3], "Rows 2 to 3 are missing."),
        ([5], "Row 5 is missing."),
        ([4, 5], "Rows 4 to 5 are missing."),
        ([1, 2, 3, 4, 5], "Rows 1 to 5 are missing."),
    ],
)
def test_a_missing_row_is_one_finding_that_says_which(gone: list[int], said: str) -> None:
    write(5)
    remove(*gone)
    assert found() == [said]


def test_each_first_break_is_told_and_what_follows_is_not() -> None:
    write(9)
    change(2, "actor", "mallory")
    remove(5)
    change(8, "verb", "x")
    assert [line.split(" (")[0] for line in found()] == ["Row 2", "Row 5 is missing.", "Row 8"]


def test_a_row_that_was_slipped_in_is_found_wherever_it_stands() -> None:
    write(3)
    last = AuditEntry.objects.get(seq=3).pk
    for changes in ({"id": -5, "seq": 0}, {"id": last + 1, "seq": 4}, {"id": last + 500, "seq": 700}):
        copy_row(2, **changes)
        assert found(), changes
        by_hand("DELETE FROM audit_auditentry WHERE id = %s", changes["id"])
    assert found() == []


def test_exchanging_two_rows_is_found() -> None:
    write(4)
    ids = {seq: AuditEntry.objects.get(seq=seq).pk for seq in (2, 3)}
    for pk, seq in ((9_999, 2), (ids[2], 3), (ids[3], 2)):
        change(seq, "id", pk)
    assert len(found()) >= 2
    for pk, seq in ((9_999, 2), (ids[3], 3), (ids[2], 2)):
        change(seq, "id", pk)
    assert found() == []
    for column in ("actor", "after", "at"):
        values = dict(AuditEntry.objects.values_list("seq", column))
        if values[2] != values[3]:
            change(2, column, '{"n":3}' if column == "after" else values[3])
            assert found(), column


def test_a_chain_computed_anew_without_the_key_is_found() -> None:
    """Somebody who knows the format signs everything again, with a key of their own."""
    write(3)
    key, previous = b"mallory's own key", chain.NOTHING
    own = hmac.digest(key, b"fdd audit key id", "sha256").hex()[:8]
    for row in list(verifying.rows(verifying.FIRST_ID, 2**63 - 1)):
        content = list(row[:-1])
        content[0], content[-1] = previous, own
        previous = chain.sign(key, content)
        by_hand(
            "UPDATE audit_auditentry SET previous = %s, key = %s, digest = %s WHERE seq = %s",
            content[0], own, previous, content[1],
        )  # fmt: skip
    assert any(f"key {own}, which is not among AUDIT_KEYS" in line for line in found())


def test_taking_rows_and_the_head_back_together_is_found_by_the_anchor() -> None:
    write(3)
    old = AuditHead.objects.values().get()
    write(2)
    anchor.move(chain.Point(5, AuditHead.objects.get().digest))
    remove(4, 5)
    by_hand(
        "UPDATE audit_audithead SET seq = %s, entry = %s, digest = %s, signature = %s",
        old["seq"], old["entry"], old["digest"], old["signature"],
    )  # fmt: skip
    assert found() == ["VAR/audit/head knows row 5, but the trail ends with row 3: its end was taken away."]


def test_rewriting_the_end_after_taking_it_back_is_found_by_the_anchor() -> None:
    """The thief lets the portal itself write on from the older head."""
    write(3)
    old = AuditHead.objects.values().get()
    write(1)
    anchor.move(chain.Point(4, AuditHead.objects.get().digest))
    remove(4)
    by_hand(
        "UPDATE audit_audithead SET seq = %s, entry = %s, digest = %s, signature = %s",
        old["seq"], old["entry"], old["digest"], old["signature"],
    )  # fmt: skip
    write(2, "thing.other")
    assert found() == ["VAR/audit/head knows another row 4 than the one that is there: it was replaced."]


@pytest.mark.parametrize(
    ("column", "value"),
    [("seq", 2), ("entry", 1), ("digest", "3" * 64), ("signature", "4" * 64), ("key", "00000000")],
)
def test_a_changed_head_is_found_and_nothing_is_written_behind_it(column: str, value: Any) -> None:
    write(3)
    by_hand(f"UPDATE audit_audithead SET {column} = %s", value)
    assert any("head" in line for line in found())
    with pytest.raises(chain.Broken):
        write(1)


def test_a_lost_head_is_found_and_nothing_is_written_behind_it() -> None:
    write(2)
    by_hand("DELETE FROM audit_audithead")
    assert found() == ["The head of the chain is missing: whether rows were taken from its end cannot be told."]
    with pytest.raises(chain.Broken) as refused:
        write(1)
    assert refused.value.status == 503


def test_an_anchor_that_is_not_ours_is_found(settings: Any) -> None:
    write(2)
    settings.AUDIT_ANCHOR.parent.mkdir()
    settings.AUDIT_ANCHOR.write_bytes(b"\xff nonsense")
    assert found() == ["The anchor file of this host cannot be read, or is not what the portal wrote."]


def test_what_somebody_wrote_down_elsewhere_is_compared() -> None:
    rows = write(3)
    assert verifying.verify(expect=chain.Point(2, rows[1].digest)).sound
    assert not verifying.verify(expect=chain.Point(2, rows[2].digest)).sound
    assert "ends with row 3" in str(verifying.verify(expect=chain.Point(9, rows[2].digest)).findings[0])


def test_the_next_verification_begins_where_the_last_one_ended() -> None:
    write(4)
    verifying.remember(verifying.verify(), whole=True)
    write(3)
    start = verifying.resume(verifying.last_check())
    report = verifying.verify(start)
    assert (start.seq, report.rows, report.seq, report.sound) == (4, 3, 7, True)
    change(6, "actor", "mallory")
    assert not verifying.verify(start).sound


def test_a_verification_that_found_something_is_no_new_beginning() -> None:
    write(2)
    verifying.remember(verifying.verify(), whole=True)
    write(2)
    change(3, "actor", "mallory")
    check = verifying.remember(verifying.verify(), whole=True)
    assert (check.sound, check.seq, len(check.findings)) == (False, 2, 1)
    assert verifying.resume(check).seq == 2


def test_nobody_moves_the_beginning_past_what_they_changed() -> None:
    write(5)
    check = verifying.remember(verifying.verify(), whole=True)
    by_hand("UPDATE audit_auditcheck SET seq = 4, entry = 4")
    assert verifying.resume(AuditCheck.objects.get(pk=check.pk)) == verifying.Start()


def test_a_replaced_beginning_is_found() -> None:
    write(3)
    check = verifying.remember(verifying.verify(), whole=True)
    change(3, "digest", "5" * 64)
    assert any("AuditCheck knows another row 3" in str(s) for s in verifying.verify(verifying.resume(check)).findings)


def test_of_many_findings_the_first_are_told_and_all_are_counted() -> None:
    write(30)
    by_hand("UPDATE audit_auditentry SET actor = 'mallory'")
    report = verifying.verify()
    assert (len(report.findings), report.more) == (verifying.TOLD, 30 - verifying.TOLD)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL keeps such values out by itself")
@pytest.mark.parametrize("value", [b"\x00\x01", 17, 1.5, "\ud800".encode("utf-8", "surrogatepass")])
def test_values_of_another_kind_are_found_and_break_nothing(value: Any) -> None:
    write(3)
    change(2, "object_label", value)
    assert any("Row 2" in line for line in found())


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL keeps such values out by itself")
def test_bytes_that_are_no_text_are_found() -> None:
    write(3)
    by_hand("UPDATE audit_auditentry SET actor = CAST(x'ff' AS TEXT) WHERE seq = 2")
    assert any("no text" in line for line in found())

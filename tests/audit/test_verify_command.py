"""`manage.py verify_audit`: 0 and a count, 1 and a sentence for each finding, 2 when it was asked wrongly."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from fangduoduo_release.audit import anchor, chain, verifying
from fangduoduo_release.audit.models import AuditEntry, AuditHead

from .rows import by_hand, change, remove, write

pytestmark = pytest.mark.django_db


def run(**options: Any) -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command("verify_audit", stdout=out, **options)
    except CommandError as error:
        return error.returncode, out.getvalue() + str(error)
    return 0, out.getvalue()


def test_a_sound_trail_is_counted_and_its_head_named() -> None:
    rows = write(3)
    assert run() == (0, f"3 rows verified, head 3:{rows[-1].digest}\n")


def test_an_empty_trail_is_sound() -> None:
    assert run()[0] == 0


def test_findings_are_sentences_and_the_exit_code_is_one() -> None:
    write(5)
    change(2, "actor", "mallory")
    remove(4)
    code, said = run()
    assert code == 1
    assert said.splitlines()[:2] == [
        f"Row 2 (id {AuditEntry.objects.get(seq=2).pk}) is not as it was written: its content was changed.",
        "Row 4 is missing.",
    ]
    assert "5 rows" not in said
    assert "not what was written" in said


def test_a_place_written_down_elsewhere_is_asked_for() -> None:
    rows = write(3)
    assert run(expect=f"2:{rows[1].digest}")[0] == 0
    assert run(expect=f"2:{rows[0].digest}")[0] == 1
    assert run(expect=f"7:{rows[0].digest}")[0] == 1
    for nonsense in ("2", "x:y", f"-1:{rows[0].digest}", f"2:{rows[0].digest[:-1]}"):
        assert run(expect=nonsense)[0] == 2, nonsense


def test_the_result_is_kept_for_the_page_and_the_next_time() -> None:
    write(3)
    run()
    check = verifying.last_check()
    assert check is not None
    assert (check.sound, check.rows, check.seq, check.whole_at) == (True, 3, 3, check.at)
    write(2)
    code, said = run(new=True)
    assert (code, said[:15]) == (0, "2 rows verified")


def test_only_what_is_new_is_read_when_asked_so() -> None:
    write(3)
    run()
    write(1)
    change(1, "actor", "mallory")
    assert run(new=True)[0] == 0
    assert run()[0] == 1


def test_a_restored_backup_is_accepted_with_a_reason_that_stays() -> None:
    """The database is older than what this host saw; ops know why and say so."""
    write(3)
    old = AuditHead.objects.values().get()
    write(2)
    anchor.move(chain.Point(5, AuditHead.objects.get().digest))
    remove(4, 5)
    by_hand(
        "UPDATE audit_audithead SET seq = %s, entry = %s, digest = %s, signature = %s",
        old["seq"], old["entry"], old["digest"], old["signature"],
    )  # fmt: skip
    assert run()[0] == 1
    code, said = run(accept="restored the backup of Monday")
    assert (code, "accepted" in said) == (0, True)
    entry = AuditEntry.objects.get(verb="audit.accept")
    assert entry.after is not None
    assert entry.after["reason"] == "restored the backup of Monday"
    assert "its end was taken away" in entry.after["findings"][0]
    assert run()[0] == 0


def test_a_lost_head_is_made_again_only_by_accepting_it() -> None:
    write(3)
    by_hand("DELETE FROM audit_audithead")
    assert run()[0] == 1
    assert run(accept="somebody deleted the head")[0] == 0
    assert [row.seq for row in write(1)] == [5]
    assert run()[0] == 0


def test_accepting_mends_no_broken_row() -> None:
    write(3)
    change(2, "actor", "mallory")
    assert run(accept="looked at it")[0] == 0
    assert run()[0] == 1

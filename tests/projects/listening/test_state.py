"""How the listening goes is told: in the connection's row, as a sentence, and it mends itself when the reason is gone."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from clusters import connecting
from fangduoduo_release.common import leases
from fangduoduo_release.common.errors import Rejected, Unavailable
from fangduoduo_release.common.hands import Hands
from fangduoduo_release.common.models import Connection, Lease
from fangduoduo_release.common.sentence import S
from projects import listening
from projects.listener import ear, hub
from projects.listener.ear import pause_after
from projects.listener.report import Report
from projects.listener.taking import MOST_KEPT, Taker
from projects.models import Project, SourceListener
from tests.simulators.gerrit.events import ref_updated
from tests.simulators.gerrit.stream import encode
from tests.simulators.gerrit_rig import USER, Rig
from tests.waiting import until

from .ground import Hubs, State, connect, pushed, row, wait_listening, wait_row


def said(connection: Connection) -> str:
    """What pages say of it."""
    fresh = Connection.objects.select_related("listener").get(pk=connection.pk)
    return str(listening.trouble_of(fresh) or "")


def test_a_listener_that_is_well_says_nothing(
    gerrit_rig: Rig, connection: Connection, app: Project, hubs: Hubs
) -> None:
    hubs.start()
    found = wait_listening(connection)
    assert (found.trouble, found.down_since, found.reconnects) == (None, None, 0)
    assert found.connected_at
    assert said(connection) == ""
    begun = timezone.now()
    gerrit_rig.gerrit.push("team/app")
    found = until(lambda: (at := row(connection)) and at.events and at, what="a count of events")
    assert found.last_event_at
    assert begun <= found.last_event_at <= timezone.now()


def test_a_changed_host_key_is_told_with_both_fingerprints_until_it_is_pinned_anew(
    gerrit_rig: Rig, connection: Connection, app: Project, hubs: Hubs
) -> None:
    hubs.start()
    wait_listening(connection)
    old = gerrit_rig.gerrit.daemon.key.get_fingerprint("sha256")
    gerrit_rig.gerrit.faults.change_host_key()
    new = gerrit_rig.gerrit.daemon.key.get_fingerprint("sha256")
    until(lambda: old in said(connection) and new in said(connection), what="both fingerprints")
    sha = gerrit_rig.gerrit.push("team/app")
    assert row(connection).state == State.DOWN  # type: ignore[union-attr]
    Connection.objects.filter(pk=connection.pk).update(
        config={**connection.config, "known_hosts": gerrit_rig.known_hosts}
    )
    until(lambda: pushed(app) == [sha], what="the push, found after the key was pinned")
    until(lambda: said(connection) == "", what="the row, which another thread writes")


def test_a_revoked_key_is_told_until_another_is_given(
    gerrit_rig: Rig, connection: Connection, app: Project, hubs: Hubs
) -> None:
    hubs.start()
    wait_listening(connection)
    gerrit_rig.gerrit.faults.revoke_keys(USER)
    gerrit_rig.gerrit.daemon.drop()
    until(lambda: USER in said(connection) and "revoked" in said(connection))
    other = Rig()
    gerrit_rig.gerrit.faults.authorize(USER, other.public_key)
    connection.secrets = {**connection.secrets, "ssh_key": other.user_key}
    connection.save()
    wait_row(connection, state=State.LISTENING)


def test_a_good_test_of_the_connection_ends_the_waiting(
    gerrit_rig: Rig, connection: Connection, app: Project, hubs: Hubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ear, "HOPELESS_S", 3600.0)
    monkeypatch.setattr(ear, "MOST_HOPELESS_S", 3600.0)
    hubs.start()
    wait_listening(connection)
    gerrit_rig.gerrit.faults.revoke_keys(USER)
    gerrit_rig.gerrit.daemon.drop()
    until(lambda: "revoked" in said(connection))
    assert not connecting.look(connection)["ok"]
    gerrit_rig.gerrit.faults.authorize(USER, gerrit_rig.public_key)
    assert connecting.look(connection)["ok"]
    wait_row(connection, state=State.LISTENING)


def test_a_restart_is_told_and_over_by_itself(
    gerrit_rig: Rig, connection: Connection, app: Project, hubs: Hubs
) -> None:
    hubs.start()
    wait_listening(connection)
    gerrit_rig.gerrit.faults.restart()
    found = wait_row(connection, state=State.DOWN)
    assert found.down_since
    assert "restarts" in said(connection)
    gerrit_rig.gerrit.faults.come_back()
    found = wait_row(connection, state=State.LISTENING)
    assert (found.down_since, found.trouble) == (None, None)


def test_an_account_that_may_not_listen_is_told(
    gerrit_rig: Rig, connection: Connection, app: Project, hubs: Hubs
) -> None:
    gerrit_rig.gerrit.faults.forbid(USER, "streamEvents")
    hubs.start()
    until(lambda: "Stream Events" in said(connection))


def test_a_clock_that_is_wrong_is_told_and_stops_nothing(
    gerrit_rig: Rig, connection: Connection, app: Project, hubs: Hubs
) -> None:
    gerrit_rig.gerrit.faults.skew(120)
    hubs.start()
    wait_listening(connection)
    shas = [gerrit_rig.gerrit.push("team/app") for _ in range(4)]
    until(lambda: pushed(app) == shas)

    def nearest() -> SourceListener | None:
        """An event comes later than it was made, so what is known of the clock gets better with each that comes."""
        found = row(connection)
        if found is None or found.skew_s is None:
            return None
        assert found.skew_s <= 122
        if found.skew_s >= 118:
            return found
        gerrit_rig.gerrit.push("team/app")
        return None

    found = until(nearest, what="the skew")
    assert "ahead" in said(connection)
    assert found.state == State.LISTENING


def test_a_connection_whose_secrets_cannot_be_opened_is_told_and_concerns_no_other(
    gerrit_rig: Rig, connection: Connection, app: Project, hubs: Hubs
) -> None:
    other = connect(gerrit_rig, "other")
    from django.db import connection as database

    with database.cursor() as cursor:
        cursor.execute("UPDATE common_connection SET secrets = 'gAAAAnonsense' WHERE id = %s", [other.pk])
    hubs.start()
    wait_listening(connection)
    found = wait_row(Connection.objects.defer("secrets").get(pk=other.pk), state=State.DOWN)
    assert "FIELD_ENCRYPTION_KEYS" in found.trouble["msgid"]


def test_nobody_listens_any_more_when_the_connection_does_without(
    gerrit_rig: Rig, connection: Connection, app: Project, hubs: Hubs
) -> None:
    hubs.start()
    wait_listening(connection)
    connection.config = {**connection.config, "ssh_host": ""}
    connection.save()
    until(lambda: not gerrit_rig.gerrit.stream.listeners, what="the end of the listening")
    assert said(connection) == ""


def test_of_two_one_listens_and_the_other_takes_over_at_a_clean_stop(
    gerrit_rig: Rig, connection: Connection, app: Project, hubs: Hubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "LEASE_S", 3600.0)
    first = hubs.start()
    wait_listening(connection)
    second = hubs.start()
    until(lambda: second.alive)
    assert row(connection).owner == first.owner  # type: ignore[union-attr]
    hubs.stop(first)
    wait_row(connection, owner=second.owner, state=State.LISTENING)
    until(lambda: len(gerrit_rig.gerrit.stream.listeners) == 1)


def test_whoever_lost_the_lease_stops_listening(
    gerrit_rig: Rig, connection: Connection, app: Project, hubs: Hubs
) -> None:
    hub = hubs.start()
    wait_listening(connection)
    Lease.objects.filter(name="listener:gerrit").update(
        owner="somebody else", until=timezone.now() + timedelta(hours=1)
    )
    until(lambda: not gerrit_rig.gerrit.stream.listeners)
    assert hub.alive
    leases.let_go("listener:gerrit", "somebody else")
    until(lambda: gerrit_rig.gerrit.stream.listeners)


# -- how long it waits ------------------------------------------------------------------------------------------------


def test_pauses_grow_from_a_second_to_a_minute_and_differ() -> None:
    away = Unavailable(S("Away."))
    assert 0.5 <= pause_after(away, 1) <= 1
    assert 30 <= pause_after(away, 50) <= 60
    assert len({pause_after(away, 6) for _ in range(20)}) > 10


def test_what_somebody_has_to_mend_is_not_hammered_at() -> None:
    refused = Rejected(S("No."), code="key_refused")
    assert 60 <= pause_after(refused, 1) <= 72
    assert pause_after(refused, 50) <= 360


# -- without a database -----------------------------------------------------------------------------------------------


def test_what_waits_for_the_database_is_bounded_and_kept_in_order(gerrit_rig: Rig) -> None:
    """Nobody takes here: as long as the database is away. Beyond the bound the ear has to hang up."""

    async def fill() -> tuple[int, Unavailable]:
        hands = Hands("none", 0)
        connection = Connection(pk=1, name="gerrit")
        asked: list[Any] = []
        taker = Taker(connection, hands, Report(1, "me", hands), lambda: asked.append(1))
        line = encode({**ref_updated("team/app", ("refs/heads/master", "1" * 40, "2" * 40), gerrit_rig.account)})
        for number in range(2 * MOST_KEPT):
            try:
                taker.hear([line])
            except Unavailable as error:
                return number, error
        raise AssertionError("it never said that it was full")

    kept, error = asyncio.run(fill())
    assert kept == MOST_KEPT
    assert error.code == "full"

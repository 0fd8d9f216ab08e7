"""Duties are done by one process at a time, move when it dies, and a bad duty harms neither itself nor the others."""

from __future__ import annotations

import json
import signal
from itertools import pairwise

import pytest

from fangduoduo_release.common import leases
from fangduoduo_release.common.watch import Duty, tenure, watcher
from tests.waiting import until

from .workshop.shop import Shop

STARTED_S = 240.0  # a process of the portal has to load everything first


def duties(**every: float) -> str:
    made = [
        {"name": name, "path": f"tests.common.workshop.duties.{name}", "every_s": every_s, "group": "builders"}
        for name, every_s in every.items()
    ]
    for duty in made:
        if duty["name"] in {"long", "stuck"}:
            duty["limit_s"] = {"long": 3.0, "stuck": 0.5}[str(duty["name"])]  # five times that ends the process
    return json.dumps(made)


def let_lapse(name: str) -> float:
    """Let the time pass for which a dead holder keeps its lease; how many seconds that would have been."""
    from django.db.models import F
    from django.db.models.functions import Now

    from fangduoduo_release.common import runs
    from fangduoduo_release.common.models import Lease

    left = Lease.objects.values_list(F("until") - Now(), flat=True).get(name=name)
    Lease.objects.filter(name=name).update(until=runs.in_seconds(-0.01))
    return left.total_seconds()


def pauses(shop: Shop, name: str) -> list[float]:
    """Seconds between each call and the next."""
    return [float(later[0]) - float(call[0]) for call, later in pairwise(shop.lines(name))]


def holders(name: str) -> list[object]:
    from fangduoduo_release.common.models import Lease

    return list(Lease.objects.filter(name=name).values_list("owner", "fence", "until"))


def beat_of(name: str) -> dict[str, object]:
    from fangduoduo_release.common.models import Beat

    beat = Beat.objects.filter(name=name).first()
    return beat.info if beat else {}


def beats(kind: str) -> int:
    from fangduoduo_release.common.models import Beat

    return Beat.objects.filter(kind=kind).count()


# -- leases, without processes ------------------------------------------------------------------------------------


def life_of_a_lease(name: str) -> list[object]:
    from django.db.models.functions import Now

    from fangduoduo_release.common.models import Lease

    first = leases.hold(name, "a", 600)
    again = leases.hold(name, "a", 600)
    refused = leases.hold(name, "b", 600)
    free_while_held = leases.free([name])
    Lease.objects.filter(name=name).update(until=Now())  # the very moment it ends it is over
    kept_too_late = leases.keep([name], "a", 600)
    free_when_lapsed = leases.free([name, name + "-new"])
    moved = leases.hold(name, "b", 600)
    leases.let_go(name, "a")  # not its own any more
    still = leases.hold(name, "a", 600)
    leases.let_go(name, "b")
    back = leases.hold(name, "a", 600)
    return [
        first,
        again,
        refused,
        free_while_held == set(),
        kept_too_late,
        sorted(free_when_lapsed),
        moved,
        still,
        back,
    ]


def test_a_lease_has_one_holder_and_a_fence_per_change_of_hands(shop: Shop) -> None:
    name = "lease-life"
    assert shop.call(life_of_a_lease, name) == [1, 1, None, True, {}, [name, f"{name}-new"], 2, None, 3]


def race(name: str, owner: str) -> int:
    return sum(leases.hold(f"{name}{number}", owner, 600) is not None for number in range(10))


def test_of_eight_contenders_one_gets_each_lease(shop: Shop) -> None:
    assert sum(shop.together(race, [["race", f"p{number}"] for number in range(8)])) == 10


def test_outside_the_watch_a_duty_may_be_called_too() -> None:
    assert not tenure().lost.is_set()
    assert Duty("x", "a.b", 5, "sources").limit_s == 60


# -- real processes ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_one_of_two_does_a_duty_and_the_other_takes_over_within_15_s(own_shop: Shop) -> None:
    first = own_shop.start("watch", SHOP_DUTIES=duties(tick=0.5))
    until(lambda: len(own_shop.lines("ticks")) >= 3, STARTED_S)
    second = own_shop.start("watch", SHOP_DUTIES=duties(tick=0.5))
    until(lambda: own_shop.call(beats, "watch") == 2, STARTED_S)
    begun = len(own_shop.lines("ticks"))
    until(lambda: len(own_shop.lines("ticks")) >= begun + 4)
    assert {line[1] for line in own_shop.lines("ticks")} == {str(first.pid)}
    first.kill()
    first.wait(60)
    assert own_shop.call(let_lapse, "duty:tick") <= watcher.LEASE_S <= 15 - watcher.ROUND_S, (
        "what it looks for each round"
    )
    until(lambda: own_shop.lines("ticks")[-1][1] == str(second.pid), what="the other one's tick")
    fences = [int(line[2]) for line in own_shop.lines("ticks")]
    assert sorted(set(fences)) == [1, 2]
    assert fences == sorted(fences)


@pytest.mark.slow
def test_a_clean_stop_gives_duties_back_at_once(sqlite_shop: Shop) -> None:
    first = sqlite_shop.start("watch", SHOP_DUTIES=duties(tick=0.3))
    until(lambda: sqlite_shop.lines("ticks"), STARTED_S)
    first.terminate()
    assert first.wait(60) == 0
    assert sqlite_shop.call(beats, "watch") == 0
    ((owner, _fence, free_from),) = sqlite_shop.call(holders, "duty:tick")
    assert (owner, free_from) == ("", None)
    assert "Traceback" not in sqlite_shop.log(first)


@pytest.mark.slow
def test_a_failing_duty_is_told_and_backs_off_while_others_go_on(sqlite_shop: Shop) -> None:
    watch = sqlite_shop.start("watch", SHOP_DUTIES=duties(broken=0.1, tick=0.3, missing=0.2))
    until(lambda: len(sqlite_shop.lines("broken")) >= 5, STARTED_S)
    until(lambda: len(sqlite_shop.lines("ticks")) >= 8)
    # The last two are 0.8 and 1.6 s (0.1 without patience); a call that is noted late makes one longer, the other shorter.
    assert max(pauses(sqlite_shop, "broken")) > 1.0
    told = until(lambda: sqlite_shop.call(beat_of, "duty:broken"))
    assert told["error"] == "ValueError: this duty cannot"
    assert told["failures"] >= 2
    assert "missing" in until(lambda: sqlite_shop.call(beat_of, "duty:missing"))["error"]
    watch.send_signal(signal.SIGINT)
    assert watch.wait(60) == 0


@pytest.mark.slow
def test_a_duty_over_its_time_is_told_and_stopped_by_a_stop(sqlite_shop: Shop) -> None:
    watch = sqlite_shop.start("watch", SHOP_DUTIES=duties(long=60))
    until(lambda: "takes longer than 3 s" in sqlite_shop.log(watch), STARTED_S)
    watch.terminate()  # long before it is taken for stuck, after 15 s
    assert watch.wait(60) == 0
    assert sqlite_shop.call(beat_of, "duty:long")["late"]
    assert sqlite_shop.lines("long")[-1][2:] == ["end", "lost"]


@pytest.mark.slow
def test_a_stuck_duty_ends_the_process_so_that_it_can_be_started_again(sqlite_shop: Shop) -> None:
    watch = sqlite_shop.start("watch", SHOP_DUTIES=duties(stuck=60))
    assert watch.wait(STARTED_S) == 75
    assert "is stuck" in sqlite_shop.log(watch)


@pytest.mark.slow
def test_the_distance_between_calls_outlives_the_process(sqlite_shop: Shop) -> None:
    """A duty of every hour is not done anew at each start."""
    for turn in range(2):
        watch = sqlite_shop.start("watch", SHOP_DUTIES=duties(tick=3600, pulse=0.25))
        if turn == 0:
            until(lambda: sqlite_shop.lines("ticks"), STARTED_S)
        # A first call may be put off by two seconds; after these it would have been made.
        until(lambda pid=str(watch.pid): sum(line[1] == pid for line in sqlite_shop.lines("pulse")) >= 10, STARTED_S)
        watch.terminate()
        assert watch.wait(60) == 0
    assert len(sqlite_shop.lines("ticks")) == 1


@pytest.mark.slow
def test_only_the_groups_asked_for(sqlite_shop: Shop) -> None:
    watch = sqlite_shop.start("watch", "--only", "sources", SHOP_DUTIES=duties(tick=0.2))
    until(lambda: sqlite_shop.call(beats, "watch") == 1, STARTED_S)
    assert sqlite_shop.call(holders, "duty:tick") == []
    watch.terminate()
    assert watch.wait(60) == 0
    wrong = sqlite_shop.start("watch", "--only", "nonsense")
    assert wrong.wait(STARTED_S) == 1
    assert "unknown group: nonsense" in sqlite_shop.log(wrong)


@pytest.mark.slow
def test_duties_go_on_after_the_database_was_away(shop_on_server: Shop) -> None:
    from .workshop.shop import cut_off, let_in

    watch = shop_on_server.start("watch", SHOP_DUTIES=duties(tick=0.5))
    until(lambda: len(shop_on_server.lines("ticks")) >= 2, STARTED_S)
    cut_off(shop_on_server)
    until(lambda: "cannot reach its database" in shop_on_server.log(watch))
    let_in(shop_on_server)
    seen = len(shop_on_server.lines("ticks"))
    until(lambda: len(shop_on_server.lines("ticks")) > seen + 2)
    assert watch.poll() is None


@pytest.mark.slow
def test_duties_whose_modules_need_each_other_begin_together(sqlite_shop: Shop) -> None:
    made = [
        {"name": side, "path": f"tests.common.workshop.tangled.{side}.{side}", "every_s": 10, "group": "builders"}
        for side in ("left", "right")
    ]
    watch = sqlite_shop.start("watch", SHOP_DUTIES=json.dumps(made))
    until(lambda: {line[2] for line in sqlite_shop.lines("tangled")} == {"left", "right"}, STARTED_S)
    assert "failed" not in sqlite_shop.log(watch)


@pytest.mark.slow
def test_a_duty_for_everywhere_is_done_by_every_process_at_once(sqlite_shop: Shop) -> None:
    made = [
        {"name": "tick", "path": "tests.common.workshop.duties.tick", "every_s": 0.3, "group": "builders",
         "everywhere": True}
    ]  # fmt: skip
    both = [sqlite_shop.start("watch", SHOP_DUTIES=json.dumps(made)) for _ in range(2)]
    until(lambda: {line[1] for line in sqlite_shop.lines("ticks")} == {str(process.pid) for process in both}, STARTED_S)
    assert sqlite_shop.call(holders, "duty:tick") == [], "nobody needs a lease for it"
    both[0].kill()
    seen = len(sqlite_shop.lines("ticks"))
    until(lambda: len(sqlite_shop.lines("ticks")) > seen + 3)
    both[1].terminate()
    assert both[1].wait(60) == 0

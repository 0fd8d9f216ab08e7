"""Wrong passwords lock a name from one address, and an address for all names, at every door alike; nobody learns who
exists, and nobody elsewhere is hurt."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db.models import F
from django.test import Client
from django.urls import reverse

from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.errors import TooMany
from fangduoduo_release.common.http import RequestFacts, current_request
from permissions.models import ApiToken, User
from permissions.retention import tidy_people
from permissions.tokens import user_of_basic
from tests import world

from .conftest import PASSWORD, sign_in, signed_in

pytestmark = pytest.mark.django_db
HERE, THERE = "10.1.1.1", "10.2.2.2"


@pytest.fixture(autouse=True)
def limits(settings: Any, quick_hashes: None) -> None:
    settings.LOCKOUT_FAILURES = settings.AXES_FAILURE_LIMIT = 4
    settings.LOCKOUT_FAILURES_OF_ADDRESS = 12


def page(name: str, password: str, address: str = HERE) -> int:
    return int(sign_in(Client(), name, password, REMOTE_ADDR=address).status_code)


def api(name: str, password: str, address: str = HERE) -> int:
    body = json.dumps({"username": name, "password": password})
    return int(
        Client().post("/api/auth/token/", body, content_type="application/json", REMOTE_ADDR=address).status_code
    )


def git(name: str, password: str, address: str = HERE) -> int:
    header = "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
    mark = current_request.set(RequestFacts(address=address, user_agent="git/2.39"))
    try:
        return 200 if user_of_basic(header) else 401
    except TooMany as error:
        return error.status if 0 < error.retry_after <= 900 else 500
    finally:
        current_request.reset(mark)


Door = Callable[..., int]
DOORS = [pytest.param(page, id="page"), pytest.param(api, id="api"), pytest.param(git, id="git")]
WELL = {"page": 302, "api": 200, "git": 200}
WRONG = {"page": 200, "api": 401, "git": 401}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", ["ann", "nobody"])
def test_the_fourth_wrong_password_locks_the_name_from_there(ann: User, door: Door, name: str) -> None:
    codes = [door(name, "wrong") for _ in range(5)]
    assert codes == [WRONG[door.__name__]] * 3 + [429] * 2, "the same for who exists and who does not"
    assert door(name, PASSWORD) == 429, "also the right one"


@pytest.mark.parametrize("door", DOORS)
def test_all_doors_count_together(ann: User, door: Door) -> None:
    for number, other in enumerate((page, api, git, page)):
        assert other("ann", "wrong") == (429 if number == 3 else WRONG[other.__name__])
    assert door("ann", PASSWORD) == 429


@pytest.mark.parametrize("door", DOORS)
def test_somebody_elsewhere_is_not_locked_out_by_it(ann: User, door: Door) -> None:
    for _ in range(8):
        page("ann", "wrong", THERE)
    assert door("ann", PASSWORD, HERE) == WELL[door.__name__]


@pytest.mark.parametrize("door", DOORS)
def test_a_success_forgets_the_failures_of_that_name_only(ann: User, door: Door) -> None:
    world.person("zoe", password=PASSWORD)
    for _ in range(3):
        page("ann", "wrong")
        page("zoe", "wrong")
    assert door("ann", PASSWORD) == WELL[door.__name__]
    assert page("ann", "wrong") == 200, "it begins anew"
    assert page("zoe", "wrong") == 429, "whoever knows one password cannot reset another's"


def test_an_address_that_tries_many_names_is_locked_for_all(ann: User) -> None:
    codes = [page(f"name{number}", "wrong") for number in range(13)]
    assert codes[:11] == [200] * 11
    assert codes[11:] == [429] * 2
    assert page("ann", PASSWORD) == 429
    assert page("ann", PASSWORD, THERE) == 302


def test_one_ipv6_home_is_one_address(ann: User) -> None:
    for last in ("1", "2", "ffff", "a:b:c:d"):
        page("ann", "wrong", f"2001:db8:7:7:{last if ':' in last else ':' + last}")
    assert page("ann", PASSWORD, "2001:db8:7:7::99") == 429
    assert page("ann", PASSWORD, "2001:db8:7:8::99") == 302


@pytest.mark.parametrize("address", ["", "unix:", "not an address"])
def test_without_an_address_it_still_counts(ann: User, address: str) -> None:
    assert [page("ann", "wrong", address) for _ in range(4)][-1] == 429


def test_it_says_one_sentence_and_when_to_try_again(ann: User) -> None:
    for _ in range(4):
        answer = sign_in(Client(), "ann", "wrong")
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 900
    text = answer.content.decode()
    assert "Too many wrong passwords. Try again in 15 min, or ask ops to unlock you." in text
    assert 'value="ann"' in text
    body = json.dumps({"username": "ann", "password": "wrong"})
    answer = Client().post("/api/auth/token/", body, content_type="application/json")
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 900
    assert answer.json()["code"] == "locked_out"
    assert answer["Content-Type"] == "application/problem+json"


def shift(**by: int) -> None:
    """As if the failures had been so long ago (or, negative, as if the clock had gone back since)."""
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(**by))


def test_it_ends_by_itself_and_whoever_goes_on_knocking_does_not_lengthen_it(ann: User) -> None:
    for _ in range(4):
        page("ann", "wrong")
    shift(minutes=14)
    assert page("ann", "wrong") == 429
    shift(seconds=61)
    assert page("ann", PASSWORD) == 302


def test_a_clock_that_goes_back_locks_nobody_until_it_has_caught_up(ann: User) -> None:
    for _ in range(4):
        page("ann", "wrong")
    shift(hours=-5)
    assert page("ann", PASSWORD) == 302, "failures from the future do not count"
    for _ in range(4):
        page("ann", "wrong")
    answer = sign_in(Client(), "ann", PASSWORD, REMOTE_ADDR=HERE)
    assert answer.status_code == 429, "those of now do"
    assert int(answer["Retry-After"]) <= 900


def test_a_clock_that_jumps_ahead_forgets(ann: User) -> None:
    for _ in range(4):
        page("ann", "wrong")
    shift(days=30)
    assert page("ann", PASSWORD) == 302
    page("ann", "wrong")
    shift(days=30)
    tidy_people()
    assert not AccessAttempt.objects.exists()


def test_tokens_are_not_passwords_and_lock_nobody(ann: User) -> None:
    _, text = ApiToken.make(ann, "git")
    for _ in range(6):
        assert git("ann", text[:-1] + "~") == 401
    assert not AccessAttempt.objects.exists()
    for _ in range(4):
        git("ann", "wrong")
    assert git("ann", text) == 200, "a locked name still has its tokens"


def test_who_is_signed_in_stays_signed_in(ann: User) -> None:
    client = Client()
    assert sign_in(client).status_code == 302
    for _ in range(5):
        page("ann", "wrong", "127.0.0.1")
    assert signed_in(client)


def test_no_password_is_stored(ann: User) -> None:
    page("ann", "my-secret-password")
    api("ann", "my-secret-password")
    git("ann", "my-secret-password")
    for row in AccessAttempt.objects.values():
        assert "my-secret-password" not in repr(row)


@pytest.mark.parametrize("name", ["x" * 151, "x" * 5000, "a\x00b", "💥" * 100, "", " "])
@pytest.mark.parametrize("door", DOORS)
def test_odd_names_break_nothing(ann: User, door: Door, name: str) -> None:
    assert door(name, "wrong") in (200, 400, 401)


def test_the_person_is_told_once_and_it_is_in_the_audit(ann: User) -> None:
    for _ in range(8):
        page("ann", "wrong")
        page("nobody", "wrong")
    entries = AuditEntry.objects.filter(verb="person.lockout")
    assert [(entry.actor, entry.object_label) for entry in entries] == [("system", "ann")]
    assert entries[0].after == {"address": HERE}


def lock(name: str) -> None:
    for _ in range(4):
        page(name, "wrong", "127.0.0.1")


def bulk(client: Client, screen: str, action: str, *rows: Any) -> Any:
    form = {"action": action, "_selected_action": [row.pk for row in rows]}
    return client.post(reverse(f"admin:{screen}_changelist"), form, follow=True)


def test_ops_unlock_in_the_admin(ann: User) -> None:
    client = Client()
    client.force_login(world.ops())
    lock("ann")
    bulk(client, "permissions_user", "unlock", ann)
    assert page("ann", PASSWORD, "127.0.0.1") == 302
    lock("nobody")
    bulk(client, "axes_accessattempt", "forget", AccessAttempt.objects.get(username="nobody"))
    assert page("nobody", "wrong", "127.0.0.1") == 200
    told = [entry.after for entry in AuditEntry.objects.filter(verb="person.unlock")]
    assert [after["name"] for after in told if after] == ["nobody", "ann"]


def test_changing_ones_password_is_no_way_around_it(ann: User) -> None:
    client = Client()
    client.force_login(ann)
    form = {"old": "wrong", "new": "another-battery-staple", "again": "another-battery-staple"}
    codes = [client.post("/me/password/", form).status_code for _ in range(5)]
    assert codes == [422, 422, 422, 429, 429]
    assert client.post("/me/password/", {**form, "old": PASSWORD}).status_code == 429


class ShorterHasher(PBKDF2PasswordHasher):
    """The portal's own with fewer turns: still far more work than all the rest of a sign-in."""

    iterations = 200_000


def test_who_exists_is_not_told_by_the_time_it_takes(db: Any, settings: Any) -> None:
    """Real hashes: the medians differ by less than half of what one hash costs. It is the processor's time that is
    measured, which others who use the machine do not lengthen."""
    settings.PASSWORD_HASHERS = ["tests.permissions.test_lockout.ShorterHasher"]
    settings.LOCKOUT_FAILURES = settings.AXES_FAILURE_LIMIT = settings.LOCKOUT_FAILURES_OF_ADDRESS = 1000
    world.person("there", password=PASSWORD)
    world.person("robot", is_service=True)
    taken: dict[str, list[float]] = {"there": [], "absent": [], "robot": []}
    for _ in range(7):
        for name, times in taken.items():
            began = time.thread_time()
            page(name, "wrong")
            times.append(time.thread_time() - began)
    medians = {name: sorted(times)[3] for name, times in taken.items()}
    assert max(medians.values()) - min(medians.values()) < max(medians.values()) / 2, medians

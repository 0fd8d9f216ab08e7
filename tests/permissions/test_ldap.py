"""Signing in with a directory, against Debian's own slapd: who may become whom, and which teams follow."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client

from fangduoduo_release.audit.models import AuditEntry
from permissions.ldap import common_name
from permissions.models import SignedIn, User
from permissions.tokens import user_of_basic
from tests import world
from tests.simulators.slapd import BASE, Slapd

from .conftest import PASSWORD, sign_in, signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(900)]
THEIRS = "password of the directory"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with Slapd(tmp_path_factory.mktemp("slapd")) as directory:
        lin = directory.person("lin", THEIRS, givenName="Lin", sn="Wang", mail="lin@example.com")
        other = directory.person("other", THEIRS)
        for name in ("admin", "ann", "robot"):
            directory.person(name, THEIRS)
        directory.group("release-ops", lin, other)
        directory.group("canteen", lin)
        yield directory


@pytest.fixture
def directory(served: Slapd, settings: Any, quick_hashes: None) -> Slapd:
    settings.LDAP_AUTH_URL = [served.url]
    settings.LDAP_AUTH_SEARCH_BASE = f"ou=people,{BASE}"
    settings.LDAP_GROUPS = f"ou=groups,{BASE}"
    settings.LDAP_AUTH_CONNECT_TIMEOUT = settings.LDAP_AUTH_RECEIVE_TIMEOUT = 120  # it does answer, however late
    settings.AUTHENTICATION_BACKENDS = [*settings.AUTHENTICATION_BACKENDS, "permissions.ldap.DirectoryBackend"]
    return served


def comes_in(name: str, password: str = THEIRS) -> bool:
    client = Client()
    return sign_in(client, name, password).status_code == 302 and signed_in(client)


def test_somebody_of_the_directory_comes_in_and_is_known(directory: Slapd) -> None:
    assert "Use your company account." in Client().get("/sign-in/").content.decode()
    assert comes_in("lin")
    lin = User.objects.get()
    assert (lin.username, lin.first_name, lin.last_name, lin.email) == ("lin", "Lin", "Wang", "lin@example.com")
    assert lin.external == f"ldap:uid=lin,ou=people,{BASE}"
    assert not lin.has_usable_password()
    assert SignedIn.objects.get().how == "ldap"
    assert AuditEntry.objects.filter(verb="person.sign_in", actor="lin").exists()
    assert comes_in("lin")
    assert User.objects.count() == 1


def test_git_knows_them_too(directory: Slapd) -> None:
    header = "Basic " + base64.b64encode(f"lin:{THEIRS}".encode()).decode()
    found = user_of_basic(header)
    assert found is not None
    assert found.username == "lin"


@pytest.mark.parametrize(
    ("name", "password"),
    [("lin", "wrong"), ("lin", ""), ("nobody", THEIRS), ("*", THEIRS), ("li*", THEIRS), ("lin)(uid=*", THEIRS),
     ("lin,ou=people", THEIRS), ("lin\\2a", THEIRS), (f"lin,ou=people,{BASE}", THEIRS), ("cn=root", "root-of-the-directory")],
)  # fmt: skip
def test_nobody_else_does(directory: Slapd, name: str, password: str) -> None:
    assert not comes_in(name, password)
    assert not User.objects.exists()


@pytest.mark.parametrize("typed", ["admin", "Admin", "ADMIN", "aDmIn"])
def test_a_namesake_takes_over_no_account_made_here_however_it_is_typed(
    directory: Slapd, settings: Any, typed: str
) -> None:
    """The directory ignores case, the portal does not: what it calls them is asked again."""
    settings.LINK_EXISTING_ACCOUNTS = True
    root = User.objects.create_superuser("admin", password=PASSWORD)
    assert not comes_in(typed)
    assert User.objects.count() == 1
    root.refresh_from_db()
    assert root.external == ""
    assert comes_in("admin", PASSWORD), "who was made here comes in with what is kept here"


def test_an_ordinary_account_is_taken_over_only_where_that_is_allowed(directory: Slapd, settings: Any) -> None:
    ann = world.person("ann", password=PASSWORD)
    assert not comes_in("ann")
    settings.LINK_EXISTING_ACCOUNTS = True
    assert comes_in("ann")
    ann.refresh_from_db()
    assert ann.external.startswith("ldap:")


def test_service_accounts_and_inactive_people_do_not_come_in(directory: Slapd, settings: Any) -> None:
    settings.LINK_EXISTING_ACCOUNTS = True
    world.person("robot", is_service=True)
    assert not comes_in("robot")
    assert comes_in("lin")
    User.objects.filter(username="lin").update(is_active=False)
    assert not comes_in("lin")


def test_wrong_passwords_are_counted_before_the_directory_is_asked(directory: Slapd, settings: Any) -> None:
    settings.LOCKOUT_FAILURES = settings.AXES_FAILURE_LIMIT = 3
    codes = [sign_in(Client(), "lin", "wrong").status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    assert sign_in(Client(), "lin", THEIRS).status_code == 429


def teams(name: str) -> set[str]:
    return set(User.objects.get(username=name).groups.values_list("name", flat=True))


def test_teams_follow_groups_and_leave_with_them(directory: Slapd, settings: Any) -> None:
    ops = Group.objects.create(name="ops")
    ops.permissions.add(Permission.objects.get(codename="ops", content_type__app_label="permissions"))
    settings.LDAP_GROUP_TEAMS = {"release-ops": "ops", "night-shift": "night"}
    assert comes_in("other")
    other = User.objects.get(username="other")
    assert teams("other") == {"ops"}
    assert other.is_ops
    assert other.is_staff
    directory.leave("release-ops", f"uid=other,ou=people,{BASE}")
    assert comes_in("other")
    assert teams("other") == set()
    assert not User.objects.get(username="other").is_staff
    assert AuditEntry.objects.filter(verb="person.teams").count() == 2


def test_without_a_mapping_teams_are_ours_alone(directory: Slapd) -> None:
    assert comes_in("lin")
    User.objects.get().groups.add(Group.objects.create(name="backend"))
    assert comes_in("lin")
    assert teams("lin") == {"backend"}


def test_a_directory_that_is_away_stops_nobody_made_here(directory: Slapd, settings: Any) -> None:
    settings.LDAP_AUTH_URL = ["ldap://127.0.0.1:9"]
    settings.LDAP_AUTH_CONNECT_TIMEOUT = 1
    User.objects.create_superuser("root", password=PASSWORD)
    assert comes_in("root", PASSWORD)
    answer = sign_in(Client(), "lin", THEIRS)
    assert answer.status_code == 200, "a refusal, not an error"


@pytest.mark.parametrize(
    ("dn", "name"),
    [("cn=release-ops,ou=groups,dc=example,dc=com", "release-ops"), ("CN=Ops,OU=x", "Ops"), ("", ""), ("nonsense", "")],
)
def test_a_groups_short_name(dn: str, name: str) -> None:
    assert common_name(dn) == name

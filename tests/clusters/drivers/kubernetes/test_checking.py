"""The look at a cluster: what it is, who we are there, and by name what the account may not do and what that costs."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import product
from typing import Any

import orjson
import pytest
import yaml

from clusters.drivers.runtime.kubernetes import checking
from clusters.drivers.runtime.kubernetes.api import Api
from clusters.drivers.runtime.kubernetes.checking import FOLLOW_NODES, IN_NAMESPACE, NEEDED, WISHED, check, too_old
from fangduoduo_release.common.errors import AppError, Rejected, Unavailable

from .ground import RBAC, Asked, Authority, RawServer, access, answer, failure

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
Grant = tuple[str, str, str]  # namespace ("" for all), verb, resource as we name it
ALL = {(right.verb, right.named) for right in (*IN_NAMESPACE, *FOLLOW_NODES)}


class Account(RawServer):
    """A Kubernetes that has these namespaces and lets us do what was granted; it counts what it is asked."""

    def __init__(self, authority: Authority) -> None:
        super().__init__(authority.server())
        self.granted: set[Grant] = set()
        self.reviews: list[dict[str, Any]] = []
        self.has("shop-test", "shop-prod")
        self.say["/version"] = answer(200, {"major": "1", "minor": "33", "gitVersion": "v1.33.13"})
        self.say["/apis/authentication.k8s.io/v1/selfsubjectreviews"] = answer(
            201, {"kind": "SelfSubjectReview", "status": {"userInfo": {"username": "system:serviceaccount:x:portal"}}}
        )
        self.say[REVIEWS] = self.review

    def has(self, *names: str) -> None:
        for name in names:
            self.say[f"/api/v1/namespaces/{name}"] = answer(200, {"kind": "Namespace"})

    def grant(self, namespace: str, rights: Iterable[tuple[str, str]]) -> None:
        self.granted |= {(namespace, verb, name) for verb, name in rights}

    def take(self, namespace: str, verb: str, name: str) -> None:
        self.granted.remove((namespace, verb, name))

    def review(self, connection: Any, asked: Asked) -> bool:
        what = orjson.loads(asked.body)["spec"]["resourceAttributes"]
        self.reviews.append(what)
        name = f"{what['resource']}.{what['group']}" if what["group"] else what["resource"]
        name += f"/{what['subresource']}" if "subresource" in what else ""
        places = {"", what.get("namespace", "")}
        allowed = any((place, what["verb"], name) in self.granted for place in places)
        connection.sendall(answer(201, {"kind": "SelfSubjectAccessReview", "status": {"allowed": allowed}}))
        return True


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who saves a connection waits ten seconds at most; a busy machine may need longer for all these questions."""
    monkeypatch.setattr(checking, "WHOLE_S", 120.0)
    monkeypatch.setattr(checking, "ONE_S", 60.0)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def account(authority: Authority) -> Iterator[Account]:
    with Account(authority) as found:
        yield found


@pytest.fixture
def api(account: Account, authority: Authority) -> Iterator[Api]:
    found = Api(access(account, authority))
    yield found
    found.close()


def said(sentences: Iterable[Any]) -> list[str]:
    return [str(one) for one in sentences]


def test_an_account_that_may_do_all_lacks_nothing(account: Account, api: Api) -> None:
    account.grant("", ALL)
    found = check(api, ["shop-prod", "shop-test"])
    assert (found.ok, found.missing, found.lost) == (True, (), ())
    assert (found.version, found.user) == ("1.33.13", "system:serviceaccount:x:portal")
    assert str(found.sentence) == "Kubernetes 1.33.13 answers; signed in as “system:serviceaccount:x:portal”."
    assert len(account.reviews) == len(ALL)  # what holds everywhere is not asked again for each namespace


def test_rights_in_namespaces_are_enough_to_deploy_there(account: Account, api: Api) -> None:
    account.grant("shop-test", ALL)
    found = check(api, ["shop-test"])
    assert found.ok
    assert said(found.lost) == [
        "The cluster cannot be followed as a whole; each machine's namespace is followed by itself.",
        "Nodes and what they can hold are not shown.",
    ]
    assert "may not list, watch nodes in the whole cluster" in said(found.missing)
    assert "may not list, watch pods in the whole cluster" in said(found.missing)
    assert not [one for one in said(found.missing) if "shop-test" in one]
    assert str(found.sentence) == "Kubernetes 1.33.13 answers; some of what the portal can do will not work."


@pytest.mark.parametrize("right", sorted({(right.verb, right.named) for right in NEEDED}))
def test_each_needed_right_is_missed_by_name(account: Account, api: Api, right: tuple[str, str]) -> None:
    account.grant("", {(one.verb, one.named) for one in FOLLOW_NODES})
    for namespace in ("shop-test", "shop-prod"):
        account.grant(namespace, ALL)
    account.take("shop-test", *right)
    found = check(api, ["shop-test", "shop-prod"])
    assert not found.ok
    assert said(found.missing)[0] == f"may not {right[0]} {right[1]} in shop-test"
    assert not [one for one in said(found.missing) if "shop-prod" in one]
    assert "lacks what the portal needs" in str(found.sentence)


@pytest.mark.parametrize(("wish", "number"), [(wish, n) for n, wish in enumerate(WISHED)])
def test_each_wished_right_says_what_does_not_work_without_it(
    account: Account, api: Api, wish: checking.Wish, number: int
) -> None:
    account.grant("", ALL - {(one.verb, one.named) for one in wish.rights})
    found = check(api, ["shop-test"])
    assert found.ok
    assert said(found.lost) == [wish.lost.msgid % {"namespace": "shop-test"}]
    names = dict.fromkeys(one.named for one in wish.rights)
    verbs = {name: ", ".join(one.verb for one in wish.rights if one.named == name) for name in names}
    assert said(found.missing) == [f"may not {verbs[name]} {name} in shop-test" for name in names]


def test_verbs_of_one_resource_are_one_line(account: Account, api: Api) -> None:
    account.grant("", {("list", "nodes"), ("watch", "nodes")})
    found = check(api, ["shop-test"])
    lines = said(found.missing)
    assert "may not list, watch, get, create, patch, delete deployments.apps in shop-test" in lines
    assert "may not get, create pods/exec in shop-test" in lines
    assert len(lines) == len(set(lines))


def test_a_namespace_that_is_not_there_is_named_first(account: Account, api: Api) -> None:
    account.grant("", ALL)
    found = check(api, ["shop-live", "shop-test"])
    assert not found.ok
    assert said(found.missing) == ["there is no namespace shop-live"]


def test_who_may_not_look_at_namespaces_is_not_told_that_one_is_missing(account: Account, api: Api) -> None:
    account.grant("", ALL)
    account.say["/api/v1/namespaces/shop-test"] = failure(403, "namespaces is forbidden")
    assert check(api, ["shop-test"]).ok


def test_without_machines_there_is_nothing_to_ask_in_namespaces(account: Account, api: Api) -> None:
    found = check(api, [])
    assert found.ok
    assert "once a machine names one" in str(found.sentence)
    assert not [one for one in account.reviews if one.get("namespace")]


def test_an_old_server_is_said_to_be_old_and_still_used(account: Account, api: Api) -> None:
    account.grant("", ALL)
    account.say["/version"] = answer(200, {"gitVersion": "v1.26.4-gke.500"})
    account.say["/apis/authentication.k8s.io/v1/selfsubjectreviews"] = failure(404, "the server could not find it")
    found = check(api, ["shop-test"])
    assert (found.ok, found.version, found.user) == (True, "1.26.4-gke.500", "")
    assert "older than 1.27" in said(found.lost)[0]


@pytest.mark.parametrize(("version", "old"), [("1.26.9", True), ("1.27.0", False), ("1.33.13", False), ("2.0", False)])
def test_which_versions_are_old(version: str, old: bool) -> None:
    assert too_old(version) is old


@pytest.mark.parametrize(
    ("said_by_it", "kind", "words"),
    [
        (failure(401, "Unauthorized"), Rejected, "does not accept the connection's token"),
        (failure(403, "no"), Rejected, "may not do this"),
        (failure(503, "starting"), Unavailable, "not ready (503)"),
        (answer(404, b"<html>nginx</html>"), Rejected, "no Kubernetes API server (404)"),
        (answer(302, b"", "Location: https://sso.example/"), Rejected, "no Kubernetes API server (302)"),
        (answer(200, {"name": "something else"}), Rejected, "no Kubernetes API server (200)"),
        (answer(200, b"<html>"), Rejected, "not an object of Kubernetes"),
    ],
)
def test_what_answers_wrongly_is_told_in_a_sentence(
    account: Account, api: Api, said_by_it: bytes, kind: type[AppError], words: str
) -> None:
    account.say["/version"] = said_by_it
    with pytest.raises(kind) as error:
        check(api, ["shop-test"])
    assert words in str(error.value.sentence)
    assert account.reviews == []


def test_a_token_that_opens_the_version_only_is_refused_by_the_first_question(account: Account, api: Api) -> None:
    account.say[REVIEWS] = failure(401, "Unauthorized")
    with pytest.raises(Rejected) as error:
        check(api, ["shop-test"])
    assert error.value.code == "unauthorized"


def test_many_namespaces_are_asked_about_at_once(account: Account, api: Api) -> None:
    names = [f"team-{n}" for n in range(20)]
    account.has(*names)
    for name in names:
        account.grant(name, ALL)
    account.take("team-7", "patch", "deployments.apps")
    together = threading.Barrier(2)
    first = [together.wait, together.wait]

    def review(connection: Any, asked: Asked) -> bool:
        """The first question is answered once there is a second one."""
        with suppress(IndexError):
            first.pop()(60)
        return account.review(connection, asked)

    account.say[REVIEWS] = review
    found = check(api, names)
    assert first == []
    assert said(found.missing)[0] == "may not patch deployments.apps in team-7"
    assert len(account.reviews) == len(ALL) + 20 * len({(one.verb, one.named) for one in IN_NAMESPACE})


def test_a_server_that_is_too_slow_is_said_to_be_so(
    account: Account, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "WHOLE_S", 0.3)
    account.say[REVIEWS] = lambda connection, asked: account.closing.wait(60) and None
    with pytest.raises(Rejected) as error:
        check(api, ["shop-test"])
    assert "too slowly to be asked for all rights" in str(error.value.sentence)


# --- the manifest grants exactly what is asked for --------------------------------------------------------------------
def rules(name: str) -> set[tuple[str, str]]:
    """(verb, resource as we name it) of a ClusterRole in the manifest."""
    documents = list(yaml.safe_load_all(RBAC.read_text()))
    role = next(one for one in documents if one["kind"] == "ClusterRole" and one["metadata"]["name"] == name)
    found = set()
    for rule in role["rules"]:
        for group, resource, verb in product(rule["apiGroups"], rule["resources"], rule["verbs"]):
            plain, _, sub = resource.partition("/")
            key = f"{plain}.{group}" if group else plain
            found.add((verb, f"{key}/{sub}" if sub else key))
    return found


def test_the_manifest_grants_in_a_namespace_exactly_what_is_asked_for() -> None:
    assert rules("fangduoduo-release-deploy") == {(one.verb, one.named) for one in IN_NAMESPACE}


def test_the_manifest_grants_in_the_whole_cluster_exactly_what_following_needs() -> None:
    assert rules("fangduoduo-release-follow") == {(one.verb, one.named) for one in (*checking.FOLLOW, *FOLLOW_NODES)}


def test_the_manifest_binds_the_account_that_its_token_belongs_to() -> None:
    documents = list(yaml.safe_load_all(RBAC.read_text()))
    by_kind = {one["kind"]: one for one in documents}
    account = by_kind["ServiceAccount"]["metadata"]
    assert by_kind["Secret"]["metadata"]["annotations"]["kubernetes.io/service-account.name"] == account["name"]
    subject = by_kind["ClusterRoleBinding"]["subjects"][0]
    assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"])
    assert [one["roleRef"]["name"] for one in documents if one["kind"] == "ClusterRoleBinding"] == [
        "fangduoduo-release-follow"  # the right to deploy is bound in namespaces alone
    ]

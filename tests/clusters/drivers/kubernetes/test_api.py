"""The client towards an API server: every answer is judged, nothing is waited for without end, our token goes nowhere else."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import orjson
import pytest

from clusters.drivers.runtime.kubernetes import api as client
from clusters.drivers.runtime.kubernetes.access import Access
from clusters.drivers.runtime.kubernetes.api import APPLY_PATCH, Api
from clusters.drivers.runtime.kubernetes.async_api import AsyncApi
from clusters.drivers.runtime.kubernetes.names import DEPLOYMENTS, NAMESPACES, PODS
from fangduoduo_release.common.errors import AppError, Conflict, Invalid, NotFound, Rejected, Unavailable
from tests.portal import free_port
from tests.waiting import until

from .ground import TOKEN, Asked, Authority, RawServer, access, answer, failure

PODS_PATH = "/api/v1/namespaces/shop/pods"
POD_PATH = f"{PODS_PATH}/web"
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def server(authority: Authority) -> Iterator[RawServer]:
    with RawServer(authority.server()) as found:
        yield found


@pytest.fixture
def api(server: RawServer, authority: Authority) -> Iterator[Api]:
    found = Api(access(server, authority))
    yield found
    found.close()


def raised(call: Any) -> AppError:
    with pytest.raises(AppError) as error:
        call()
    for told in (str(error.value.sentence), repr(error.value), str(getattr(error.value, "evidence", ""))):
        assert TOKEN not in told
    return error.value


# --- what is sent ---------------------------------------------------------------------------------------------------
def test_a_request_says_who_asks_and_for_what(api: Api, server: RawServer) -> None:
    server.say[POD_PATH] = answer(200, {"kind": "Pod", "metadata": {"name": "web"}})
    assert api.get(PODS, "shop", "web") == {"kind": "Pod", "metadata": {"name": "web"}}
    asked = server.asked[0]
    assert (asked.method, asked.target) == ("GET", POD_PATH)
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"
    assert asked.headers["user-agent"] == "fangduoduo-release"
    assert asked.headers["accept"] == "application/json"


def test_an_apply_goes_under_our_name_and_strictly(api: Api, server: RawServer) -> None:
    path = "/apis/apps/v1/namespaces/shop/deployments/web"
    server.say[path] = answer(201, {"kind": "Deployment"})
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"x": "ü"}}}
    assert api.apply(DEPLOYMENTS, "shop", manifest, dry_run=True).status == 201
    api.apply(DEPLOYMENTS, "shop", manifest, force=True)
    first, second = server.asked
    assert first.method == "PATCH"
    assert first.target.partition("?")[2] == "fieldManager=fangduoduo-release&fieldValidation=Strict&dryRun=All"
    assert second.target.partition("?")[2] == "fieldManager=fangduoduo-release&fieldValidation=Strict&force=true"
    assert first.headers["content-type"] == APPLY_PATCH
    assert orjson.loads(first.body) == manifest


def test_a_delete_takes_what_belongs_to_it_and_can_mean_that_very_one(api: Api, server: RawServer) -> None:
    server.say[POD_PATH] = answer(200, {"kind": "Status", "status": "Success"})
    assert api.delete(PODS, "shop", "web", uid="u-1")
    assert orjson.loads(server.asked[0].body) == {"propagationPolicy": "Background", "preconditions": {"uid": "u-1"}}
    server.say[DEPLOYMENTS.path("shop", "web")] = answer(200, {"kind": "Deployment"})
    assert api.delete(DEPLOYMENTS, "shop", "web")
    assert orjson.loads(server.asked[1].body) == {"propagationPolicy": "Foreground"}, "it goes after its pods"
    server.say[POD_PATH] = failure(409, "the UID in the precondition does not match")
    assert not api.delete(PODS, "shop", "web", uid="u-1")
    assert isinstance(raised(lambda: api.delete(PODS, "shop", "web")), Conflict)
    server.say[POD_PATH] = failure(404, "not found")
    assert not api.delete(PODS, "shop", "web")


def test_a_list_is_read_page_by_page_and_each_object_knows_its_kind(api: Api, server: RawServer) -> None:
    def pages(connection: socket.socket, asked: Asked) -> None:
        first = "continue=" not in asked.target
        page = {
            "kind": "PodList",
            "metadata": {"continue": "ab/c=="} if first else {},
            "items": [{"metadata": {"name": "one" if first else "two"}}],
        }
        connection.sendall(answer(200, page, "Connection: close"))

    server.say[PODS_PATH] = pages
    found = api.list(PODS, "shop", labels="a=b,c in (d)", fields="spec.nodeName=x")
    assert [(one["kind"], one["apiVersion"], one["metadata"]["name"]) for one in found] == [
        ("Pod", "v1", "one"),
        ("Pod", "v1", "two"),
    ]
    query = server.asked[1].target.partition("?")[2]
    assert "labelSelector=a%3Db%2Cc+in+%28d%29" in query
    assert "continue=ab%2Fc%3D%3D" in query


def test_a_token_in_a_file_is_read_anew_for_each_request(
    server: RawServer, authority: Authority, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    server.say["/version"] = answer(200, {})
    api = Api(access(server, authority, token="", token_file=str(file)))
    api.ask("GET", "/version")
    file.write_text("second\n")
    api.ask("GET", "/version")
    assert [one.headers["authorization"] for one in server.asked] == ["Bearer first", "Bearer second"]
    assert len({id(api)}) == 1


def test_a_client_certificate_is_shown(authority: Authority) -> None:
    pair = authority.server()
    with RawServer(authority.server()) as server:
        assert server._context is not None
        server._context.verify_mode = 2  # CERT_REQUIRED
        server._context.load_verify_locations(cadata=authority.pem)
        server.say["/version"] = answer(200, {})
        shown = Api(access(server, authority, token="", certificate=pair.certificate.decode(), key=pair.key.decode()))
        assert shown.ask("GET", "/version").ok
        assert "authorization" not in server.asked[0].headers
        assert isinstance(raised(lambda: Api(access(server, authority)).ask("GET", "/version")), Unavailable)


# --- how answers are judged -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "message", "kind", "code", "words"),
    [
        (401, "Unauthorized", Rejected, "unauthorized", "does not accept the connection's token"),
        (403, 'pods is forbidden: User "x" cannot list resource "pods"', Rejected, "forbidden", "may not do this"),
        (403, "exceeded quota: q, requested: pods=1, used: pods=2", Rejected, "quota", "quota is used up"),
        (
            403,
            'admission webhook "policy.example" denied the request: no',
            Rejected,
            "webhook_denied",
            "webhook refused",
        ),
        (
            400,
            'admission webhook "policy.example" denied the request: no',
            Rejected,
            "webhook_denied",
            "webhook refused",
        ),
        (400, "the body is odd", Invalid, "invalid_manifest", "finds it invalid"),
        (409, "Apply failed with 1 conflict", Conflict, "conflict", "out of date"),
        (422, 'Deployment.apps "x" is invalid: spec.strategy', Invalid, "invalid_manifest", "finds it invalid"),
        (
            410,
            "The provided continue parameter is too old",
            Unavailable,
            "unavailable",
            "changed faster than it was read",
        ),
        (413, "Request entity too large: limit is 3145728", Invalid, "invalid_manifest", "too large for the cluster"),
        (500, "etcdserver: request is too large", Invalid, "invalid_manifest", "too large for the cluster"),
        (429, "too many requests", Unavailable, "unavailable", "overloaded or not ready (429)"),
        (500, ".spec.replicaz: field not declared in schema", Invalid, "invalid_manifest", "does not know"),
        (
            500,
            "failed to create typed patch object: .spec.replicas: expected numeric (int or float), got string",
            Invalid,
            "invalid_manifest",
            "finds it invalid",
        ),
        (
            500,
            "failed to convert new object to proper version: unable to convert unstructured object to apps/v1, "
            "Kind=Deployment: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            Invalid,
            "invalid_manifest",
            "quantities must match",
        ),
        (500, "etcdserver: request timed out", Unavailable, "unavailable", "overloaded or not ready (500)"),
        (503, "shutting down", Unavailable, "unavailable", "overloaded or not ready (503)"),
        (405, "the server does not allow this method", Rejected, "rejected", "refused it (405)"),
    ],
)
def test_what_is_no_success_becomes_our_error(
    api: Api, server: RawServer, status: int, message: str, kind: type[AppError], code: str, words: str
) -> None:
    server.say[POD_PATH] = failure(status, message)
    error = raised(lambda: api.get(PODS, "shop", "web"))
    assert type(error) is kind
    assert error.code == code
    assert words in str(error.sentence)
    if isinstance(error, Rejected | Unavailable):
        assert error.evidence == message


def test_what_is_not_there_is_none_or_an_error_by_what_was_asked(api: Api, server: RawServer) -> None:
    assert api.get(PODS, "shop", "web") is None
    assert isinstance(raised(lambda: api.call("GET", POD_PATH)), NotFound)
    assert api.ask("GET", POD_PATH).status == 404


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"", b"[1]", b"\xff\xfe", b'{"a":'])
def test_a_success_that_is_no_object_is_refused_with_what_came(api: Api, server: RawServer, body: bytes) -> None:
    server.say[POD_PATH] = answer(200, body)
    error = raised(lambda: api.get(PODS, "shop", "web"))
    assert isinstance(error, Rejected)
    assert "not an object of Kubernetes" in str(error.sentence)
    assert error.evidence == body.decode(errors="replace")


def test_a_long_reason_is_cut_and_html_is_evidence(api: Api, server: RawServer) -> None:
    server.say[POD_PATH] = failure(403, "x" * 100_000)
    error = raised(lambda: api.get(PODS, "shop", "web"))
    assert isinstance(error, Rejected)
    assert len(str(error.sentence)) < 500
    assert len(error.evidence) <= 2000
    server.say[POD_PATH] = answer(502, b"<html>bad gateway</html>")
    error = raised(lambda: api.get(PODS, "shop", "web"))
    assert isinstance(error, Unavailable)
    assert error.evidence == "<html>bad gateway</html>"


# --- what goes wrong on the way ---------------------------------------------------------------------------------------
def test_a_redirect_is_not_followed_and_takes_no_token_along(api: Api, server: RawServer, authority: Authority) -> None:
    with RawServer(authority.server()) as elsewhere:
        elsewhere.say["/stolen"] = answer(200, {"kind": "Pod"})
        for status in (301, 302, 303, 307, 308):
            server.say[POD_PATH] = answer(status, b"", f"Location: {elsewhere.url}/stolen")
            assert api.ask("GET", POD_PATH).status == status
            assert isinstance(raised(lambda: api.get(PODS, "shop", "web")), Rejected)
        assert elsewhere.asked == []
    assert len(server.asked) == 10


def test_silence_ends_at_the_deadline(api: Api, server: RawServer) -> None:
    server.say["/version"] = answer(200, {})
    assert api.ask("GET", "/version").ok  # connected: what is timed is the silence alone
    server.say[POD_PATH] = lambda connection, asked: server.closing.wait(600) and None
    began = time.monotonic()
    error = raised(lambda: api.ask("GET", POD_PATH, timeout_s=0.5))
    assert time.monotonic() - began < 60
    assert isinstance(error, Unavailable)
    assert "does not answer" in str(error.sentence)
    until(lambda: len(server.asked) >= 2)
    assert [asked.target for asked in server.asked] == ["/version", POD_PATH], "asking again is our callers' to say"


def test_an_answer_that_trickles_ends_too(api: Api, server: RawServer) -> None:
    def trickle(connection: socket.socket, asked: Asked) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not server.closing.wait(0.1):
            connection.sendall(b" ")

    server.say[POD_PATH] = trickle
    began = time.monotonic()
    error = raised(lambda: api.ask("GET", POD_PATH, timeout_s=1.0))
    assert time.monotonic() - began < 60
    assert isinstance(error, Unavailable)


@pytest.mark.parametrize(
    "said",
    [
        b'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"kind":',
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"kin\r\n',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 2",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
    ids=["cut", "cut chunk", "broken chunk", "half a line", "another protocol", "closed"],
)
def test_half_an_answer_is_no_answer(api: Api, server: RawServer, said: bytes) -> None:
    server.say[POD_PATH] = lambda connection, asked: connection.sendall(said)
    error = raised(lambda: api.get(PODS, "shop", "web"))
    assert isinstance(error, Unavailable)
    server.say[POD_PATH] = answer(200, {"kind": "Pod"})
    assert api.get(PODS, "shop", "web") == {"kind": "Pod"}


def test_a_connection_that_was_closed_meanwhile_is_made_anew(api: Api, server: RawServer) -> None:
    server.say["/version"] = lambda connection, asked: connection.sendall(answer(200, {"n": 1}))  # and closes
    for number in range(1, 4):
        assert api.call("GET", "/version") == {"n": 1}
        until(lambda number=number: server.closed == number, what="its end of the connection to be closed")


def test_nobody_listens(server: RawServer, authority: Authority) -> None:
    there = access(server, authority, server=f"https://127.0.0.1:{free_port()}")
    error = raised(lambda: Api(there).ask("GET", "/version"))
    assert isinstance(error, Unavailable)
    assert "does not answer" in str(error.sentence)


def test_a_large_answer_arrives_whole(api: Api, server: RawServer) -> None:
    items = [{"metadata": {"name": f"pod-{n}", "annotations": {"x": "y" * 4000}}} for n in range(5000)]
    server.say[PODS_PATH] = answer(200, {"kind": "PodList", "metadata": {}, "items": items})
    found = api.list(PODS, "shop")
    assert len(found) == 5000
    assert found[-1]["metadata"]["name"] == "pod-4999"


# --- TLS ----------------------------------------------------------------------------------------------------------------
def test_a_server_of_another_ca_gets_no_token(server: RawServer) -> None:
    error = raised(lambda: Api(access(server, Authority())).ask("GET", "/version"))
    assert isinstance(error, Unavailable)
    assert error.code == "bad_certificate"
    assert server.asked == []


def test_what_the_machine_trusts_is_not_enough_and_no_ca_means_the_machines(server: RawServer) -> None:
    assert raised(lambda: Api(access(server)).ask("GET", "/version")).code == "bad_certificate"
    assert server.asked == []


def test_the_name_in_the_certificate_must_be_the_servers(authority: Authority) -> None:
    with RawServer(authority.server("kubernetes")) as server:
        server.say["/version"] = answer(200, {"gitVersion": "v1.33.0"})
        assert raised(lambda: Api(access(server, authority)).ask("GET", "/version")).code == "bad_certificate"
        wrong = access(server, authority, server_name="other")
        assert raised(lambda: Api(wrong).ask("GET", "/version")).code == "bad_certificate"
        assert server.asked == []
        assert Api(access(server, authority, server_name="kubernetes")).ask("GET", "/version").ok


def test_without_the_check_any_certificate_will_do(server: RawServer) -> None:
    server.say["/version"] = answer(200, {})
    assert Api(access(server, insecure=True)).ask("GET", "/version").ok


def test_plain_http_is_spoken_where_it_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CONNECT_S", 1.0)  # who speaks plainly never answers a handshake
    with RawServer() as server:
        server.say["/version"] = answer(200, {})
        assert Api(access(server)).ask("GET", "/version").ok
        assert not Api(access(server, server=server.url.replace("http:", "https:"))).access.server.startswith("http:")
        error = raised(lambda: Api(access(server, server=server.url.replace("http:", "https:"))).ask("GET", "/"))
        assert isinstance(error, Unavailable)


def test_the_environment_changes_nothing(
    server: RawServer, authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "ca.pem"
    other.write_text(Authority().pem)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(other))
    for name in PROXIES:
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    server.say["/version"] = answer(200, {})
    assert Api(access(server, authority)).ask("GET", "/version").ok


# --- where it may lead --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("host", ["169.254.169.254", "100.100.100.200", "0.0.0.0", "224.0.0.1", "[fe80::1]"])
def test_addresses_that_no_cluster_has_are_not_asked(host: str, authority: Authority) -> None:
    api = Api(access(RawServer(), authority, server=f"https://{host}:6443"))
    error = raised(lambda: api.ask("GET", "/version", timeout_s=1))
    assert isinstance(error, Invalid)
    assert "must not be reached" in str(error.sentence)


# --- threads ------------------------------------------------------------------------------------------------------------
def test_many_threads_share_one_client(api: Api, server: RawServer) -> None:
    names = [f"pod-{n}" for n in range(200)]
    for name in names:
        server.say[f"{PODS_PATH}/{name}"] = answer(200, {"kind": "Pod", "metadata": {"name": name}})
    together = threading.Barrier(16)

    def ask(number: int) -> list[str]:
        together.wait(60)
        found = [api.get(PODS, "shop", name) for name in names[number::16]]
        return [one["metadata"]["name"] for one in found if one]

    with ThreadPoolExecutor(16) as pool:
        found = [name for part in pool.map(ask, range(16)) for name in part]
    assert sorted(found) == sorted(names)


def test_paths_name_what_is_meant() -> None:
    assert NAMESPACES.path(name="shop") == "/api/v1/namespaces/shop"
    assert PODS.path("shop", "web", "log") == "/api/v1/namespaces/shop/pods/web/log"
    assert DEPLOYMENTS.path() == "/apis/apps/v1/deployments"


# --- from an event loop -----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Watched(Access):
    """Remembers where its TLS was prepared."""

    threads: list[threading.Thread] = field(default_factory=list)

    def tls(self) -> ssl.SSLContext | None:
        self.threads.append(threading.current_thread())
        return super().tls()


async def test_a_loop_is_not_held_up_while_certificates_are_read(server: RawServer, authority: Authority) -> None:
    found = access(server, authority)
    watched = Watched(**{one.name: getattr(found, one.name) for one in fields(Access)})
    server.say[POD_PATH] = answer(200, {"kind": "Pod"})
    async with AsyncApi(watched) as api:
        assert (await api.get(POD_PATH)).status == 200
    assert watched.threads
    assert threading.current_thread() not in watched.threads

"""One API server, asked by the official client's REST layer: raw bytes in and out, a deadline on everything.

Typed objects are not used: they cost four times the time and three times the memory. `ask` never judges an answer (the gateway
hands it on); `get`, `apply`, `patch` and the like turn what is no success into our errors, with the server's own reason as
evidence. Safe for several threads.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson
import urllib3
from kubernetes.client.configuration import Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.client.rest import RESTClientObject

from fangduoduo_release.common.errors import AppError, Conflict, Invalid, NotFound, Rejected, Unavailable
from fangduoduo_release.common.sentence import S

from .access import Access, judge_reach
from .names import DEPLOYMENTS, MANAGER, Resource

TIMEOUT_S = 9.0
CONNECT_S = 3.0
PAGE = 500
CHUNK = 256 * 1024
APPLY_PATCH = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"
# Words of a 500 that is no fault of the server's: text where a number belongs; what is no quantity, no base64, no time.
UNREADABLE = ("failed to create typed patch object", "failed to convert new object")
Query = Mapping[str, str | int | bool]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said, unjudged."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> dict[str, Any]:
        """The body as an object. Raises Rejected when it is none."""
        try:
            found = orjson.loads(self.body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Rejected(
                S("The API server answered with something that is not an object of Kubernetes."),
                evidence=self.body[:500].decode(errors="replace"),
            )
        return found


class Api:
    """The server behind one `Access`. Raises Invalid when its certificates cannot be read."""

    def __init__(self, access: Access) -> None:
        self.access = access
        context = access.tls()
        settings = Configuration()
        settings.host = access.server
        settings.retries = False  # whether to ask again is our callers' to say
        settings.verify_ssl = not access.insecure
        settings.proxy = None
        self._rest = RESTClientObject(settings)
        if context is not None:
            kept: dict[str, Any] = {"ssl_context": context}
            if access.server_name:
                kept["server_hostname"] = access.server_name
            self._rest.pool_manager.connection_pool_kw.update(kept)
        self._judged = False

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout_s: float = TIMEOUT_S,
    ) -> Answer:
        """One request, whatever its answer. `body`: an object, or text for a patch. Raises Unavailable, Invalid."""
        until = time.monotonic() + timeout_s
        response = self._open(method, path, query, body, content_type, timeout_s)
        try:
            data = _read(response.response, until)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            response.response.close()
            raise self._away(error) from error
        response.response.release_conn()
        return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, data)

    def _open(self, method: str, path: str, query: Query | None, body: Any, content_type: str, timeout_s: float) -> Any:
        if not self._judged:
            judge_reach(self.access.server)
            self._judged = True
        headers = {"Accept": "application/json", "User-Agent": MANAGER}
        if bearer := self.access.bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        if body is not None:
            headers["Content-Type"] = content_type
            if isinstance(body, str) and content_type.endswith("json"):
                body = orjson.loads(body)  # the client makes JSON of whatever it is given, also of JSON
        url = f"{self.access.server}{path}" + (f"?{urlencode(plain(query))}" if query else "")
        try:
            return self._rest.request(
                method, url, headers=headers, body=body, _request_timeout=(min(CONNECT_S, timeout_s), timeout_s)
            )
        except (urllib3.exceptions.HTTPError, ApiException, OSError) as error:
            raise self._away(error) from error

    def _away(self, error: Exception) -> Unavailable:
        reason = str(getattr(error, "reason", None) or error)
        if "certificate verify failed" in reason.lower() or "CERTIFICATE_VERIFY_FAILED" in reason:
            return Unavailable(
                S("The API server's certificate is not one that the connection trusts."), evidence=reason[:500],
                code="bad_certificate",
            )  # fmt: skip
        return Unavailable(S("The API server does not answer."), evidence=reason[:500])

    # -- what is no success becomes an error ------------------------------------------------------------------------

    def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """As `ask`, and the object of a success. Raises what `judge` makes of anything else."""
        answer = self.ask(method, path, **options)
        if not answer.ok:
            raise judge(answer)
        return answer.json()

    def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        """The object, or None."""
        answer = self.ask("GET", resource.path(namespace, name))
        if answer.status == 404:
            return None
        if not answer.ok:
            raise judge(answer)
        return answer.json()

    def list(
        self, resource: Resource, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> list[dict[str, Any]]:
        """All objects, page by page, each with its kind."""
        return list(self._pages(resource, namespace, labels, fields))

    def _pages(self, resource: Resource, namespace: str, labels: str, fields: str) -> Iterator[dict[str, Any]]:
        query: dict[str, str | int] = {"limit": PAGE}
        query |= {"labelSelector": labels} if labels else {}
        query |= {"fieldSelector": fields} if fields else {}
        while True:
            page = self.call("GET", resource.path(namespace), query=query)
            for item in page.get("items") or []:
                yield {"kind": resource.kind, "apiVersion": resource.api_version, **item}
            more = (page.get("metadata") or {}).get("continue")
            if not more:
                return
            query["continue"] = more

    def apply(
        self,
        resource: Resource,
        namespace: str,
        manifest: Mapping[str, Any],
        *,
        force: bool = False,
        dry_run: bool = False,
        manager: str = MANAGER,
    ) -> Answer:
        """Server-side apply of one object under our field manager; unjudged, because conflicts are read by field."""
        query: dict[str, str] = {"fieldManager": manager, "fieldValidation": "Strict"}
        query |= {"force": "true"} if force else {}
        query |= {"dryRun": "All"} if dry_run else {}
        path = resource.path(namespace, str(manifest["metadata"]["name"]))
        return self.ask("PATCH", path, query=query, body=json.dumps(manifest), content_type=APPLY_PATCH)

    def delete(self, resource: Resource, namespace: str, name: str, uid: str = "") -> bool:
        """Ask for its end, and of what it owns; False when it is not there. `uid`: only that very one.

        A Deployment goes after its pods. Everything else goes at once: in the foreground it would still be there until the
        garbage collector came by, and what is applied to it meanwhile would go with it.
        """
        body: dict[str, Any] = {"propagationPolicy": "Foreground" if resource is DEPLOYMENTS else "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        answer = self.ask("DELETE", resource.path(namespace, name), body=body)
        if answer.status == 404 or (uid and answer.status == 409):
            return False
        if not answer.ok:
            raise judge(answer)
        return True

    def close(self) -> None:
        self._rest.close()


def _read(response: Any, until: float) -> bytes:
    """The whole body, unless it trickles beyond the deadline. Raises TimeoutError."""
    parts = []
    while part := response.read1(CHUNK):
        parts.append(part)
        if time.monotonic() > until:
            raise TimeoutError("the answer did not end in time")
    return b"".join(parts)


def plain(query: Query | None) -> dict[str, str]:
    """Values as they stand in an address."""
    return {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in (query or {}).items()}


def judge(answer: Answer) -> AppError:
    """Our error for an answer that is no success; the server's message is its evidence."""
    status = status_of(answer.body)
    message = str(status.get("message") or "") or answer.body[:500].decode(errors="replace")
    kept = message[:2000]
    if answer.status == 401:
        return Rejected(S("The API server does not accept the connection's token or certificate."), evidence=kept, code="unauthorized")  # fmt: skip
    if answer.status == 403:
        if "exceeded quota" in message:
            return Rejected(
                S("The namespace's quota is used up: %(reason)s", reason=kept[:300]), evidence=kept, code="quota"
            )
        if "admission webhook" in message:
            return Rejected(S("An admission webhook refused it: %(reason)s", reason=kept[:300]), evidence=kept, code="webhook_denied")  # fmt: skip
        return Rejected(S("The connection's account may not do this: %(reason)s", reason=kept[:300]), evidence=kept, code="forbidden")  # fmt: skip
    if answer.status == 404:
        return NotFound(S("The cluster has no such object: %(reason)s", reason=kept[:300]))
    if answer.status == 409:
        return Conflict(S("The API server refused a change that is out of date: %(reason)s", reason=kept[:300]))
    if answer.status in {400, 422}:
        if "admission webhook" in message:
            return Rejected(S("An admission webhook refused it: %(reason)s", reason=kept[:300]), evidence=kept, code="webhook_denied")  # fmt: skip
        return Invalid(S("The API server finds it invalid: %(reason)s", reason=kept[:300]), code="invalid_manifest")
    if answer.status == 500 and "field not declared in schema" in message:
        return Invalid(S("The manifest has a field that Kubernetes does not know: %(reason)s", reason=kept[:300]), code="invalid_manifest")  # fmt: skip
    if answer.status == 500 and any(words in message for words in UNREADABLE):
        return Invalid(S("The API server finds it invalid: %(reason)s", reason=kept[:300]), code="invalid_manifest")
    if answer.status == 413 or (answer.status == 500 and "request is too large" in message):  # more than etcd keeps
        return Invalid(
            S("The object is too large for the cluster: %(reason)s", reason=kept[:300]), code="invalid_manifest"
        )
    if answer.status == 410:  # a list of several pages went on for longer than its version is kept
        return Unavailable(S("The list changed faster than it was read."), evidence=kept)
    if answer.status == 429 or answer.status >= 500:
        return Unavailable(
            S("The API server is overloaded or not ready (%(status)s).", status=answer.status), evidence=kept
        )
    return Rejected(S("The API server refused it (%(status)s): %(reason)s", status=answer.status, reason=kept[:300]), evidence=kept)  # fmt: skip


def status_of(body: bytes) -> dict[str, Any]:
    """The `Status` object that an answer holds; {} when it holds none."""
    try:
        found = orjson.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and found.get("kind") == "Status" else {}

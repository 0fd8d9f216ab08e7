"""One request to the API: what it asks for, whether it may, and the answer."""

from __future__ import annotations

import asyncio
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from . import auth, discovery, selectors, status
from .kinds import BY_PATH, NAMESPACES, PODS, Kind, Object
from .objects import How
from .selectors import both
from .store import Stored

if TYPE_CHECKING:
    from .server import Kubernetes

LIMIT = 3 * 2**20
_SUBS = {"status", "scale", "log", "exec", "finalize"}


@dataclass(frozen=True, slots=True)
class Asked:
    kind: Kind
    namespace: str
    name: str
    sub: str
    verb: str


class Routes:
    """`counts`: how many requests of each verb and resource there were (`list pods`, `watch events`)."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self.kubernetes = kubernetes

    async def handle(self, request: Any) -> web.StreamResponse:
        if self.kubernetes.front.away:  # its connection was not yet made when all others were cut
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError
        line = f"{request.method} {request.path_qs}"
        request._client_max_size = LIMIT
        self.kubernetes.requests.note(line)
        try:
            return await self._met(request, line)
        except status.Refused as refused:
            streaming = request.path.endswith(("/log", "/exec"))
            return self.kubernetes.front.refusal(refused, priority=not streaming)
        except web.HTTPRequestEntityTooLarge:
            said = f"Request entity too large: limit is {LIMIT}"
            return self.kubernetes.front.refusal(status.Refused(413, "RequestEntityTooLarge", said))
        except ConnectionError:
            raise
        except Exception:  # whatever it was, tests look at `failures`
            self.kubernetes.controllers.failures.append(traceback.format_exc())
            raise

    async def _met(self, request: web.Request, line: str) -> web.StreamResponse:
        faults = self.kubernetes.faults
        if request.path.startswith("/__sim__/"):
            return await self.kubernetes.door.answer(request)
        if rule := faults.meet("latency", line):
            await asyncio.sleep(rule.value)
        if rule := faults.meet("reset", line):
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError
        if rule := faults.meet("status", line):
            raise _failure(int(rule.value), rule.retry_after)
        user = self.kubernetes.users.who(request.headers.get("Authorization", ""), _common_name(request))
        if found := self._about(request):
            return found
        if request.path.startswith("/apis/authorization.k8s.io/v1/") and request.method == "POST":
            return await self._review(request, user)
        asked = self._asked(request)
        resource = f"{asked.kind.plural}/{asked.sub}" if asked.sub else asked.kind.plural
        self.kubernetes.requests.count(asked.verb, resource)
        if not user.may(asked.verb, asked.kind.group, resource, asked.namespace, asked.name):
            refused = auth.refusal(user, asked.verb, asked.kind, asked.sub, asked.namespace, asked.name)
            refused.headers["X-Content-Type-Options"] = "nosniff"
            raise refused
        return await self._answer(request, asked, line)

    # -- about the server -------------------------------------------------------------------------------------------

    def _about(self, request: web.Request) -> web.Response | None:
        path = request.path.rstrip("/")
        front = self.kubernetes.front
        if path == "/version":
            return front.json(discovery.VERSION.encode())
        if path == "/openapi/v2":
            if "protobuf" in request.headers.get("Accept", ""):
                response = web.Response(body=discovery.OPENAPI_PROTOBUF)
                response.content_type = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
                return response
            return front.json(discovery.OPENAPI.encode())
        if text := discovery.plain(path):
            return web.Response(text=text)
        document = discovery.document(path) if path.startswith("/api") else None
        return front.json(orjson.dumps(document) + b"\n") if document is not None else None

    async def _review(self, request: web.Request, user: auth.User) -> web.Response:
        given = self.kubernetes.objects.parse(await request.read())
        word = request.path.rpartition("/")[2]
        self.kubernetes.requests.count("create", word)
        reviews = {"selfsubjectaccessreviews": auth.review, "selfsubjectrulesreviews": auth.rules_review}
        if word not in reviews:
            raise status.no_such_path()
        if user is auth.ANONYMOUS:
            raise status.Refused(
                403,
                "Forbidden",
                f'{word}.authorization.k8s.io is forbidden: User "system:anonymous" cannot create resource "{word}" in API group "authorization.k8s.io" at the cluster scope',
                {"group": "authorization.k8s.io", "kind": word},
            )
        return self.kubernetes.front.json(orjson.dumps(reviews[word](user, given)) + b"\n", 201)

    # -- objects ----------------------------------------------------------------------------------------------------

    def _asked(self, request: web.Request) -> Asked:
        words = request.path.strip("/").split("/")
        if words[0] == "api" and len(words) > 2:
            group, version, rest = "", words[1], words[2:]
        elif words[0] == "apis" and len(words) > 3:
            group, version, rest = words[1], words[2], words[3:]
        else:
            raise status.no_such_path()
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in _SUBS:
            namespace, rest = rest[1], rest[2:]
        kind = BY_PATH.get((group, version, rest[0]))
        if kind is None or len(rest) > 3 or (namespace and not kind.namespaced):
            raise status.no_such_path()
        name, sub = (*rest[1:], "", "")[:2]
        if kind is NAMESPACES and name:
            namespace = name
        return Asked(kind, namespace, name, sub, self._verb(request, name, sub))

    def _verb(self, request: web.Request, name: str, sub: str) -> str:
        if sub == "exec":
            return "get" if request.method == "GET" else "create"
        if request.method in ("GET", "HEAD"):
            if name:
                return "get"
            return "watch" if request.query.get("watch") in ("1", "true", "True") else "list"
        verbs = {
            "POST": "create",
            "PUT": "update",
            "PATCH": "patch",
            "DELETE": "delete" if name else "deletecollection",
        }
        if request.method not in verbs:
            raise status.Refused(
                405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {}
            )
        return verbs[request.method]

    async def _answer(self, request: web.Request, asked: Asked, line: str) -> web.StreamResponse:
        if asked.kind is PODS and asked.sub == "log":
            return await self.kubernetes.logs.serve(request, asked.namespace, asked.name, line)
        if asked.kind is PODS and asked.sub == "exec":
            return await self.kubernetes.execs.serve(request, asked.namespace, asked.name, line)
        if asked.verb in ("list", "watch"):
            return await self._many(request, asked, line)
        kind = asked.kind
        home = asked.namespace if kind.namespaced else ""
        if asked.sub == "scale" and kind.scale:
            return await self._scale(request, asked)
        if asked.verb == "get":
            return self._object(self.kubernetes.objects.get(kind, home, asked.name))
        if asked.verb in ("delete", "deletecollection"):
            return await self._delete(request, asked, home)
        body = await request.read()
        how = _how(request, asked.sub)
        objects = self.kubernetes.objects
        if asked.verb == "create":
            return self._object(objects.create(kind, home, objects.parse(body), how), 201, objects.warnings)
        if asked.verb == "update":
            found = objects.replace(kind, home, asked.name, objects.parse(body), how)
            return self._object(found, 200, objects.warnings)
        found, created = objects.patch(kind, home, asked.name, request.content_type, body, how)
        return self._object(found, 201 if created else 200, objects.warnings)

    async def _many(self, request: web.Request, asked: Asked, line: str) -> web.StreamResponse:
        query = request.query
        test = both(
            selectors.labels(query.get("labelSelector", "")),
            selectors.fields(asked.kind, query.get("fieldSelector", "")),
        )
        home = asked.namespace if asked.kind.namespaced else ""
        if asked.verb == "watch":
            return await self.kubernetes.watching.serve(request, asked.kind, home, test, line)
        body = self.kubernetes.lister.read(asked.kind, home, test, query)
        if self.kubernetes.pace.list_item:
            await asyncio.sleep(self.kubernetes.pace.list_item * body.count(b'"uid"'))
        return self.kubernetes.front.json(body)

    async def _scale(self, request: web.Request, asked: Asked) -> web.Response:
        scales = self.kubernetes.scales
        if asked.verb == "get":
            found = scales.get(asked.kind, asked.namespace, asked.name)
        else:
            given = self.kubernetes.objects.parse(await request.read())
            found = scales.patch(asked.kind, asked.namespace, asked.name, given, _how(request, "scale"))
        return self.kubernetes.front.json(orjson.dumps(found) + b"\n")

    async def _delete(self, request: web.Request, asked: Asked, home: str) -> web.Response:
        body = await request.read()
        options: Object = self.kubernetes.objects.parse(body) if body else {}
        for name in ("propagationPolicy", "gracePeriodSeconds"):
            if name in request.query:
                value: Any = request.query[name]
                options[name] = int(value) if name == "gracePeriodSeconds" else value
        dry = "dryRun" in request.query or bool(options.get("dryRun"))
        deletion = self.kubernetes.deletion
        if asked.verb == "delete":
            found = deletion.delete(asked.kind, (home, asked.name), options, dry=dry)
            return self.kubernetes.front.json(orjson.dumps(found) + b"\n")
        test = selectors.labels(request.query.get("labelSelector", ""))
        for stored in list(self.kubernetes.store.all(asked.kind, home)):
            if test is None or test(stored.obj):
                metadata = stored.obj["metadata"]
                deletion.delete(asked.kind, (metadata.get("namespace", ""), metadata["name"]), options, dry=dry)
        return self.kubernetes.front.json(orjson.dumps(status.success()) + b"\n")

    def _object(self, stored: Stored, code: int = 200, warnings: list[str] | None = None) -> web.Response:
        response = self.kubernetes.front.json(stored.raw + b"\n", code)
        for warning in warnings or ():
            response.headers.add("Warning", f'299 - "{warning.replace(chr(34), chr(92) + chr(34))}"')
        return response


def _how(request: web.Request, sub: str) -> How:
    query = request.query
    media = request.content_type
    manager = query.get("fieldManager", "")
    if not manager and media == "application/apply-patch+yaml":
        said = "fieldManager: Required value: is required for apply patch"
        causes = [status.cause("FieldValueRequired", "Required value: is required for apply patch", "fieldManager")]
        raise status.Refused(
            422, "Invalid", f'PatchOptions.meta.k8s.io "" is invalid: {said}',
            {"group": "meta.k8s.io", "kind": "PatchOptions", "causes": causes},
        )  # fmt: skip
    if not manager:
        agent = request.headers.get("User-Agent", "")
        manager = (
            "unknown" if agent.startswith(("Python/", "python-", "PycURL")) or not agent else agent.partition("/")[0]
        )
    return How(
        manager=manager, dry=query.get("dryRun") == "All", force=query.get("force") in ("true", "1", "True"),
        strict=query.get("fieldValidation", "Warn"), subresource=sub if sub == "status" else "",
    )  # fmt: skip


def _failure(code: int, retry_after: int | None) -> status.Refused:
    reason, message = {
        429: ("TooManyRequests", "Too many requests, please try again later."),
        500: ("InternalError", "Internal error occurred: etcdserver: leader changed"),
        503: ("ServiceUnavailable", "apiserver is shutting down"),
        504: ("Timeout", "Timeout: request did not complete within the allotted timeout"),
        401: ("Unauthorized", "Unauthorized"),
        403: ("Forbidden", "forbidden by a fault of the simulator"),
    }.get(code, ("Unknown", f"the simulator was told to answer {code}"))
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    details: Object | None = {"retryAfterSeconds": retry_after} if retry_after else None
    return status.Refused(code, reason, message, details, headers)


def _common_name(request: web.Request) -> str:
    certificate = request.transport.get_extra_info("peercert") if request.transport is not None else None
    for part in (certificate or {}).get("subject", ()):
        for name, value in part:
            if name == "commonName":
                return str(value)
    return ""

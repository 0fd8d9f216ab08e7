"""The OpenAPI document is valid, and the API keeps to it whatever is asked (examples made by schemathesis)."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_schema_conformance,
    status_code_conformance,
)

from clusters.models import FreezeWindow
from deployments.actions import start_deployment
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.models import Connection
from fangduoduo_release.notifications import channels
from projects.actions import save_spec
from projects.requests import ask as ask_for
from tests import world

from .conftest import SPEC
from .door import Door, told

# For each operation and person, half of them valid and half not; and as many chains of calls in all, for each person.
EXAMPLES = int(os.environ.get("FDD_EXAMPLES", "16"))
STEPS = 8  # of a chain
PEOPLE = ["stranger", "developer", "ann", "ops"]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
OUTSIDE = {502, 504}  # another system's fault, told as a problem: examples do name hosts that do not exist


def test_the_document_is_valid_and_complete() -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", stdout=io.StringIO())


@pytest.mark.django_db
def test_every_operation_has_its_own_name_and_says_its_errors(ann: Door) -> None:
    document = told(ann.get("schema/?format=json"))
    operations = [
        (f"{method.upper()} {path}", operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    names = [operation["operationId"] for _, operation in operations]
    assert len(set(names)) == len(names) > 40
    for label, operation in operations:
        if "/k8s/" in label:
            assert operation["responses"]["403"]["content"]["application/json"]["schema"]["$ref"].endswith("/StatusOut")
            continue
        for status in ("400", "401", "403", "404", "503"):
            assert "application/problem+json" in operation["responses"][status]["content"], (label, status)
        keyed = "Idempotency-Key" in [parameter["name"] for parameter in operation.get("parameters", [])]
        assert keyed != label.startswith("GET "), label


@pytest.fixture
def things(project: Any, owner: Any) -> dict[str, Any]:
    """What examples may meet: one of everything."""
    machine = world.granted(project, "test-a")
    version = world.version(project)
    deployment = start_deployment(actor=SYSTEM, project=project, machine=machine, action="deploy", version=version)
    Connection.objects.create(name="origin", kind="git", secrets={"password": "kept"})
    window = {"name": "Nights", "reason": "Nobody is awake", "environments": ["staging"], "timezone": "Asia/Shanghai"}
    freeze = FreezeWindow.objects.create(**window, weekdays=[0], duration_minutes=60)
    world.build(project, state="queued", started_at=None)
    asked = ask_for(actor=world.person("yan"), slug=project.slug, kind="role", role="viewer", reason="to look")
    save_spec(actor=SYSTEM, project=project, spec={**SPEC, "secrets": {"A_SECRET": "kept"}})
    hook = {"kind": "webhook", "name": "hook", "address": "https://hooks.example.org/x"}
    mine, _ = channels.add(actor=SYSTEM, user=owner, **hook)
    theirs, _ = channels.add(actor=SYSTEM, project=project.slug, **hook)
    return {
        "slug": project.slug,
        "name": {"connections": "origin", "projects": "test-a", "machines": "test-a", "clusters": machine.cluster.name},
        "id": {
            "builds": version.build_id,
            "versions": version.pk,
            "deployments": deployment.pk,
            "services": deployment.service_id,
            "freezes": freeze.pk,
            "requests": asked.pk,
            "role-grants": project.role_grants.get(user=owner).pk,
            "machine-grants": project.machine_grants.get().pk,
            "me": mine.pk,
            "projects": theirs.pk,
        },
        "machine": machine.name,
        "version": version.number,
        "user": "zoe",
    }


def meet(case: Any, things: dict[str, Any]) -> None:
    """Point the example at what exists: random names alone would only ever be told that nothing is there."""
    room = case.operation.path.split("/")[2]
    for name in case.path_parameters:
        if name in things:
            found = things[name]
            case.path_parameters[name] = found[room] if isinstance(found, dict) else found
    if isinstance(case.body, dict):
        for name in ("machine", "version"):
            if name in case.body:
                case.body[name] = things[name]


@pytest.fixture
def one_connection() -> Iterator[None]:
    """Requests share the test's database connection and must not close it."""
    signals = [request_started, request_finished]
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


def operations_of(schema: Any) -> Iterator[Any]:
    for found in schema.get_all_operations():
        yield found.ok()


@pytest.fixture(scope="module")
def shared() -> dict[Any, Any]:
    """What takes long to make and is the same for everybody: the document, and the examples of each mode."""
    return {}


def told_by(examples: int, **more: Any) -> Any:
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        **more,
    )


def examples_of(operation: Any, mode: GenerationMode) -> list[tuple[Any, bool]]:
    """Examples of calls, each with whether it is to be pointed at what exists."""
    found: list[tuple[Any, bool]] = []

    @told_by(EXAMPLES // 2)
    @given(case=operation.as_strategy(generation_mode=mode), real=st.booleans())
    def collect(case: Any, real: bool) -> None:
        found.append((case, real))

    collect()
    return found


class Caller:
    """One person who sends examples and judges the answers."""

    def __init__(self, door: Door, things: dict[str, Any], shared: dict[Any, Any]) -> None:
        self.door, self.things, self.shared = door, things, shared
        self.guarded: set[str] = set()
        if "schema" not in shared:
            application = get_wsgi_application()
            shared["schema"] = schemathesis.openapi.from_wsgi(
                "/api/schema/?format=json", application, headers=door.headers
            )
        self.schema = shared["schema"]

    def examples(self, operation: Any, mode: GenerationMode) -> list[tuple[Any, bool]]:
        """Everybody sends the same; each gets copies, because sending changes them."""
        key = (operation.label, mode)
        if key not in self.shared:
            self.shared[key] = examples_of(operation, mode)
        return [(case.derive(), real) for case, real in self.shared[key]]

    def judge(self, response: Any, case: Any) -> None:
        checks = CHECKS if response.status_code not in OUTSIDE else CHECKS[1:]
        label = case.operation.label
        if response.status_code < 300 and label not in self.guarded:  # once is enough: the same call as nobody
            checks = [*checks, ignored_auth]
            self.guarded.add(label)
        case.validate_response(response, checks=checks, headers=self.door.headers)

    def send(self, case: Any, *, real: bool) -> None:
        if real:
            meet(case, self.things)
        self.judge(case.call(headers=self.door.headers), case)


@pytest.fixture
def caller(
    who: str, things: dict[str, Any], one_connection: None, shared: dict[Any, Any], settings: Any, request: Any
) -> Caller:
    # Examples try many passwords; what one costs is told to nobody, and asked for in tests/permissions.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return Caller(request.getfixturevalue(who), things, shared)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.django_db
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("who", PEOPLE)
def test_answers_keep_to_the_document(who: str, mode: GenerationMode, caller: Caller) -> None:
    wrong: list[str] = []
    for operation in operations_of(caller.schema):
        try:
            for case, real in caller.examples(operation, mode):
                caller.send(case, real=real)
        except Exception as error:  # noqa: BLE001 - all operations are tried, all that is wrong is told at once
            wrong.append(f"{operation.label}: {type(error).__name__}: {str(error)[:1500]}")
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.django_db
@pytest.mark.parametrize("who", PEOPLE)
def test_chains_of_calls_keep_to_the_document(who: str, caller: Caller) -> None:
    """What one call answers is asked for by the next: made, read, changed, deleted, asked for again."""
    taken: set[str] = set()

    class Chain(caller.schema.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            self.world = transaction.atomic()
            self.world.__enter__()

        def teardown(self) -> None:
            transaction.set_rollback(True)
            self.world.__exit__(None, None, None)

        def before_call(self, case: Any) -> None:
            taken.add(case.operation.label)

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": caller.door.headers}

        def validate_response(self, response: Any, case: Any, *rest: Any, **more: Any) -> None:
            caller.judge(response, case)

    run_state_machine_as_test(Chain, settings=told_by(EXAMPLES, stateful_step_count=STEPS))
    assert len(taken) >= 5

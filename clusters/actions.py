"""What ops do to clusters, machines, freeze windows and connections: one function a verb."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Model, ProtectedError

from clusters import config_use, connecting, freeze_rules, placed, placing
from clusters.models import Cluster, FreezeWindow, Machine
from fangduoduo_release.audit import trail
from fangduoduo_release.common.errors import Conflict, Invalid
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S
from permissions import policy

PASSWORD_INSIDE = re.compile(r"//[^/?#\s@]*:[^/?#\s]*@")


def create_cluster(*, actor: Any, name: str, kind: str, connection: str | None = None, **more: Any) -> Cluster:
    """A cluster of a kind the settings name. Ops only. Raises Denied, Invalid, Conflict."""
    policy.require_ops(actor)
    row = Cluster(name=name, kind=kind, connection=find_connection(connection), description=more.get("description", ""))
    return _save_placed(actor, row)


def update_cluster(*, actor: Any, cluster: Cluster, **changes: Any) -> Cluster:
    """Change description or connection (a name). Ops only. Raises Denied, Invalid."""
    policy.require_ops(actor)
    if "connection" in changes:
        cluster.connection = find_connection(changes["connection"])
    if "description" in changes:
        cluster.description = changes["description"]
    return _save_placed(actor, cluster)


def create_machine(*, actor: Any, name: str, cluster: str, environment: str = "test", **more: Any) -> Machine:
    """A place in a cluster. Ops only. Raises Denied, Invalid, Conflict."""
    policy.require_ops(actor)
    home = Cluster.objects.filter(name=cluster).first()
    if home is None:
        sentence = S("There is no cluster called “%(name)s”.", name=cluster)
        raise Invalid(sentence, fields={"cluster": [sentence]})
    row = Machine(
        name=name,
        cluster=home,
        environment=environment,
        placement=more.get("placement") or {},
        description=more.get("description", ""),
        **_approval(more.get("approval") or {}),
    )
    return _save_placed(actor, row)


def update_machine(*, actor: Any, machine: Machine, **changes: Any) -> Machine:
    """Change environment, placement, description, or `approval` {needed, role, restoring}. Ops only. Raises Denied,
    Invalid, Conflict."""
    policy.require_ops(actor)
    approval = _approval(changes.pop("approval", None) or {})
    for name in ("environment", "placement", "description"):
        if name in changes:
            setattr(machine, name, changes[name])
    for name, value in approval.items():
        setattr(machine, name, value)
    return _save_placed(actor, machine)


def save_row(*, actor: Any, row: Cluster | Machine) -> None:
    """Store a cluster or machine as the ops screen edited it. Raises Denied, Invalid, Conflict."""
    policy.require_ops(actor)
    _save_placed(actor, row)


def _save_placed(actor: Any, row: Any) -> Any:
    """Store a cluster or machine that keeps the rules of its kind."""
    verb = f"{row._meta.model_name}.{'update' if row.pk else 'create'}"
    return _save(actor, verb, row, rules=placed.check_cluster if isinstance(row, Cluster) else placed.check_machine)


def _approval(given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of what a door calls `approval`."""
    columns = {"needed": "approvals_needed", "role": "approver_role", "restoring": "approve_restoring"}
    return {column: given[name] for name, column in columns.items() if name in given}


def find_connection(name: str | None) -> Connection | None:
    """The connection of that name. Raises Invalid."""
    if not name:
        return None
    found = Connection.objects.filter(name=name).first()
    if found is None:
        sentence = S("There is no connection called “%(name)s”.", name=name)
        raise Invalid(sentence, fields={"connection": [sentence]})
    return found


def save_connection(
    *,
    actor: Any,
    name: str,
    kind: str = "",
    config: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str | None] | None = None,
    connection: Connection | None = None,
) -> Connection:
    """Create or change a connection; secrets not named keep their value, null removes one. Ops only. Raises Denied,
    Invalid, Conflict. Doors try it afterwards: `look_at_saved`."""
    policy.require_ops(actor)
    row = connection or Connection(name=name, kind=kind)
    if kind:
        row.kind = kind
    if row.kind not in connecting.kinds():
        raise Invalid(S("There is no connection of kind “%(kind)s” here.", kind=row.kind), fields={"kind": []})
    if config is not None:
        _refuse_passwords(config)
        row.config = dict(config)
    merged = dict(row.secrets or {})
    for key, value in (secrets or {}).items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, str) and len(value) <= 64 * 1024:
            merged[key] = value
        else:
            raise Invalid(S("The secret “%(name)s” must be text.", name=str(key)[:80]), fields={"secrets": []})
    row.secrets = merged
    connecting.check(row)
    row.last_test = None  # it spoke of what was there before
    verb = "connection.update" if row.pk else "connection.create"
    before = trail.stored_facts(row)
    saved: Connection = _save(actor, verb, row, _told(trail.facts(row)), _told(before) if before else None)
    return saved


def _told(facts: dict[str, Any]) -> dict[str, Any]:
    """Without what nobody wrote by hand."""
    return {name: value for name, value in facts.items() if name != "last_test"}


def _refuse_passwords(value: Any) -> None:
    """Whoever looks at a connection sees its config, so no address in it may carry a password. Raises Invalid."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            waiting += one.values()
        elif isinstance(one, list | tuple):
            waiting += one
        elif isinstance(one, str) and PASSWORD_INSIDE.search(one):
            sentence = S("An address in a connection holds no password; write it into the connection's secrets.")
            raise Invalid(sentence, code="password_in_address", fields={"config": [sentence]})


def delete_connection(*, actor: Any, connection: Connection) -> None:
    """Forget a connection nothing uses. Ops only. Raises Denied, Conflict."""
    policy.require_ops(actor)
    config_use.require_unused(connection)
    try:
        with transaction.atomic():
            gone, before = trail.named(connection), trail.facts(connection)
            connection.delete()
            trail.record(actor, "connection.delete", gone, before=before)
    except ProtectedError as error:
        raise Conflict(S("Something still uses this connection."), code="in_use") from error


def try_connection(*, actor: Any, connection: Connection) -> dict[str, Any]:
    """Whether the other side answers, in the reader's words: {ok, version, missing, lost, sentence}, remembered on the row.
    Ops only. Raises Invalid."""
    policy.require_ops(actor)
    found = connecting.look(connection)
    with transaction.atomic():
        trail.record(actor, "connection.test", connection, after={"ok": found["ok"]})
    return connecting.shown(found) or {}


def look_at_saved(connection: Connection) -> None:
    """Try a connection that was just saved, outside any transaction; what is found stands on its row and refuses
    nothing. The audit has the saving already."""
    if connecting.can_be_tested(connection):
        connecting.look(connection)


def look_at_placed(machine: Machine) -> dict[str, Any] | None:
    """Try the connection again now that a machine names another place to ask about; what is found, in the reader's words.
    None: there is nothing to ask."""
    connection = machine.cluster.connection
    if connection is None or not connecting.can_be_tested(connection):
        return None
    asked = set((connection.last_test or {}).get("namespaces") or ())
    if placing.namespace_of(machine.placement) not in asked:
        look_at_saved(connection)
    return connecting.shown(connection.last_test)


def save_freeze(*, actor: Any, window: FreezeWindow, machines: Iterable[Machine] | None = None) -> FreezeWindow:
    """Keep a freeze window as it was filled in; `machines` None leaves those it has. Ops only. Raises Denied, Invalid
    with every mistake, Conflict."""
    policy.require_ops(actor)
    before = None
    known = FreezeWindow.objects.filter(pk=window.pk).first() if window.pk else None
    if known is not None:
        before = freeze_rules.facts(known, known.machines.values_list("name", flat=True))
    chosen = list(machines) if machines is not None else list(window.machines.all()) if window.pk else []
    found = freeze_rules.mistakes(window, chosen)
    if found:
        fields: dict[str, list[Any]] = {}
        for name, sentence in found:
            fields.setdefault(name, []).append(sentence)
        raise Invalid(found[0][1], fields=fields)
    verb = "freeze.update" if known else "freeze.create"
    facts = freeze_rules.facts(window, [machine.name for machine in chosen])
    saved: FreezeWindow = _save(actor, verb, window, facts, before, chosen)
    return saved


def delete_freeze(*, actor: Any, window: FreezeWindow) -> None:
    """Forget a freeze window; what it refused stays refused. Ops only. Raises Denied."""
    policy.require_ops(actor)
    with transaction.atomic():
        facts = freeze_rules.facts(window, window.machines.values_list("name", flat=True))
        gone = trail.named(window)
        window.delete()
        trail.record(actor, "freeze.delete", gone, before=facts)


def _save(
    actor: Any,
    verb: str,
    row: Any,
    facts: dict[str, Any] | None = None,
    before: dict[str, Any] | None = None,
    machines: Iterable[Machine] | None = None,
    rules: Callable[[Any], None] | None = None,
) -> Any:
    """Validate, store, write the audit line; `rules` judge inside the transaction. Raises Invalid with every field,
    Conflict for a taken name."""
    _check(row)
    try:
        with transaction.atomic():
            if rules is not None:
                rules(row)
            before = before if facts else trail.stored_facts(row)
            row.save()
            if machines is not None:
                row.machines.set(machines)
            trail.record(actor, verb, row, before=before, after=facts or trail.facts(row))
    except IntegrityError as error:
        raise Conflict(S("There is already one called “%(name)s”.", name=row.name), code="name_taken") from error
    return row


def _check(row: Model) -> None:
    try:
        row.full_clean(validate_unique=False, exclude=["secrets"])
    except ValidationError as error:
        fields = {name: [S(str(text)) for text in texts] for name, texts in error.message_dict.items()}
        raise Invalid(next(iter(fields.values()))[0], fields=fields) from error

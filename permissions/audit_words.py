"""What a row of the trail says to people: one sentence, an icon, where its object is, and what changed.

Verbs and kinds are named as texts, so nothing above this room is imported; a verb that is not in the table is still
told, in plainer words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from fangduoduo_release.audit.models import AuditEntry

# verb: the sentence; its names are `actor`, `object`, and whatever stands in before and after (after wins).
SENTENCES: dict[str, str] = {
    "project.create": _("%(actor)s created the project %(object)s"),
    "project.update": _("%(actor)s changed settings of %(object)s"),
    "project.rules": _("%(actor)s changed what makes %(object)s build by itself"),
    "project.follow": _("%(actor)s followed the repository of %(object)s to its new name %(repository)s"),
    "project.spec": _("%(actor)s changed how %(object)s runs (spec revision %(number)s)"),
    "project.rebind": _("%(actor)s bound %(object)s to the repository %(repository)s"),
    "config.save": _("%(actor)s saved the configuration %(config)s of %(object)s in %(source)s, revision %(revision)s"),
    "config.delete": _("%(actor)s removed the configuration %(config)s of %(object)s from %(source)s"),
    "machine.grant": _("%(actor)s let %(project)s use the machine %(machine)s"),
    "machine.revoke": _("%(actor)s took the machine %(machine)s from %(project)s"),
    "member.set": _("%(actor)s made %(holder)s %(role)s on %(object)s"),
    "member.remove": _("%(actor)s took %(holder)s off %(object)s"),
    "build.start": _("%(actor)s started the build %(object)s"),
    "build.cancel": _("%(actor)s cancelled the build %(object)s"),
    "build.input": _("%(actor)s answered a question of the build %(object)s"),
    "build.retry_stuck": _("%(actor)s let the stuck build %(object)s try again"),
    "build.give_up": _("%(actor)s gave up the stuck build %(object)s"),
    "pipeline.rewrite_job": _("%(actor)s had the job of %(object)s in Jenkins written again"),
    "pipeline.save": _("%(actor)s saved pipeline revision %(revision)s of %(object)s"),
    "pipeline.template": _(
        "%(actor)s gave %(object)s the template %(template)s, revision %(template_revision)s (pipeline revision %(revision)s)"
    ),
    "pipeline.upgrade": _(
        "%(actor)s brought the pipeline of %(object)s to revision %(template_revision)s of %(template)s"
    ),
    "template.save": _("%(actor)s saved revision %(revision)s of the template %(object)s"),
    "template.retire": _("%(actor)s retired the template %(object)s"),
    "template.restore": _("%(actor)s offers the template %(object)s again"),
    "credential.save": _("%(actor)s set the credential %(object)s"),
    "credential.delete": _("%(actor)s removed the credential %(object)s"),
    "deployment.deploy": _("%(actor)s deployed version %(version)s of %(project)s to %(machine)s"),
    "deployment.rollback": _("%(actor)s rolled %(project)s on %(machine)s back to version %(version)s"),
    "deployment.restart": _("%(actor)s restarted %(project)s on %(machine)s"),
    "deployment.scale": _("%(actor)s scaled %(project)s on %(machine)s to %(replicas)s"),
    "deployment.remove": _("%(actor)s removed %(project)s from %(machine)s"),
    "deployment.cancel": _("%(actor)s cancelled the change %(object)s"),
    "deployment.pause": _("%(actor)s paused the change %(object)s"),
    "deployment.resume": _("%(actor)s let the change %(object)s go on"),
    "deployment.approve": _("%(actor)s approved the change %(object)s"),
    "deployment.reject": _("%(actor)s rejected the change %(object)s"),
    "deployment.despite_freeze": _("%(actor)s made the change %(object)s in spite of the freeze %(window)s"),
    "deployment.despite_approval": _(
        "%(actor)s made the change %(object)s without the approvals it needs: an emergency"
    ),
    "deployment.retry": _("%(actor)s let the stuck change %(object)s try again"),
    "service.terminal": _("%(actor)s opened a terminal in %(instance)s of %(object)s"),
    "service.terminal_closed": _("The terminal of %(actor)s in %(instance)s of %(object)s was closed"),
    "deployment.give_up": _("%(actor)s gave up the stuck change %(object)s"),
    "cluster.create": _("%(actor)s added the cluster %(object)s"),
    "cluster.update": _("%(actor)s changed the cluster %(object)s"),
    "machine.create": _("%(actor)s added the machine %(object)s"),
    "machine.update": _("%(actor)s changed the machine %(object)s"),
    "connection.create": _("%(actor)s added the connection %(object)s"),
    "connection.update": _("%(actor)s changed the connection %(object)s"),
    "connection.delete": _("%(actor)s removed the connection %(object)s"),
    "connection.test": _("%(actor)s tested the connection %(object)s"),
    "request.ask": _("%(actor)s asked for the role %(role)s on %(project)s"),
    "request.ask.machine": _("%(actor)s asked for the machine %(machine)s for %(project)s"),
    "request.approve": _("%(actor)s approved what %(requester)s asked for: the role %(role)s on %(project)s"),
    "request.approve.machine": _("%(actor)s approved what %(requester)s asked for: %(machine)s for %(project)s"),
    "request.reject": _("%(actor)s rejected what %(requester)s asked for: the role %(role)s on %(project)s"),
    "request.reject.machine": _("%(actor)s rejected what %(requester)s asked for: %(machine)s for %(project)s"),
    "request.withdraw": _("%(actor)s withdrew the request %(object)s"),
    "request.expire": _("The request %(object)s ran out undecided"),
    "emergency.ask": _("%(actor)s asked for emergency access: %(role)s on %(project)s"),
    "emergency.ask.machine": _("%(actor)s asked for emergency access: %(machine)s for %(project)s"),
    "emergency.sign": _("%(actor)s signed an emergency, a second person is needed: %(object)s"),
    "emergency.open": _("%(actor)s opened an emergency: %(object)s"),
    "emergency.review": _("%(actor)s reviewed an emergency: %(object)s"),
    "grant.expired": _("%(what)s on %(project)s has ended"),
    "token.create": _("%(actor)s made the API token %(object)s"),
    "token.revoke": _("%(actor)s revoked the API token %(object)s"),
    "person.create": _("The sign-in service brought %(object)s along"),
    "person.update": _("The sign-in service told something new about %(object)s"),
    "person.sign_in": _("%(actor)s signed in"),
    "person.sign_out_everywhere": _("%(actor)s signed %(object)s out everywhere"),
    "person.end_session": _("%(actor)s ended a session of %(object)s"),
    "person.password": _("%(actor)s changed the password of %(object)s"),
    "person.lockout": _("Sign-in as %(object)s was locked after wrong passwords"),
    "person.unlock": _("%(actor)s unlocked the sign-in of %(object)s"),
    "person.active": _("%(actor)s opened or closed the account of %(object)s"),
    "person.teams": _("The sign-in service put %(object)s into other teams"),
    "service_account.create": _("%(actor)s made the service account %(object)s"),
    "gateway.sign_in": _("%(actor)s signed in at the gateway"),
    "gateway.sign_out": _("%(actor)s signed out at the gateway"),
    "gateway.reuse": _("A gateway sign-in of %(object)s was ended: its refresh token came twice"),
    "gateway.apply": _("%(actor)s applies %(object)s through the gateway"),
    "gateway.patch": _("%(actor)s patches %(object)s through the gateway"),
    "gateway.create": _("%(actor)s creates %(object)s through the gateway"),
    "gateway.delete": _("%(actor)s deletes %(object)s through the gateway"),
    "gateway.scale": _("%(actor)s scales %(object)s through the gateway to %(replicas)s"),
    "gateway.exec": _("%(actor)s opens a terminal in %(object)s through the gateway"),
    "gateway.exec_closed": _("%(actor)s's terminal in %(object)s through the gateway was closed"),
    "gateway.done": _("The cluster did what %(actor)s asked of %(object)s (%(asked)s, %(status)s)"),
    "gateway.failed": _("The cluster refused what %(actor)s asked of %(object)s (%(asked)s, %(status)s)"),
    "gateway.unknown": _(
        "The cluster's answer to %(actor)s about %(object)s was lost (%(asked)s): look whether it was done"
    ),
    "freeze.create": _("%(actor)s made the freeze window %(object)s"),
    "freeze.update": _("%(actor)s changed the freeze window %(object)s"),
    "freeze.delete": _("%(actor)s removed the freeze window %(object)s"),
    "channel.create": _("%(actor)s added the channel %(object)s"),
    "channel.update": _("%(actor)s changed the channel %(object)s"),
    "channel.delete": _("%(actor)s removed the channel %(object)s"),
    "channel.test": _("%(actor)s sent a test to the channel %(object)s"),
    "delivery.try_again": _("%(actor)s had a message sent again: %(object)s"),
    "user.create": _("%(actor)s added the person %(object)s"),
    "user.update": _("%(actor)s changed the person %(object)s"),
    "group.create": _("%(actor)s added the team %(object)s"),
    "group.update": _("%(actor)s changed the team %(object)s"),
    "source.compare": _("%(actor)s had all tips of %(object)s compared"),
    "review.try_again": _("%(actor)s had a message to reviewers sent again: %(object)s"),
    "review.give_up": _("%(actor)s gave up a message to reviewers: %(object)s"),
    "inbox.try_again": _("%(actor)s had incoming news handled again: %(object)s"),
    "hook.replay": _("%(actor)s had a webhook delivery handled again: %(object)s"),
    "audit.export": _("%(actor)s exported rows of the audit trail"),
    "audit.accept": _("The audit trail was accepted as it is: %(reason)s"),
}
NO_ROLE = "member.remove"  # how `member.set` reads when the role it sets is none
ELSE = _("%(actor)s: %(verb)s, %(object)s")
ICONS = {
    "project": "box", "machine": "server-2", "member": "users", "build": "hammer", "pipeline": "file-code",
    "credential": "key", "deployment": "rocket", "cluster": "cloud", "connection": "plug", "request": "hand-stop",
    "grant": "lock-open", "emergency": "alert-triangle", "token": "key", "user": "user", "group": "users",
    "inbox": "inbox", "template": "file-code", "audit": "list-details", "person": "lock", "service_account": "user",
    "gateway": "lock", "delivery": "bell", "freeze": "calendar", "channel": "bell", "hook": "inbox",
    "source": "git-branch", "review": "git-pull-request", "service": "terminal-2", "config": "file-diff",
}  # fmt: skip
ICON = "activity"
# verb groups as the filter offers them
GROUPS = {
    "project": _("Projects"),
    "member": _("People on projects"),
    "request": _("Requests"),
    "machine": _("Machines"),
    "cluster": _("Clusters"),
    "service": _("Terminals"),
    "gateway": _("Gateway"),
    "config": _("Configuration"),
    "deployment": _("Deployments"),
    "build": _("Builds"),
    "pipeline": _("Pipelines"),
    "template": _("Templates"),
    "credential": _("Credentials"),
    "connection": _("Connections"),
    "token": _("API tokens"),
    "person": _("Sign-ins and passwords"),
    "user": _("People"),
    "group": _("Teams"),
    "emergency": _("Emergencies"),
    "freeze": _("Freeze windows"),
    "channel": _("Channels"),
    "audit": _("Audit"),
}
# kind: (name of its address, which column fills it)
PAGES = {
    "projects.project": ("project", "project"),
    "projects.accessrequest": ("request", "object_id"),
    "projects.machinegrant": ("project-settings", "project"),
    "builds.build": ("build", "object_id"),
    "builds.credential": ("project-settings", "project"),
    "deployments.deployment": ("deployment", "object_id"),
}


def sentence(entry: AuditEntry) -> str:
    """What happened, in the reader's language; in plainer words where the row does not hold what the sentence needs."""
    facts = {**_plain(entry.before), **_plain(entry.after)}
    project = entry.project or facts.get("project") or "–"
    facts |= {"actor": entry.actor, "verb": entry.verb, "object": entry.object_label, "project": project}
    reading = _reading(entry.verb, facts)
    if isinstance(facts.get("role"), str):
        facts["role"] = gettext(facts["role"])  # a role's name is its msgid
    for msgid in (SENTENCES.get(reading, ELSE), ELSE):
        try:
            return gettext(msgid) % facts
        except (KeyError, TypeError, ValueError):  # a fact that is not there, or a translation with a stray "%"
            continue
    return f"{entry.actor}: {entry.verb}, {entry.object_label}"


def _reading(verb: str, facts: dict[str, Any]) -> str:
    """Verbs that read differently with what they are about."""
    if verb == "member.set" and facts.get("role", "") is None:
        return NO_ROLE
    of_machine = f"{verb}.machine"
    return of_machine if facts.get("machine") and of_machine in SENTENCES else verb


def _plain(side: Any) -> dict[str, Any]:
    return side if isinstance(side, dict) else {}


def icon(entry: AuditEntry) -> str:
    return ICONS.get(entry.verb.partition(".")[0], ICON)


def address(entry: AuditEntry) -> str:
    """The object's own page; "" when it has none."""
    name, column = PAGES.get(entry.object_kind, ("", ""))
    try:
        return reverse(name, args=[getattr(entry, column)]) if name and getattr(entry, column) else ""
    except NoReverseMatch:
        return ""


def changes(entry: AuditEntry) -> list[tuple[str, str, str]]:
    """(name, before, after) of everything that changed; nested names with dots; "" where there was nothing."""
    before, after = dict(flat(entry.before)), dict(flat(entry.after))
    names = [*before, *(name for name in after if name not in before)]
    return [(name, before.get(name, ""), after.get(name, "")) for name in names]


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every leaf of nested dicts, with its path."""
    if isinstance(value, dict) and (value or not prefix):
        for name, item in value.items():
            yield from flat(item, f"{prefix}.{name}" if prefix else str(name))
    elif value is not None or prefix:
        yield prefix, _text(value)


def _text(value: Any) -> str:
    if value is None or value in ("", {}, []):
        return "–"
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    return str(value)

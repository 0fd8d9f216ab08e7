"""What people do to their own keys and sessions, and ops to anybody's."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from fangduoduo_release.audit import trail
from fangduoduo_release.common.errors import Conflict, Denied, Invalid
from fangduoduo_release.common.sentence import S
from fangduoduo_release.notifications import outbox
from permissions import lockout, policy, revocation, sessions
from permissions.models import ApiToken, SignedIn, User
from permissions.scopes import Scope

MAX_TOKENS = 50
SECURITY = "security"


def create_token(
    *, actor: Any, name: str, days: int | None = 90, scopes: Iterable[str] = (), of: User | None = None
) -> tuple[ApiToken, str]:
    """A new token of the actor's (or of a service account, by ops) and its only readable copy. Raises Denied, Invalid."""
    owner = of or actor
    policy.require_scope(actor, Scope.MANAGE)
    if owner.pk != actor.pk:
        policy.require_ops(actor)
        if not owner.is_service:
            raise Denied(S("Only a person makes tokens of their own."), rule="own_tokens", granted_by=[owner.username])
    name = name.strip()
    chosen = _checked(actor, owner, name, days, set(scopes))
    expires = timezone.now() + timedelta(days=days) if days is not None else None
    with transaction.atomic():
        token, text = ApiToken.make(owner, name, expires, scopes=chosen, made_by=actor.username)
        _tell(owner, S("A new API token “%(name)s” was made for %(whose)s.", name=name, whose=owner.username))
        facts = {"name": name, "owner": owner.username, "scopes": token.scopes, "days": days}
        trail.record(actor, "token.create", token, after=facts)
    return token, text


def _checked(actor: Any, owner: User, name: str, days: int | None, scopes: set[str]) -> set[str]:
    """The scopes of the new token. Raises Invalid, Denied."""
    if not name or len(name) > 80:
        sentence = S("A token needs a name of at most 80 characters.")
        raise Invalid(sentence, fields={"name": [sentence]})
    if days is not None and not 1 <= days <= 3650:
        sentence = S("A token lives from 1 to 3650 days.")
        raise Invalid(sentence, fields={"days": [sentence]})
    if unknown := scopes - set(Scope.values):
        sentence = S("There is no scope “%(scope)s”.", scope=sorted(unknown)[0])
        raise Invalid(sentence, fields={"scopes": [sentence]})
    mine = frozenset(actor.scopes)
    if mine and (not scopes or scopes - mine):
        raise Denied(
            S("A token makes no token that may do more than itself."), rule="scope", granted_by=[owner.username]
        )
    if owner.tokens.filter(revoked_at=None).count() >= MAX_TOKENS:
        raise Invalid(S("You have %(limit)s tokens already; revoke some first.", limit=MAX_TOKENS))
    return scopes


def revoke_token(*, actor: Any, token: ApiToken) -> None:
    """The token works no more, from now on; what it holds open is closed. Its owner and ops. Raises Denied."""
    policy.require_scope(actor, Scope.MANAGE)
    if token.user_id != actor.pk:
        policy.require_ops(actor)
    with transaction.atomic():
        changed = ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())
        revocation.access_changed(token.user)
        if changed:
            trail.record(actor, "token.revoke", token, before={"name": token.name, "owner": token.user.username})


def change_password(*, actor: Any, old: str, new: str, request: Any) -> None:
    """A new password; everywhere else they are signed out. Raises Invalid, TooMany (wrong old ones are counted)."""
    if actor.is_service or actor.external or not actor.has_usable_password():
        raise Invalid(S("Your password is not kept here; change it where you sign in."))
    if lockout.person_of_password(actor.username, old, request=request) is None:
        sentence = S("That is not your password.")
        raise Invalid(sentence, fields={"old": [sentence]})
    try:
        validate_password(new, actor)
    except ValidationError as error:
        raise Invalid(S("Choose another password."), fields={"new": [S(text) for text in error.messages]}) from error
    with transaction.atomic():
        actor.set_password(new)
        actor.save(update_fields=["password"])
        password_was_set(actor=actor, user=actor)


def password_was_set(*, actor: Any, user: User) -> None:
    """What follows a new password, whoever set it. Call inside the transaction that stores it."""
    _end_everything(user)
    _tell(user, S("The password of %(name)s was changed.", name=user.username))
    trail.record(actor, "person.password", user)


def sign_out_everywhere(*, actor: Any, user: User) -> None:
    """End every session and gateway sign-in of the person. Oneself, or ops. API tokens go on working. Raises Denied."""
    _require_over(actor, user)
    with transaction.atomic():
        ended = _end_everything(user)
        _tell(user, S("%(name)s was signed out everywhere.", name=user.username))
        trail.record(actor, "person.sign_out_everywhere", user, after={"ended": ended})


def end_session(*, actor: Any, row: SignedIn) -> None:
    """End one session: whoever sits there is signed out. Oneself, or ops. Raises Denied."""
    _require_over(actor, row.user)
    with transaction.atomic():
        sessions.end([row])
        revocation.access_changed(row.user)
        trail.record(actor, "person.end_session", row.user, before={"address": row.address})


def set_active(*, actor: Any, user: User, active: bool) -> None:
    """Let a person in again, or keep them out: sessions, sockets and tokens end at once. Ops. Raises Denied, Conflict."""
    policy.require_ops(actor)
    _require_over(actor, user)
    if user.pk == actor.pk:
        raise Conflict(S("Nobody closes their own account; ask somebody else from ops."), code="own_account")
    if user.is_active == active:
        return
    with transaction.atomic():
        user.is_active = active
        user.save(update_fields=["is_active"])
        _end_everything(user)
        trail.record(actor, "person.active", user, before={"active": not active}, after={"active": active})


def unlock(*, actor: Any, username: str) -> int:
    """Forget the wrong passwords given for a name, whether or not there is such a person. Ops. Raises Denied."""
    policy.require_ops(actor)
    with transaction.atomic():
        count = lockout.unlock(username)
        user = User.objects.filter(username=username).first()
        trail.record(actor, "person.unlock", user or actor, after={"name": username, "failures": count})
    return count


def create_service_account(*, actor: Any, username: str, name: str = "") -> User:
    """An account for a program: no password, no sign-in, tokens made by ops. Raises Denied, Invalid, Conflict."""
    policy.require_ops(actor)
    user = User(username=username.strip(), first_name=name.strip()[:150], is_service=True)
    user.set_unusable_password()
    try:
        user.clean_fields(exclude=["password"])
    except ValidationError as error:
        fields = {field: [S(text) for text in texts] for field, texts in error.message_dict.items()}
        raise Invalid(next(iter(fields.values()))[0], fields=fields) from error
    try:
        with transaction.atomic():
            user.save()
            trail.record(actor, "service_account.create", user, after={"username": user.username})
    except IntegrityError as error:
        raise Conflict(
            S("There is already somebody called “%(name)s”.", name=user.username), code="name_taken"
        ) from error
    return user


def _require_over(actor: Any, user: User) -> None:
    """Oneself; ops over others; a superuser over a superuser."""
    policy.require_scope(actor, Scope.MANAGE)
    if user.pk == actor.pk:
        return
    policy.require_ops(actor)
    if user.is_superuser and not getattr(actor, "is_superuser", True):
        raise Denied(S("Only a superuser may do this to a superuser."), rule="superuser", granted_by=["admin"])


def _end_everything(user: User) -> int:
    """Sessions (known ones by their rows, others by the epoch), JWTs, open sockets. How many sessions were known."""
    User.objects.filter(pk=user.pk).update(epoch=F("epoch") + 1)
    user.refresh_from_db(fields=["epoch"])
    ended = sessions.end(user.signed_in.all())
    user.jwt_families.filter(revoked_at=None).update(revoked_at=timezone.now())
    revocation.access_changed(user)
    return ended


def _tell(user: User, sentence: Any) -> None:
    """Service accounts have nobody who reads: ops see it in the audit."""
    if not user.is_service:
        outbox.tell(SECURITY, sentence, people=[user], link="/me/sessions/")

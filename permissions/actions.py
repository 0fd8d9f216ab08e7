"""What people do to their own keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from fangduoduo_release.audit import trail
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S
from permissions.models import ApiToken

MAX_TOKENS = 50


def create_token(*, actor: Any, name: str, days: int | None = 90) -> tuple[ApiToken, str]:
    """A new token of the actor's and its only readable copy. Raises Invalid."""
    name = name.strip()
    if not name or len(name) > 80:
        sentence = S("A token needs a name of at most 80 characters.")
        raise Invalid(sentence, fields={"name": [sentence]})
    if days is not None and not 1 <= days <= 3650:
        sentence = S("A token lives from 1 to 3650 days.")
        raise Invalid(sentence, fields={"days": [sentence]})
    if actor.tokens.filter(revoked_at=None).count() >= MAX_TOKENS:
        raise Invalid(S("You have %(limit)s tokens already; revoke some first.", limit=MAX_TOKENS))
    expires = timezone.now() + timedelta(days=days) if days is not None else None
    with transaction.atomic():
        token, text = ApiToken.make(actor, name, expires)
        trail.record(actor, "token.create", token, after={"name": name})
    return token, text


def revoke_token(*, actor: Any, token: ApiToken) -> None:
    """The token works no more, from now on."""
    with transaction.atomic():
        ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())
        trail.record(actor, "token.revoke", token)

"""Whether a connection works: who we are there, what the account lacks, and how far the clocks are apart."""

from __future__ import annotations

from dataclasses import dataclass

from fangduoduo_release.common.errors import NotFound, Rejected
from fangduoduo_release.common.storable import storable

from . import failures
from .names import encoded, project_url
from .reading import state
from .rest import Rest


@dataclass(frozen=True, slots=True)
class Facts:
    """`missing`: what the portal needs and the account has not, by Gerrit's names of capabilities. `skew_s`: how far the
    server's clock is ahead of ours, None when it does not say."""

    version: str
    user: str
    missing: tuple[str, ...]
    skew_s: float | None


def check(rest: Rest) -> Facts:
    """Raises Rejected (`bad_credentials`…), Unavailable."""
    try:
        told = rest.get("config/server/version")
        me = rest.get("accounts/self")
        held = rest.get("accounts/self/capabilities")
    except NotFound as error:
        raise failures.not_gerrit(rest.config, str(error).encode()) from error
    capabilities = held if isinstance(held, dict) else {}
    wanted = ["createProject", *(["streamEvents"] if rest.config.ssh_host else [])]
    everything = bool(capabilities.get("administrateServer"))
    return Facts(
        version=str(storable(told))[:60] if isinstance(told, str) else "",
        user=str(storable(me.get("username") or me.get("name") or "")) if isinstance(me, dict) else "",
        missing=tuple(one for one in wanted if not everything and not capabilities.get(one)),
        skew_s=rest.skew_s,
    )


def may_read(rest: Rest, name: str, account: str) -> bool | None:
    """Whether Gerrit lets the account of exactly this user name read the default branch; None where we may not ask.

    Gerrit takes numbers, mail addresses and full names for accounts too: only the one whose *user name* this is counts.
    """
    if not account or account == "self":
        return False
    found = rest.find(f"accounts/{encoded(account)}")
    if not isinstance(found, dict) or found.get("username") != account or not isinstance(found.get("_account_id"), int):
        return False
    branch = state(rest, name).default_branch
    asked = [("account", str(found["_account_id"])), *([("ref", f"refs/heads/{branch}")] if branch else [])]
    try:
        answer = rest.get(f"{project_url(name)}/check.access", asked)
    except Rejected as error:
        if error.code == "no_permission":
            return None
        if error.code == "refused":
            return False
        raise
    except NotFound:
        return None
    return isinstance(answer, dict) and answer.get("status") == 200

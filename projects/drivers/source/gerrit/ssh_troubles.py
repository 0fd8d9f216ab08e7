"""What may go wrong on the way to a server over SSH, each as one sentence. Its sentences name places, never keys."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import asyncssh

from fangduoduo_release.common.errors import NotFound, Rejected, Unavailable
from fangduoduo_release.common.sentence import S

NOT_ALLOWED = ("not permitted", "capability", "not allowed", "permission denied")
NO_REPOSITORY = ("not found", "not a git archive")
EVIDENCE = 500


@contextmanager
def told(place: str, user: str) -> Iterator[None]:
    """Turns what the SDK and the network raise into Unavailable and Rejected."""
    try:
        yield
    except asyncssh.PermissionDenied as error:
        sentence = S(
            "%(server)s does not take the key of “%(user)s”: it is not known there, or was revoked.",
            server=place,
            user=user,
        )
        raise Rejected(sentence, code="key_refused", evidence=_short(error)) from error
    except asyncssh.KeyExchangeFailed as error:
        sentence = S("%(server)s and the portal know no common way to encrypt.", server=place)
        raise Rejected(sentence, code="no_common_way", evidence=_short(error)) from error
    except TimeoutError as error:
        raise Unavailable(S("%(server)s does not answer.", server=place), code="silent") from error
    except socket.gaierror as error:
        raise Unavailable(S("The name of %(server)s cannot be found.", server=place), code="unknown_host") from error
    except ConnectionRefusedError as error:
        sentence = S("%(server)s refuses connections; perhaps it restarts.", server=place)
        raise Unavailable(sentence, code="refused") from error
    except (asyncssh.Error, OSError) as error:
        sentence = S("The connection to %(server)s was lost.", server=place)
        raise Unavailable(sentence, code="lost", evidence=_short(error)) from error


def wrong_host_key(place: str, pinned: str, offered: str) -> Rejected:
    """The server is not the one that was pinned. Both fingerprints are public: whoever mends it compares them."""
    if pinned:
        sentence = S(
            "%(server)s shows another key than the pinned one: it shows %(offered)s, pinned is %(pinned)s. "
            "Either its key was changed, or somebody stands between; nothing was sent.",
            server=place,
            offered=offered or "?",
            pinned=pinned,
        )
    else:
        sentence = S("No key of %(server)s is pinned; it shows %(offered)s.", server=place, offered=offered or "?")
    return Rejected(sentence, code="host_key")


def refused(command: str, said: str, user: str) -> Rejected | Unavailable:
    """A command was taken and ended with an error."""
    if "stream-events" in command and any(words in said.lower() for words in NOT_ALLOWED):
        sentence = S("“%(user)s” may not listen: it needs the server's capability “Stream Events”.", user=user)
        return Rejected(sentence, code="no_stream", evidence=said[:EVIDENCE])
    sentence = S("The server did not do “%(command)s”.", command=command)
    return Unavailable(sentence, code="command_failed", evidence=said[:EVIDENCE])


def repository_refused(said: str) -> NotFound | Rejected:
    """One repository cannot be read; the connection and the others are well."""
    if any(words in said.lower() for words in NO_REPOSITORY):
        return NotFound(S("There is no repository of this name."), code="unknown_repository")
    return Rejected(S("The server does not tell the branches."), code="not_told", evidence=said[:EVIDENCE])


def _short(error: Exception) -> str:
    return str(error)[:EVIDENCE]

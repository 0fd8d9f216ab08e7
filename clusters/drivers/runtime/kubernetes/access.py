"""How to reach one cluster's API server, read from a kubeconfig or from the pod this portal runs in.

A kubeconfig is a program when one lets it be: plugins of `exec` and `auth-provider` run commands, paths read files of this
host. Both are refused, and so is everything that would weaken TLS where that is not allowed.
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fangduoduo_release.common import reach
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.safe_yaml import load_one
from fangduoduo_release.common.sentence import S, Sentence
from fangduoduo_release.common.tls import certificate_problem, trust

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_WRONG = "bad_kubeconfig"
_FILES = ("client-certificate", "client-key", "tokenFile", "token-file")


@dataclass(frozen=True)
class Access:
    """An API server and as whom. `ca`, `certificate` and `key` are PEM. `token_file`: read anew, since it is rotated.

    `server_name`: the name its certificate is checked for, when that is not the host. `insecure`: it is not checked.
    """

    server: str
    ca: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    token_file: str = ""
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    server_name: str = ""
    insecure: bool = False

    @property
    def bearer(self) -> str:
        """The token to send now; "" when a certificate says who we are."""
        if not self.token_file:
            return self.token
        try:
            return Path(self.token_file).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return ""

    def tls(self) -> ssl.SSLContext | None:
        """The context to connect with; None for plain HTTP. Raises Invalid for a certificate that cannot be read."""
        if self.server.startswith("http:"):
            return None
        context = ssl.create_default_context(cadata=self.ca) if self.ca else trust()
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.certificate:
            _load_pair(context, self.certificate, self.key)
        return context


def _load_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """The SSL library reads a key from a file only; it exists for that moment, readable by nobody else."""
    handle, name = tempfile.mkstemp(prefix="fdd-pair-")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(f"{certificate}\n{key}\n")
        context.load_cert_chain(name, password=lambda: b"")
    except (ssl.SSLError, ValueError, OSError) as error:
        raise _bad(S("The client certificate and its key do not belong together or cannot be read.")) from error
    finally:
        Path(name).unlink(missing_ok=True)


def in_cluster(environment: Mapping[str, str], account: Path = ACCOUNT) -> Access:
    """The account of the pod this portal runs in. Raises Invalid where it runs in none."""
    host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "443")
    try:
        ca = (account / "ca.crt").read_text()
    except OSError as error:
        raise _bad(
            S("The portal does not run inside a cluster, so there is no account to use."), "in_cluster"
        ) from error
    if not host:
        raise _bad(S("The portal does not run inside a cluster, so there is no account to use."), "in_cluster")
    shown = f"[{host}]" if ":" in host else host
    return Access(server=f"https://{shown}:{port}", ca=ca, token_file=str(account / "token"))


def from_kubeconfig(text: str, context: str = "", *, allow_insecure: bool = False) -> Access:
    """Read a kubeconfig; `context` "" means its current one. Raises Invalid with what is wrong or refused."""
    try:
        data = load_one(text)
    except Invalid as error:
        raise _bad(error.sentence, code=error.code) from error
    if not isinstance(data, Mapping):
        raise _bad(S("This is no kubeconfig: it is not an object."))
    chosen = context or str(data.get("current-context") or "")
    if not chosen:
        raise _bad(S("The kubeconfig has no current context; name the one to use."), "context")
    where = _named(data, "contexts", "context", chosen)
    if where is None:
        raise _bad(S("The kubeconfig has no context called “%(name)s”.", name=chosen), "context")
    cluster = _named(data, "clusters", "cluster", str(where.get("cluster") or ""))
    user = _named(data, "users", "user", str(where.get("user") or ""))
    if cluster is None or user is None:
        raise _bad(
            S("The context “%(name)s” names a cluster or a user that the kubeconfig does not have.", name=chosen)
        )
    _refuse_programs(cluster, user)
    server = str(cluster.get("server") or "").rstrip("/")
    _judge_server(server, allow_insecure)
    insecure = cluster.get("insecure-skip-tls-verify") not in (None, False)
    if insecure and not allow_insecure:
        raise _bad(S("The kubeconfig switches the check of the server's certificate off; give its CA instead."))
    found = Access(
        server=server,
        ca=_decoded(cluster, "certificate-authority-data"),
        token=_token(user),
        certificate=_decoded(user, "client-certificate-data"),
        key=_decoded(user, "client-key-data"),
        server_name=str(cluster.get("tls-server-name") or ""),
        insecure=insecure,
    )
    problem = certificate_problem(found.ca)
    if problem is not None:
        raise _bad(problem)
    if bool(found.certificate) != bool(found.key):
        raise _bad(S("A client certificate and its key go together; one of them is missing."))
    if found.server_name and not reach.HOST.fullmatch(found.server_name):
        raise _bad(S("“tls-server-name” in the kubeconfig names no valid host."))
    if not found.token and not found.certificate:
        raise _bad(S("The user in the kubeconfig has neither a token nor a client certificate."))
    found.tls()
    return found


def _named(data: Mapping[str, Any], group: str, inner: str, name: str) -> Mapping[str, Any] | None:
    entries = data.get(group)
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, Mapping) and entry.get("name") == name and isinstance(entry.get(inner), Mapping):
            found: Mapping[str, Any] = entry[inner]
            return found
    return None


def _refuse_programs(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> None:
    for name in ("exec", "auth-provider"):
        if user.get(name):
            sentence = S(
                "The user in the kubeconfig signs in by a plugin (“%(name)s”), which would run a program here; give a token of a service account instead.",
                name=name,
            )
            raise _bad(sentence, code="kubeconfig_plugin")
    paths = [name for name in _FILES if user.get(name)]
    paths += ["certificate-authority"] if cluster.get("certificate-authority") else []
    if paths:
        sentence = S(
            "The kubeconfig names files (“%(name)s”), which the portal does not read; make it with “kubectl config view --raw --flatten”.",
            name=paths[0],
        )
        raise _bad(sentence, code="kubeconfig_path")
    if user.get("username") or user.get("password"):
        raise _bad(S("Kubernetes takes no user name with a password any more; give a token or a client certificate."))
    if any(name == "as" or str(name).startswith("as-") for name, value in user.items() if value):
        raise _bad(S("The kubeconfig acts as somebody else (“as”); give that account's own token instead."))
    if cluster.get("proxy-url"):
        raise _bad(S("The kubeconfig goes through a proxy, which is not supported."))


def _judge_server(server: str, allow_insecure: bool) -> None:
    try:
        parts = reach.split(server)
    except Invalid as error:
        raise _bad(error.sentence) from error
    odd = "@" in parts.netloc or parts.query or parts.fragment
    if parts.scheme not in {"https", "http"} or not parts.hostname or odd:
        raise _bad(S("The server's address in the kubeconfig is not an https address."))
    if parts.scheme == "http" and not allow_insecure:
        raise _bad(S("The server's address in the kubeconfig is not encrypted (http)."))


def judge_reach(server: str) -> None:
    """Where the address leads; private networks are where clusters live. Raises Invalid, Unavailable."""
    parts = urlsplit(server)
    reach.find(reach.host_of(parts), parts.port or (443 if parts.scheme == "https" else 80), allow_private=True)


def _token(user: Mapping[str, Any]) -> str:
    token = user.get("token") or ""
    if not isinstance(token, str):
        raise _bad(S("The token in the kubeconfig is not text; write it in quotes."))
    if not token.isascii() or any(ord(c) <= 32 for c in token):
        raise _bad(S("The token in the kubeconfig holds characters that no token has."))
    return token


def _decoded(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    if not value:
        return ""
    try:
        return base64.b64decode("".join(str(value).split()), validate=True).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise _bad(S("“%(name)s” in the kubeconfig is not base64 of a PEM text.", name=name)) from error


def _bad(sentence: Sentence, field_name: str = "kubeconfig", code: str = _WRONG) -> Invalid:
    return Invalid(sentence, code=code, fields={field_name: [sentence]})

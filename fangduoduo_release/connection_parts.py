"""Of what values a connection of each kind is made, as ops fill them in. Data; the forms are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Part:
    """One value of a connection. `secret`: it is stored apart, encrypted, and not shown."""

    name: str
    label: Any  # translated when it is shown
    help: Any = ""
    lines: int = 1
    secret: bool = False
    required: bool = False
    number: bool = False
    yes: bool = False  # yes or no
    made: bool = False  # a good value is offered, made at this moment


CA = Part("ca", _("CA certificate"), _("PEM, where its certificate is signed by a CA of your own."), lines=6)
WEBHOOKS = Part(
    "webhook_secret",
    _("Webhook secret"),
    _("With which the server signs what it posts here; the same is entered there."),
    secret=True,
    made=True,
)
SSH_KEY_HELP = _("A private key in OpenSSH's or PEM form, without a passphrase.")
PARTS: Mapping[str, tuple[Part, ...]] = {
    "consul": (
        Part("url", _("Address"), _("https://consul.example:8501, without /v1."), required=True),
        Part(
            "token", _("ACL token"), _("It needs key:read on the keys, and key:write to change them here."), secret=True
        ),
        Part("prefix", _("Prefix"), _("Before every key; empty: none. For example config/shop.")),
        Part("datacenter", _("Datacenter"), _("Empty: the one of the server that answers.")),
        Part("namespace", _("Namespace"), _("Consul Enterprise only.")),
        Part("partition", _("Admin partition"), _("Consul Enterprise only.")),
        CA,
    ),
    "gerrit": (
        Part(
            "url",
            _("Address"),
            _("As people open it: https://review.example/, with its path if it has one."),
            required=True,
        ),
        Part(
            "username", _("User name"), _("The portal's account in Gerrit; it votes and makes projects."), required=True
        ),
        Part("password", _("HTTP password"), _("In Gerrit: Settings, HTTP Credentials."), secret=True, required=True),
        Part(
            "ssh_host",
            _("SSH host"),
            _(
                "Where the portal listens to events. Empty: it does not listen, and finds pushes by webhooks and by comparing."
            ),
        ),
        Part("ssh_port", _("SSH port"), _("Empty: 29418."), number=True),
        Part("ssh_user", _("SSH user"), _("Empty: the user name above. It needs the capability “Stream Events”.")),
        Part("ssh_key", _("SSH key"), SSH_KEY_HELP, lines=8, secret=True),
        Part(
            "known_hosts",
            _("Pinned host keys"),
            _("Lines of known_hosts. Empty: when you save, you are asked to compare the key that the server shows."),
            lines=4,
        ),
        Part("parent", _("Parent of new projects"), _("Whose access rights they take; empty: All-Projects.")),
        Part("group", _("Owners of new projects"), _("A group in Gerrit; empty: as Gerrit does it.")),
        Part("label", _("Label to vote on"), _("Empty: Verified.")),
        WEBHOOKS,
        CA,
    ),
    "git": (
        Part(
            "url", _("Address"), _("A repository there, to try the connection on; the credentials go to its host only.")
        ),
        Part("username", _("User name")),
        Part("password", _("Password"), secret=True),
        Part("token", _("Token"), _("Instead of a password."), secret=True),
        Part("ssh_key", _("SSH key"), SSH_KEY_HELP, lines=8, secret=True),
        WEBHOOKS,
    ),
    "jenkins": (
        Part("url", _("Address"), _("As people open it: https://jenkins.example/"), required=True),
        Part("user", _("User"), _("Whose name stands under what the portal does there."), required=True),
        Part(
            "token", _("API token"), _("In Jenkins: the user's page, Security, API Token."), secret=True, required=True
        ),
        Part("folder", _("Folder"), _("Where the portal keeps its jobs; empty: fangduoduo-release.")),
        Part(
            "credentials_id",
            _("Credential in Jenkins"),
            _("The id of the credential with which Jenkins reads our repositories; empty: none is needed."),
        ),
        CA,
    ),
    "kubernetes": (
        Part(
            "kubeconfig",
            _("Kubeconfig"),
            _(
                "With a token or a client certificate inside, as “kubectl config view --raw --flatten --minify” prints it. Plugins and paths of files are refused."
            ),
            lines=12,
            secret=True,
        ),
        Part("context", _("Context"), _("Of the kubeconfig; empty: its current one.")),
        Part(
            "in_cluster",
            _("The pod's own account"),
            _("Where the portal itself runs in that cluster: no kubeconfig is needed."),
            yes=True,
        ),
    ),
    "registry": (
        Part("url", _("Address"), _("https://registry.example:5000, or http:// for a plain one."), required=True),
        Part("username", _("User name"), _("Better a robot's than a person's: pipelines push with it.")),
        Part("password", _("Password"), secret=True),
        CA,
    ),
}
TITLES: Mapping[str, Any] = {
    "consul": "Consul",
    "gerrit": "Gerrit",
    "jenkins": "Jenkins",
    "kubernetes": "Kubernetes",
    "registry": _("Image registry"),
    "git": _("Git server"),
}


def title_of(kind: str) -> Any:
    return TITLES.get(kind, kind)

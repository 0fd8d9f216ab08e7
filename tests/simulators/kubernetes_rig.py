"""A simulated cluster with what a portal needs besides: a CA, accounts, a kubeconfig.

with Rig() as rig:
    rig.namespace("shop-test")
    text = rig.kubeconfig()
"""

from __future__ import annotations

import base64
import ssl
import tempfile
from pathlib import Path
from typing import Any, Self

import yaml

from tests.simulators.kubernetes import Image, Kubernetes, Pace, Rule, User
from tests.simulators.registry import certificate
from tests.waiting import until

__all__ = ["ADMIN", "Image", "Pace", "Rig", "Rule", "User"]
ADMIN = "portal"


class Rig(Kubernetes):
    """A `Kubernetes` on TLS, with one node, an administrator `portal` and, if wanted, more accounts."""

    def __init__(self, *, pace: Pace | None = None, processes: bool = False, tls: bool = True) -> None:
        self._made = tempfile.TemporaryDirectory(prefix="kubernetes-rig-")
        context = None
        self.ca = ""
        self._signer = certificate("the simulated cluster's CA")
        if tls:
            signed = certificate("kube-apiserver", signer=self._signer)
            folder = Path(self._made.name)
            (folder / "ca.pem").write_bytes(self._signer.certificate)
            (folder / "both.pem").write_bytes(signed.key + signed.certificate)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(folder / "both.pem")
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(folder / "ca.pem")
            self.ca = self._signer.certificate.decode()
        super().__init__(tls=context, pace=pace, processes=processes, folder=Path(self._made.name))
        self.users.add(ADMIN)

    def start(self, port: int = 0) -> None:
        super().start(port)
        self.node("node1")

    def stop(self) -> None:
        super().stop()
        self._made.cleanup()

    def __enter__(self) -> Self:
        self.start()
        return self

    # -- accounts ---------------------------------------------------------------------------------------------------

    @property
    def token(self) -> str:
        return self.users.named[ADMIN].token

    def user(self, name: str, *rules: Rule, expires_in: float | None = None) -> User:
        """An account that may only what the rules say."""
        return self.users.add(name, list(rules), expires_in=expires_in)

    def kubeconfig(self, user: str = ADMIN, *, namespace: str = "", certificate_login: bool = False) -> str:
        """The text of a kubeconfig for this cluster, as this account."""
        cluster: dict[str, Any] = {"server": self.url}
        if self.ca:
            cluster["certificate-authority-data"] = base64.b64encode(self.ca.encode()).decode()
        login: dict[str, Any] = {"token": self.users.named[user].token}
        if certificate_login:
            signed = certificate(user, signer=self._signer)
            login = {
                "client-certificate-data": base64.b64encode(signed.certificate).decode(),
                "client-key-data": base64.b64encode(signed.key).decode(),
            }
        context: dict[str, Any] = {"cluster": "simulated", "user": user}
        if namespace:
            context["namespace"] = namespace
        return yaml.safe_dump(
            {
                "apiVersion": "v1", "kind": "Config", "current-context": "simulated",
                "clusters": [{"name": "simulated", "cluster": cluster}],
                "users": [{"name": user, "user": login}], "contexts": [{"name": "simulated", "context": context}],
            }
        )  # fmt: skip

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    # -- waiting ----------------------------------------------------------------------------------------------------

    def rolled_out(self, namespace: str, name: str, timeout: float = 60) -> dict[str, Any]:
        until(lambda: self.ready(namespace, name), timeout, what=f"the rollout of {name}")
        found = self.get("deployments", namespace, name)
        assert found is not None
        return found

    def condition(self, namespace: str, name: str, type_: str, reason: str, timeout: float = 60) -> dict[str, Any]:
        """Until a deployment has this condition."""

        def found() -> dict[str, Any] | None:
            obj = self.get("deployments", namespace, name) or {"status": {}}
            conditions = obj["status"].get("conditions") or []
            return next((each for each in conditions if (each["type"], each["reason"]) == (type_, reason)), None)

        return until(found, timeout, what=f"{type_} {reason} of {name}")

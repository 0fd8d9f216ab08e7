"""Debian's docker-registry, the real one, in a folder of the test on a free port of loopback: plain or with a certificate
of its own CA; open, with a password, or with tokens that somebody else signs. Images are pushed by plain HTTP.
"""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.require import need
from tests.waiting import until

USER, PASSWORD = "robot", "registry-password"
HTPASSWD = f"{USER}:$2b$04$abcdefghijklmnopqrstuuvMfIFKvu0UMo4ROgipiW53f9qa5YK3q\n"  # of PASSWORD
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@dataclass(frozen=True, slots=True)
class Signed:
    """A key and its certificate, in PEM."""

    key: bytes
    certificate: bytes


def certificate(name: str = "of the tests", signer: Signed | None = None, *, host: str = "localhost") -> Signed:
    """A CA's own certificate, or one signed by it for a host (for loopback, unless another is named)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signing_key = subject, key
    if signer is not None:
        issuer = x509.load_pem_x509_certificate(signer.certificate).subject
        loaded = serialization.load_pem_private_key(signer.key, None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signing_key = loaded
    now = datetime.now(UTC)
    names: list[x509.GeneralName] = [x509.DNSName(host)]
    if host == "localhost":
        names.append(x509.IPAddress(ip_address("127.0.0.1")))
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(signing_key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Signed(private, made.public_bytes(serialization.Encoding.PEM))


class DockerRegistry:
    """`with DockerRegistry(folder) as registry:` serves at `registry.url`; `tokens`: (realm, service, issuer, certificate)."""

    def __init__(
        self,
        folder: Path,
        *,
        basic: bool = False,
        tls: Signed | None = None,
        tokens: tuple[str, str, str, bytes] | None = None,
    ) -> None:
        (self._program,) = need("docker-registry")
        self._held = socket.socket()  # the port stays ours also while nobody listens there
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", 0))
        self.port = int(self._held.getsockname()[1])
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"
        self._config = folder / "config.yml"
        self._auth = (USER, PASSWORD) if basic else None
        self._process: subprocess.Popen[bytes] | None = None
        http: dict[str, Any] = {"addr": self.host}
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
            "http": http,
        }
        if tls is not None:
            (folder / "key.pem").write_bytes(tls.key)
            (folder / "certificate.pem").write_bytes(tls.certificate)
            http["tls"] = {"certificate": str(folder / "certificate.pem"), "key": str(folder / "key.pem")}
        if basic:
            (folder / "htpasswd").write_text(HTPASSWD)
            config["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
        if tokens is not None:
            realm, service, issuer, bundle = tokens
            (folder / "bundle.pem").write_bytes(bundle)
            config["auth"] = {
                "token": {
                    "realm": realm,
                    "service": service,
                    "issuer": issuer,
                    "rootcertbundle": str(folder / "bundle.pem"),
                }
            }
        self._config.write_text(json.dumps(config))  # JSON is YAML too
        self.client = httpx.Client(base_url=self.url, auth=self._auth, verify=False, trust_env=False, timeout=60)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._held.close()
        self.client.close()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, "serve", str(self._config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(self._answers, what="docker-registry to listen")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "docker-registry ended"
        try:
            return self.client.get("/v2/").status_code in (200, 401)
        except httpx.HTTPError:
            return False

    def push(self, repository: str, tag: str, content: bytes = b"content", **headers: str) -> str:
        """Push an image of one layer, as `docker push` does; its digest."""
        config, layer = json.dumps({"of": content.decode()}).encode(), content
        for blob in (config, layer):
            begun = self.client.post(f"/v2/{repository}/blobs/uploads/", headers=headers)
            assert begun.status_code == 202, begun.text
            place = httpx.URL(begun.headers["Location"]).copy_merge_params({"digest": digest(blob)})
            assert self.client.put(place, content=blob, headers=headers).status_code == 201
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": len(config),
                "digest": digest(config),
            },
            "layers": [
                {
                    "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                    "size": len(layer),
                    "digest": digest(layer),
                }
            ],
        }
        body = json.dumps(manifest).encode()
        answer = self.client.put(
            f"/v2/{repository}/manifests/{tag}", content=body, headers={**headers, "Content-Type": MANIFEST}
        )
        assert answer.status_code == 201, answer.text
        return digest(body)

    def index(self, repository: str, tag: str, *members: str) -> str:
        """Push an OCI index of manifests that are there already; its digest."""
        entries = []
        for member in members:
            size = len(self.client.get(f"/v2/{repository}/manifests/{member}", headers={"Accept": MANIFEST}).content)
            entries.append({"mediaType": MANIFEST, "digest": member, "size": size})
        kind = "application/vnd.oci.image.index.v1+json"
        body = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": entries}).encode()
        answer = self.client.put(f"/v2/{repository}/manifests/{tag}", content=body, headers={"Content-Type": kind})
        assert answer.status_code == 201, answer.text
        return digest(body)

    def remove(self, repository: str, found: str) -> None:
        """Delete the manifest with that digest."""
        assert self.client.delete(f"/v2/{repository}/manifests/{found}").status_code == 202


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"

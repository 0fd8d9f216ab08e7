"""Secrets planted in a real portal by every door that takes some, and a person who looks at every page."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import re
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.faults.site import Site
from tests.portal import Portal

from .planting import Garden

LINK = re.compile(r"""(?:href|hx-get|action|src)=["'](/[^"'#]*)""")
NEVER_FOLLOWED = re.compile(r"/(?:static|ws|git|sign-out|admin/logout|admin/jsi18n|api/docs)/")
PAGES = {"dev": 120, "ops": 220, "admin": 60, "guest": 40, "": 20}  # looked at by each, at most

JENKINSFILE = """
pipeline {
  agent any
  parameters { password(name: 'PASS', defaultValue: '', description: 'a password') }
  environment { TEXT = credentials('text'); PAIR = credentials('pair'); FILE = credentials('file'); SSH = credentials('ssh') }
  stages {
    stage('Say') { steps {
      sh 'echo raw $TEXT; printf %s "$TEXT" | base64 -w0; echo; printf %s "x$TEXT" | base64 -w0; echo'
      sh '''python3 -c 'import os,urllib.parse as u,json; t=os.environ["TEXT"]; print(u.quote(t,safe="")); print(u.quote_plus(t)); print(json.dumps(t)); print(repr(t))' '''
      sh '''python3 -u -c 'import os,sys,time; t=os.environ["PAIR_PSW"]
for c in t: sys.stdout.write(c); sys.stdout.flush(); time.sleep(0.01)
print()' '''
      sh 'echo $PAIR >&2; cat $FILE; cat $SSH; echo $SSH_PSW; echo $PASS; printf %s "$PAIR" | base64 -w0'
      echo "groovy says ${env.TEXT}"
      sh "true # ${TEXT}"
    } }
    stage('Bind') { steps {
      withCredentials([string(credentialsId: 'bound', variable: 'B'), usernameColonPassword(credentialsId: 'colon', variable: 'C'),
          usernamePassword(credentialsId: 'named', usernameVariable: 'U', passwordVariable: 'N'), file(credentialsId: 'bfile', variable: 'F'),
          sshUserPrivateKey(credentialsId: 'bssh', keyFileVariable: 'K', passphraseVariable: 'P')]) {
        sh 'echo $B $C $U $N $P; cat $F $K; set -x; true $B'
        writeFile file: "report.xml", text: "<testsuite name='s-${B}'><testcase classname='c' name='t-${B}'><failure message='f ${B}'>d ${N}</failure></testcase></testsuite>"
        junit allowEmptyResults: true, testResults: 'report.xml'
        sh 'mkdir -p out; echo x > "out/name-$U.txt"'
        archiveArtifacts 'out/*'
        script { currentBuild.description = "with ${B}"; currentBuild.displayName = "#${N}" }
      }
    } }
    stage('Fail') { steps { withCredentials([string(credentialsId: 'failing', variable: 'E')]) { error "went wrong with ${E}" } } }
  }
}
"""


class Rude(http.server.BaseHTTPRequestHandler):
    """A git server that tells everybody what it was sent."""

    def do_GET(self) -> None:
        said = self.headers.get("Authorization", "")
        with contextlib.suppress(ValueError):
            said += " " + base64.b64decode(said.partition(" ")[2]).decode(errors="replace")
        body = f"refused: {said}".encode()
        self.send_response(403, "No, " + said.encode("ascii", "replace").decode().replace("\n", " ")[:60])
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Person:
    """Signed in by a form, as a browser is. Everything that is answered is looked through by the test."""

    def __init__(self, portal: Portal, name: str, answers: list[tuple[str, bytes]], password: str = "") -> None:
        self.portal, self.name, self.answers = portal, name, answers
        self.client = httpx.Client(base_url=portal.url, timeout=180, headers={"Referer": portal.url})
        if name:
            password = password or portal.credentials()["users"][name]
            answer = self.post("/sign-in/", {"username": name, "password": password})
            assert answer.status_code == 302, answer.status_code

    def get(self, path: str) -> httpx.Response:
        return self.keep(self.client.get(path))

    def post(self, path: str, form: dict[str, str], *, heard: bool = True) -> httpx.Response:
        """`heard`: the answer must hold no secret (what is shown once is not looked through)."""
        self.client.get("/sign-in/" if "/admin/" not in path else "/admin/login/")
        token = {"csrfmiddlewaretoken": self.client.cookies.get("csrftoken", "")}
        answer = self.client.post(path, data={**token, **form})
        return self.keep(answer) if heard else answer

    def keep(self, answer: httpx.Response) -> httpx.Response:
        where = f"{self.name or 'nobody'}: {answer.request.method} {answer.request.url.path} {answer.status_code}"
        told = "\n".join(f"{name}: {value}" for name, value in answer.headers.items() if name != "set-cookie")
        self.answers.append((where, told.encode() + b"\n" + answer.content))
        return answer

    def crawl(self, starts: list[str]) -> int:
        """Look at every page that a page leads to; how many there were."""
        seen, waiting = set(starts), list(starts)
        while waiting and len(seen) < PAGES[self.name]:
            answer = self.get(waiting.pop(0))
            if "text/html" in answer.headers.get("content-type", ""):
                for link in LINK.findall(answer.text):
                    path = link.replace("&amp;", "&")
                    if path not in seen and not NEVER_FOLLOWED.match(path) and "?o=" not in path:
                        seen.add(path)
                        waiting.append(path)
        return len(seen)


class Sower:
    """Plants fifty secrets by the doors that people and scripts use."""

    def __init__(self, portal: Portal, rude: str, garden: Garden, answers: list[tuple[str, bytes]]) -> None:
        self.portal, self.rude, self.garden, self.answers = portal, rude, garden, answers
        self.site = Site(portal)
        self.http = httpx.Client(timeout=180)  # one for all: each reads every certificate of the system
        self.tokens = portal.credentials()["tokens"]

    def api(self, method: str, path: str, body: Any = None, who: str = "dev", **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[who]}", **options.pop("headers", {})}
        answer = self.http.request(
            method, f"{self.portal.url}/api/{path}", json=body, headers=headers, timeout=180, **options
        )
        self.answers.append((f"{who}: {method} /api/{path} {answer.status_code}", answer.content))
        return answer

    def credential(self, ident: str, kind: str, **values: str) -> None:
        body = {"id": ident, "kind": kind, "values": values}
        assert self.api("POST", "projects/sample/credentials/", body).status_code == 201

    def credentials(self) -> None:
        plant = self.garden.plant
        self.credential("text", "text", secret=plant("text in environment"))
        self.credential("pair", "username_password", username="deployer", password=plant("pair in environment"))
        self.credential("file", "file", name="key.txt", content=plant("file in environment"))
        key, phrase = plant("ssh key in environment"), plant("ssh passphrase in environment")
        self.credential("ssh", "ssh_key", username="git", private_key=f"-----BEGIN\n{key}\n-----END", passphrase=phrase)
        self.credential("bound", "text", secret=plant("bound text", simple=True))
        self.credential("colon", "username_password", username="deployer", password=plant("bound pair", simple=True))
        named = plant("bound password", simple=True)
        self.credential("named", "username_password", username="deployer", password=named)
        self.credential("bfile", "file", name="b.txt", content=f"first\n{plant('bound file')}\nlast")
        self.credential(
            "bssh", "ssh_key", username="git", private_key=plant("bound ssh key"), passphrase=plant("bound passphrase")
        )
        self.credential("failing", "text", secret=plant("text in an error"))
        self.credential("replaced", "text", secret=plant("replaced text"))
        self.credential("replaced", "text", secret=plant("replacing text"))
        self.credential("deleted", "text", secret=plant("deleted text"))
        assert self.api("DELETE", "projects/sample/credentials/deleted/").status_code == 204

    def bad_bodies(self) -> None:
        """What is refused is not repeated."""
        plant, where = self.garden.plant, "projects/sample/credentials/"
        missing = {"id": "x", "kind": "username_password", "values": {"password": plant("credential without user")}}
        assert self.api("POST", where, missing).status_code == 422
        wrong = {"id": "no id", "kind": "text", "values": {"secret": plant("credential of a bad id")}}
        assert self.api("POST", where, wrong).status_code == 422
        kind = {"id": "x", "kind": "none", "values": {"secret": plant("credential of a bad kind")}}
        assert self.api("POST", where, kind).status_code >= 400
        shape = {"id": "x", "kind": "text", "values": [plant("credential of a bad shape")]}
        assert self.api("POST", where, shape).status_code == 400
        cut = {"Content-Type": "application/json", "Authorization": f"Bearer {self.tokens['dev']}"}
        raw = ('{"id": "x", "kind": "text", "values": {"secret": "' + plant("half a body", simple=True)).encode()
        answer = self.http.post(f"{self.portal.url}/api/{where}", content=raw, headers=cut)
        assert answer.status_code == 400
        self.answers.append(("half a body", answer.content))
        spec = {"spec": {"command": ["x"], "secrets": {"A": [plant("spec secret of a bad shape")]}}}
        assert self.api("PATCH", "projects/sample/", spec).status_code in {400, 422}
        worse: Any = {"spec": {"command": [], "replicas": -1, "secrets": {"A": plant("spec secret in a bad spec")}}}
        assert self.api("PATCH", "projects/sample/", worse).status_code in {400, 422}
        keyed = {"Idempotency-Key": "one"}
        body = {"id": "again", "kind": "text", "values": {"secret": plant("credential with a key")}}
        for _ in range(2):
            assert self.api("POST", where, body, headers=keyed).status_code == 201

    def spec(self) -> None:
        secrets = {"API_KEY": self.garden.plant("spec secret"), "OLD": self.garden.plant("old spec secret")}
        spec: dict[str, Any] = {"command": ["python3", "app.py"], "port": 8080, "secrets": secrets}
        assert self.api("PATCH", "projects/sample/", {"spec": spec}).status_code == 200
        spec["secrets"] = {"OLD": self.garden.plant("new spec secret")}
        assert self.api("PATCH", "projects/sample/", {"spec": spec}).status_code == 200

    def connections(self) -> None:
        plant = self.garden.plant
        for kind in ("git", "embedded", "local", "traefik"):
            body = {
                "name": f"to-{kind}",
                "kind": kind,
                "config": {"url": self.rude, "username": "robot"},
                "secrets": {"password": plant(f"connection of {kind}")},
            }
            assert self.api("POST", "connections/", body, "ops").status_code == 201, kind
            self.api("POST", f"connections/to-{kind}/test/", None, "ops")
        server = "/".join(self.rude.split("/")[:3])
        for kind, config, secret in (
            ("jenkins", {"user": "robot"}, "token"),
            ("registry", {"username": "robot"}, "password"),
        ):
            body = {"name": f"to-{kind}", "kind": kind, "config": {"url": server, **config}}
            body["secrets"] = {secret: plant(f"connection of {kind}", simple=kind == "jenkins")}
            assert self.api("POST", "connections/", body, "ops").status_code == 201, kind
            self.api("POST", f"connections/to-{kind}/test/", None, "ops")
        self._build_elsewhere()
        changed = {"secrets": {"password": plant("changed connection")}}
        assert self.api("PATCH", "connections/to-git/", changed, "ops").status_code == 200
        self.api("POST", "connections/to-git/test/", None, "ops")
        none = {"name": "x", "kind": "none", "secrets": {"password": plant("connection of no kind")}}
        assert self.api("POST", "connections/", none, "ops").status_code == 422
        shape = {"name": "x", "kind": "git", "secrets": {"password": {"a": plant("connection of a bad shape")}}}
        assert self.api("POST", "connections/", shape, "ops").status_code in {400, 422}
        inside = self.rude.replace("//", f"//robot:{plant('connection address', simple=True)}@")
        refused = self.api("POST", "connections/", {"name": "inside", "kind": "git", "config": {"url": inside}}, "ops")
        assert refused.status_code == 422

    def _build_elsewhere(self) -> None:
        """A build for a Jenkins that is none and says aloud what it was sent, with a password parameter."""
        builder = {"kind": "jenkins", "connection": "to-jenkins"}
        chosen = {"builder": builder, "registry": {"connection": "to-registry", "image": "team/elsewhere"}}
        made = {"slug": "elsewhere", "name": "Elsewhere", "starter": "blank", **chosen}
        assert self.api("POST", "projects/", made).status_code == 201
        text = "pipeline { agent any; parameters { password(name: 'WORD') }; stages { stage('a') { steps { echo 'x' } } } }"
        assert self.api("PUT", "projects/elsewhere/pipeline/", {"text": text}).status_code == 200
        body = {"ref": "main", "parameters": {"WORD": self.garden.plant("password parameter for a Jenkins")}}
        assert self.api("POST", "projects/elsewhere/builds/", body).status_code == 201

    def repositories(self) -> None:
        """Addresses with a password in them, and a server that says aloud what it was sent."""
        plant = self.garden.plant
        for number, host in enumerate((self.rude, "https://git.invalid/team/app.git", "ssh://git.invalid/app.git")):
            inside = host.replace("//", f"//robot:{plant(f'repository address {number}', simple=True)}@")
            self.api("POST", "projects/", {"slug": f"inside{number}", "source": {"repository": inside}})
        bound = {"slug": "bound", "source": {"repository": self.rude, "connection": "to-git"}}
        self.api("POST", "projects/", bound, "ops")
        self.api("POST", "projects/bound/builds/", {"ref": "main"}, "ops")

    def builds(self) -> None:
        clone = self.site.clone()
        pk = self.site.pushed(clone, {"Jenkinsfile": JENKINSFILE})
        self.watch(pk)
        self.site.ended(pk, timeout=300)
        given = {"ref": "main", "parameters": {"PASS": self.garden.plant("password parameter")}}
        started = self.api("POST", "projects/sample/builds/", given).json()["id"]
        ended = self.site.ended(started, timeout=300)
        assert ended["state"] == "failed", ended
        assert "went wrong with ****" in json.dumps(ended), self.site.log(started).decode()
        assert b"raw ****" in self.site.log(started)
        self.watch(started)

    def watch(self, pk: int) -> None:
        """The log as it comes over the socket."""
        where = self.portal.url.replace("http://", "ws://") + f"/ws/builds/{pk}/log/"
        headers = {"Authorization": f"Bearer {self.tokens['dev']}"}
        with (
            connect(where, additional_headers=headers, proxy=None, open_timeout=180) as socket,
            contextlib.suppress(ConnectionClosed),
        ):
            while True:
                frame = socket.recv(timeout=180)
                data = frame if isinstance(frame, bytes) else frame.encode()
                self.answers.append((f"socket of build {pk}", data))
                socket.send(json.dumps({"ack": 10**9}))

    def doors(self) -> None:
        """Keys and passwords, good ones and bad ones, at every door."""
        plant, url = self.garden.plant, self.portal.url
        for name, headers in {
            "bearer": {"Authorization": f"Bearer {plant('bad bearer', simple=True)}"},
            "token": {"Authorization": f"Bearer fdd_0123456789_{plant('bad token', simple=True)}"},
            "scheme": {"Authorization": f"Token {plant('bad scheme', simple=True)}"},
        }.items():
            answer = self.http.get(f"{url}/api/projects/", headers=headers)
            assert answer.status_code == 401, name
            self.answers.append((name, answer.content))
        refs = f"{url}/git/sample.git/info/refs?service=git-upload-pack"
        for auth in (("dev", plant("bad basic")), (plant("key as user", simple=True), "")):
            answer = self.http.get(refs, auth=auth)
            assert answer.status_code == 401
            self.answers.append(("git", answer.content))
        bad = connect_refused(url, plant("bad bearer of a socket", simple=True))
        self.answers.append(("socket", bad))
        nobody = Person(self.portal, "", self.answers)
        assert nobody.post("/sign-in/", {"username": "dev", "password": plant("bad password")}).status_code == 200
        form = {"username": "admin", "password": plant("bad admin password"), "next": "/admin/"}
        assert nobody.post("/admin/login/", form).status_code in {302, 403}  # it has no sign-in of its own

    def people(self) -> None:
        """Accounts made, changed and used; keys made by hand."""
        plant, root = self.garden.plant, Person(self.portal, "admin", self.answers)
        new = plant("new account's password")
        form = {"username": "nina", "password1": new, "password2": new, "usable_password": "true"}
        assert root.post("/admin/permissions/user/add/", form).status_code == 302
        Person(self.portal, "nina", self.answers, new)
        other = {"username": "nora", "password1": plant("first of two"), "password2": plant("second of two")}
        assert root.post("/admin/permissions/user/add/", {**other, "usable_password": "true"}).status_code == 200
        changed = plant("changed password")
        form = {"old_password": new, "new_password1": changed, "new_password2": changed}
        nina = Person(self.portal, "nina", self.answers, new)
        nina.post("/admin/password_change/", form)
        config = {"name": "by-form", "kind": "git", "config": json.dumps({"url": "https://git.invalid/x"})}
        assert root.post("/admin/common/connection/add/", config).status_code == 302
        dev = Person(self.portal, "dev", self.answers)
        page = dev.post("/me/tokens/", {"name": "mine"}, heard=False).text
        token = re.search(r"fdd_[0-9a-f]{10}_[\w-]+", page)
        assert token is not None
        whole = self.garden.keep("a token made by hand", token[0])
        self.garden.keep("that token's secret part", whole.split("_", 2)[2])
        assert self.http.get(
            f"{self.portal.url}/api/projects/", headers={"Authorization": f"Bearer {whole}"}
        ).is_success
        refs = f"{self.portal.url}/git/sample.git/info/refs?service=git-upload-pack"
        assert self.http.get(refs, auth=("dev", whole)).is_success
        for name, text in self.portal.credentials()["tokens"].items():
            self.garden.keep(f"the token of {name}", text.split("_", 2)[2])
        # The page takes secrets of the spec in a form of lines.
        line = plant("spec secret by form", simple=True)
        dev.post(
            "/projects/sample/settings/", {"form": "spec", "secrets": f"FORM={line}", "command": "x", "replicas": "1"}
        )

    # Whoever adds a door that takes a secret adds a line here.
    def sow(self) -> None:
        for plot in (
            self.credentials, self.bad_bodies, self.spec, self.connections, self.repositories, self.doors, self.people,
            self.builds,
        ):  # fmt: skip
            plot()


def connect_refused(url: str, key: str) -> bytes:
    where = url.replace("http://", "ws://") + "/ws/home/"
    with (
        connect(where, additional_headers={"Authorization": f"Bearer {key}"}, proxy=None, open_timeout=180) as socket,
        pytest.raises(ConnectionClosed) as closed,
    ):
        socket.recv(timeout=180)
    return str(closed.value).encode()

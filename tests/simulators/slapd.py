"""Debian's OpenLDAP with people and groups of its own, in a folder of the test, on a free port of loopback."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Self

import ldap3

from tests.portal import free_port
from tests.require import need
from tests.waiting import until

BASE = "dc=example,dc=com"
ROOT, ROOT_PASSWORD = f"cn=root,{BASE}", "root-of-the-directory"
SCHEMA = Path("/etc/ldap/schema")


class Slapd:
    """`with Slapd(folder) as directory:` serves at `directory.url`."""

    def __init__(self, folder: Path) -> None:
        (program,) = need("/usr/sbin/slapd")
        self.url = f"ldap://127.0.0.1:{free_port()}"
        data = folder / "data"
        data.mkdir()
        config = folder / "slapd.conf"
        schemas = "\n".join(f"include {SCHEMA / name}.schema" for name in ("core", "cosine", "inetorgperson"))
        config.write_text(
            f"{schemas}\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {folder}/pid\n"
            f'database mdb\nsuffix "{BASE}"\nrootdn "{ROOT}"\nrootpw {ROOT_PASSWORD}\ndirectory {data}\n'
            "access to attrs=userPassword by anonymous auth by * none\naccess to * by users read by anonymous auth\n"
        )
        self._process = subprocess.Popen(
            [program, "-f", str(config), "-h", self.url, "-d", "0"], stdin=subprocess.DEVNULL
        )

    def __enter__(self) -> Self:
        until(self._answers, what="slapd to listen")
        self.add(BASE, ["dcObject", "organization"], dc="example", o="Example")
        for name in ("people", "groups"):
            self.add(f"ou={name},{BASE}", ["organizationalUnit"], ou=name)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(60)

    def _answers(self) -> bool:
        assert self._process.poll() is None, "slapd ended"
        try:
            return bool(ldap3.Connection(self.url, ROOT, ROOT_PASSWORD).bind())
        except ldap3.core.exceptions.LDAPException:
            return False

    def _as_root(self) -> ldap3.Connection:
        return ldap3.Connection(self.url, ROOT, ROOT_PASSWORD, auto_bind=True, raise_exceptions=True)

    def add(self, dn: str, classes: list[str], **attributes: object) -> None:
        with self._as_root() as root:
            root.add(dn, classes, attributes)

    def person(self, uid: str, password: str, **facts: str) -> str:
        """Their DN."""
        dn = f"uid={uid},ou=people,{BASE}"
        self.add(dn, ["inetOrgPerson"], uid=uid, cn=uid, sn=facts.pop("sn", "Example"), userPassword=password, **facts)
        return dn

    def group(self, name: str, *members: str) -> None:
        self.add(f"cn={name},ou=groups,{BASE}", ["groupOfNames"], cn=name, member=list(members))

    def leave(self, name: str, member: str) -> None:
        with self._as_root() as root:
            root.modify(f"cn={name},ou=groups,{BASE}", {"member": [(ldap3.MODIFY_DELETE, [member])]})

    def stop(self) -> None:
        self.__exit__()

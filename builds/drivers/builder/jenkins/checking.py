"""Trying a connection: who answers, as whom, and what is missing, by name.

Only what harms nothing is tried, so a missing right to start or stop a build shows first when one is started or stopped.
How Jenkins tells the rest to somebody who is no administrator:

- `itemCategories` of a folder (what “New Item” offers) needs Job/Create and lists the kinds of jobs that can be made;
- `checkJobName` needs Job/Create too, also where the list is not to be had;
- the folder's `config.xml` needs Job/ExtendedRead, which Job/Configure brings with it;
- the list of plugins needs Overall/SystemRead; without it only those plugins are judged whose addresses tell.
"""

from __future__ import annotations

from builds.drivers.builder.remote import ServerFacts
from fangduoduo_release.common.errors import Rejected, Unavailable
from fangduoduo_release.common.sentence import S, Sentence

from . import failures
from .paths import job_url
from .reading import items, mapping, text
from .transport import Transport

PLUGINS = (
    "workflow-job",
    "workflow-cps",
    "pipeline-model-definition",
    "pipeline-rest-api",
    "git",
    "junit",
    "cloudbees-folder",
)
_PIPELINE = {"workflow-job", "workflow-cps", "pipeline-model-definition"}
_ITEM_PLUGINS = {
    "org.jenkinsci.plugins.workflow.job.WorkflowJob": "workflow-job",
    "com.cloudbees.hudson.plugins.folder.Folder": "cloudbees-folder",
}


def check(transport: Transport) -> ServerFacts:
    """Raises Unavailable or Rejected when it is no Jenkins, or does not know the user."""
    answer = transport.ask("GET", "api/json", params={"tree": "quietingDown"}, accept=())
    root, version = mapping(transport.json_of(answer)), answer.headers.get("X-Jenkins", "")
    if not version:
        sentence = S("What answers at “%(host)s” does not speak like a Jenkins.", host=transport.config.host)
        raise Unavailable(sentence, evidence=transport.said(answer)[:200], code="not_jenkins")
    user = _who(transport)
    missing = tuple(
        dict.fromkeys([*_permissions(transport), *(f"plugin {name}" for name in missing_plugins(transport))])
    )
    return ServerFacts(version, user, missing, _sentence(user, missing, root.get("quietingDown") is True))


def missing_plugins(transport: Transport) -> list[str]:
    """Plugins that are certainly not there."""
    tree = "plugins[shortName,active,enabled]"
    answer = transport.ask("GET", "pluginManager/api/json", params={"depth": "1", "tree": tree}, accept=(403, 404))
    if answer.status_code == 200:
        there = {
            text(plugin.get("shortName"))
            for plugin in items(mapping(transport.json_of(answer)).get("plugins"))
            if plugin.get("active") is not False and plugin.get("enabled") is not False
        }
        return [name for name in PLUGINS if name not in there]
    return [name for name in PLUGINS if name in _told_by_addresses(transport)]


def pipeline_missing(transport: Transport) -> bool:
    """Whether Jenkins certainly cannot run pipelines."""
    return bool(_PIPELINE.intersection(missing_plugins(transport)))


def _told_by_addresses(transport: Transport) -> set[str]:
    missing = set()
    validator = transport.ask(
        "POST", "pipeline-model-converter/validate", form={"jenkinsfile": ""}, accept=(400, 403, 404, 405, 500)
    )
    if validator.status_code == 404:
        missing.add("pipeline-model-definition")
    offered = _offered(transport, _existing_folder(transport))
    if offered is not None:
        missing |= {plugin for kind, plugin in _ITEM_PLUGINS.items() if kind not in offered}
    return missing


def _who(transport: Transport) -> str:
    found = mapping(transport.get("whoAmI/api/json"))
    if found.get("anonymous") is True or not text(found.get("name")):
        sentence = S(
            "Jenkins at “%(host)s” does not accept the user “%(user)s” with this token; make a new API token there and "
            "save it in the connection.",
            host=transport.config.host,
            user=transport.config.user,
        )
        raise Rejected(sentence, code="bad_credentials")
    return text(found.get("name"))


def _permissions(transport: Transport) -> list[str]:
    """What the user may not, as far as it can be tried."""
    missing, place = [], _existing_folder(transport)
    answer = transport.ask("GET", f"{place}checkJobName", params={"value": "fdd-check"}, accept=(403, 404, 500))
    if answer.status_code == 403:
        missing.append(failures.permission_of(answer.headers, answer.text) or "Job/Create")
    if place:
        answer = transport.ask("GET", f"{place}config.xml", accept=(403, 404, 500))
        if answer.status_code == 403:
            missing.append("Job/Configure")
    return missing


def _existing_folder(transport: Transport) -> str:
    """The address of our folder, or of the nearest folder above it that is there; "" for the root."""
    parts = transport.config.folder.split("/")
    for length in range(len(parts), 0, -1):
        url = job_url("/".join(parts[:length])) + "/"
        if transport.get(f"{url}api/json", {"tree": "name"}) is not None:
            return url
    return ""


def _offered(transport: Transport, place: str) -> set[str] | None:
    """The classes of jobs that “New Item” offers there; None when that is not to be had."""
    answer = transport.ask(
        "GET", f"{place}itemCategories", params={"depth": "3", "iconStyle": "icon-xlg"}, accept=(403, 404, 500)
    )
    if answer.status_code != 200 or "json" not in answer.headers.get("Content-Type", ""):
        return None
    categories = items(mapping(transport.json_of(answer)).get("categories"))
    offered = {text(item.get("class")) for category in categories for item in items(category.get("items"))}
    return offered or None


def _sentence(user: str, missing: tuple[str, ...], quieting: bool) -> Sentence | None:
    if missing:
        return S("Missing in Jenkins for the user “%(user)s”: %(missing)s.", user=user, missing=", ".join(missing))
    if quieting:
        return S("Jenkins is about to shut down and starts no builds now.")
    return None

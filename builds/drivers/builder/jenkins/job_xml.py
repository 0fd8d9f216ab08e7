"""A job's config.xml: written from a JobSpec, and read back to facts that are equal exactly when nobody changed them.

Jenkins rewrites the XML by itself: plugin versions, trackers of what a Jenkinsfile declared (parameters, triggers, options),
order, white space, XML 1.1. None of that is a fact. A facts dictionary has these keys:

- `kind`: `text` (the pipeline stands in the job), `repository` (Jenkins reads the Jenkinsfile) or the class that is there
- `disabled`
- `script`, `sandbox` for `text`
- `scm` {class, url, branch, refspec, credentials_id, extensions}, `script_path`, `lightweight` for `repository`
- `parameters_missing`: ours that are not there, or there as another kind. A Jenkinsfile's `properties([parameters(…)])`
  replaces all parameters, so this says “write it again”, not “somebody edited it”; compare facts without it (`same`).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

from builds.drivers.builder.remote import OURS, JobFacts, JobSpec, ParameterSpec
from fangduoduo_release.common.errors import Invalid, Unavailable
from fangduoduo_release.common.sentence import S

from .config import is_credential

REFSPEC = "+refs/heads/*:refs/remotes/origin/* +refs/tags/*:refs/tags/* ${FDD_FETCH}"  # the git plugin fills it in
_GROOVY_REFSPEC = REFSPEC.replace("${", "${params.")
_KINDS = {
    "string": "hudson.model.StringParameterDefinition",
    "text": "hudson.model.TextParameterDefinition",
    "boolean": "hudson.model.BooleanParameterDefinition",
    "choice": "hudson.model.ChoiceParameterDefinition",
    "password": "hudson.model.PasswordParameterDefinition",
}
_WORDS = {tag: kind for kind, tag in _KINDS.items()}
_TEXT = "org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition"
_REPOSITORY = "org.jenkinsci.plugins.workflow.cps.CpsScmFlowDefinition"
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_IMPOSSIBLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
# XML 1.1 may name control characters that the XML 1.0 of Python's parser knows no way to write.
_CONTROL = re.compile(r"&#(?:x0*(?:[1-8bcef]|1[0-9a-f])|0*(?:[1-8]|1[124-9]|2[0-9]|3[01]));", re.I)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,199}")


def render(spec: JobSpec) -> str:
    """The config.xml for a spec. Raises Invalid for what cannot stand in one."""
    if spec.credentials_id and not is_credential(spec.credentials_id):
        sentence = S("The id of a credential in Jenkins holds letters, digits, “.”, “_” and “-” only.")
        raise Invalid(sentence, code="bad_job")
    root = ET.Element("flow-definition", {"plugin": "workflow-job"})
    _put(root, "description", _description(spec))
    _put(root, "keepDependencies", "false")
    properties = ET.SubElement(root, "properties")
    declared = ET.SubElement(
        ET.SubElement(properties, "hudson.model.ParametersDefinitionProperty"), "parameterDefinitions"
    )
    names = {parameter.name for parameter in OURS}
    for parameter in (*OURS, *(p for p in spec.parameters if p.name not in names)):
        _parameter(declared, parameter)
    if spec.from_repository:
        _from_repository(root, spec)
    else:
        definition = ET.SubElement(root, "definition", {"class": _TEXT, "plugin": "workflow-cps"})
        _put(definition, "script", script_of(spec))
        _put(definition, "sandbox", "true")
    ET.SubElement(root, "triggers")
    _put(root, "disabled", "false")
    return "<?xml version='1.1' encoding='UTF-8'?>\n" + ET.tostring(root, encoding="unicode")


def script_of(spec: JobSpec) -> str:
    """The text with `scm` meaning what it means in a repository; on its first line, so that line numbers stay."""
    text = spec.text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if text.startswith("#!"):
        text = "// " + text  # a shebang must be the very first thing
    remote = f"url: params.FDD_REPOSITORY, credentialsId: '{spec.credentials_id}', refspec: \"{_GROOVY_REFSPEC}\""
    scm = f"[$class: 'GitSCM', branches: [[name: params.FDD_COMMIT]], userRemoteConfigs: [[{remote}]]]"
    return f"def scm = {scm}; {text}"


def read(config_xml: str) -> JobFacts:
    """The facts of a job. Raises Unavailable for XML that cannot be read."""
    text = _CONTROL.sub("\ufffd", _DECLARATION.sub("", config_xml))
    try:
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise ET.ParseError("a document type")
        root = ET.fromstring(text)  # noqa: S314 - no document type, so nothing to expand
    except (ET.ParseError, ValueError) as error:
        sentence = S("The job's configuration in Jenkins cannot be read.")
        raise Unavailable(sentence, evidence=str(error), code="broken_answer") from error
    definition = root.find("definition")
    facts: dict[str, Any] = {"disabled": _is(root, "disabled"), "parameters_missing": _missing(root)}
    kind = definition.get("class", "") if definition is not None else root.tag
    if definition is not None and kind == _TEXT:
        facts |= {"kind": "text", "script": _clean(_get(definition, "script")), "sandbox": _is(definition, "sandbox")}
    elif definition is not None and kind == _REPOSITORY:
        facts |= {
            "kind": "repository",
            "scm": _scm(definition.find("scm")),
            "script_path": _get(definition, "scriptPath"),
            "lightweight": _is(definition, "lightweight"),
        }
    else:
        facts["kind"] = kind or root.tag
    return facts


def facts_of(spec: JobSpec) -> JobFacts:
    """What `read` will find when Jenkins took `render(spec)` as it is."""
    return read(render(spec))


def same(one: JobFacts | None, other: JobFacts | None) -> bool:
    """Whether nobody edited the job between the two; missing parameters of ours do not count."""
    if one is None or other is None:
        return one is other
    return {k: v for k, v in one.items() if k != "parameters_missing"} == {
        k: v for k, v in other.items() if k != "parameters_missing"
    }


def _description(spec: JobSpec) -> str:
    link = f" {spec.portal_url}" if spec.portal_url else ""
    return f"Managed by fangduoduo_release: project {spec.project}, pipeline revision {spec.revision}.{link}"


def _from_repository(root: ET.Element, spec: JobSpec) -> None:
    definition = ET.SubElement(root, "definition", {"class": _REPOSITORY, "plugin": "workflow-cps"})
    scm = ET.SubElement(definition, "scm", {"class": "hudson.plugins.git.GitSCM", "plugin": "git"})
    _put(scm, "configVersion", "2")
    remote = ET.SubElement(ET.SubElement(scm, "userRemoteConfigs"), "hudson.plugins.git.UserRemoteConfig")
    _put(remote, "refspec", REFSPEC)
    _put(remote, "url", spec.repository)
    if spec.credentials_id:
        _put(remote, "credentialsId", spec.credentials_id)
    branch = ET.SubElement(ET.SubElement(scm, "branches"), "hudson.plugins.git.BranchSpec")
    _put(branch, "name", "${FDD_COMMIT}")
    _put(scm, "doGenerateSubmoduleConfigurations", "false")
    ET.SubElement(scm, "extensions")
    _put(definition, "scriptPath", "Jenkinsfile")
    _put(definition, "lightweight", "false")


def _parameter(parent: ET.Element, parameter: ParameterSpec) -> None:
    if not _NAME.fullmatch(parameter.name):
        raise Invalid(S("“%(name)s” cannot be the name of a parameter.", name=parameter.name[:100]), code="bad_job")
    made = ET.SubElement(parent, _KINDS[parameter.kind])
    _put(made, "name", parameter.name)
    _put(made, "description", parameter.description)
    if parameter.kind == "choice":
        listed = ET.SubElement(made, "choices", {"class": "java.util.Arrays$ArrayList"})
        array = ET.SubElement(listed, "a", {"class": "string-array"})
        for choice in parameter.choices:
            _put(array, "string", choice)
    elif parameter.kind == "boolean":
        _put(made, "defaultValue", "true" if parameter.default.lower() == "true" else "false")
    else:
        _put(made, "defaultValue", "" if parameter.kind == "password" else parameter.default)
    if parameter.kind in {"string", "text"}:
        _put(made, "trim", "false")


def _put(parent: ET.Element, tag: str, text: str) -> None:
    if _IMPOSSIBLE.search(text):
        sentence = S("The pipeline holds a character that cannot be written into a job (%(tag)s).", tag=tag)
        raise Invalid(sentence, code="bad_job")
    ET.SubElement(parent, tag).text = text


def _missing(root: ET.Element) -> list[str]:
    there = {
        _get(element, "name"): _WORDS.get(element.tag, "")
        for holder in root.iter("parameterDefinitions")
        for element in holder
    }
    return [parameter.name for parameter in OURS if there.get(parameter.name) != parameter.kind]


def _scm(scm: ET.Element | None) -> dict[str, str]:
    if scm is None:
        return {}
    remotes = scm.findall("userRemoteConfigs/hudson.plugins.git.UserRemoteConfig")
    branches = scm.findall("branches/hudson.plugins.git.BranchSpec")
    return {
        "class": scm.get("class", ""),
        "url": " ".join(_get(remote, "url") for remote in remotes),
        "refspec": " ".join(_get(remote, "refspec") for remote in remotes),
        "credentials_id": " ".join(_get(remote, "credentialsId") for remote in remotes),
        "branch": " ".join(_get(branch, "name") for branch in branches),
        "extensions": " ".join(sorted(extension.tag for extension in scm.findall("extensions/*"))),
    }


def _get(parent: ET.Element, tag: str) -> str:
    return (parent.findtext(tag) or "").strip()


def _is(parent: ET.Element, tag: str) -> bool:
    return _get(parent, tag) == "true"


def _clean(script: str) -> str:
    return script.replace("\r\n", "\n").replace("\r", "\n").strip()

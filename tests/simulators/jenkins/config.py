"""A job's config.xml: what is read from it, and how Jenkins rewrites it after a declarative pipeline has run once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

FOLDER = "com.cloudbees.hudson.plugins.folder.Folder"
PIPELINE = "flow-definition"
FREESTYLE = "project"
_CPS = "org.jenkinsci.plugins.workflow.cps"
_SERIAL = "org.jenkinsci.plugins.workflow.job.properties.DisableConcurrentBuildsJobProperty"
_PARAMETERS = "hudson.model.ParametersDefinitionProperty"
_TRACKER = "org.jenkinsci.plugins.pipeline.modeldefinition.actions.DeclarativeJobPropertyTrackerAction"
_TRIGGERS = "org.jenkinsci.plugins.workflow.job.properties.PipelineTriggersJobProperty"
_TIMER = "hudson.triggers.TimerTrigger"
_ACTION = "org.jenkinsci.plugins.pipeline.modeldefinition.actions.DeclarativeJobAction"
_KINDS = {
    "hudson.model.StringParameterDefinition": "string",
    "hudson.model.TextParameterDefinition": "text",
    "hudson.model.BooleanParameterDefinition": "boolean",
    "hudson.model.ChoiceParameterDefinition": "choice",
    "hudson.model.PasswordParameterDefinition": "password",
}
CLASSES = {kind: name for name, kind in _KINDS.items()}
_PLUGINS = {
    "flow-definition": "workflow-job@1400.v7fd111b_ec82f",
    f"{_CPS}.CpsFlowDefinition": "workflow-cps@3883.vb_3ff2a_e3eea_f",
    f"{_CPS}.CpsScmFlowDefinition": "workflow-cps@3883.vb_3ff2a_e3eea_f",
    "hudson.plugins.git.GitSCM": "git@5.2.1",
    _ACTION: "pipeline-model-definition@2.2184.v0b_358b_953e69",
    _TRACKER: "pipeline-model-definition@2.2184.v0b_358b_953e69",
}


class BadConfig(Exception):
    """Not XML, or of a class that no installed plugin knows."""


@dataclass(frozen=True, slots=True)
class Declared:
    """One parameter of a job. `kind`: string, text, boolean, choice, password."""

    kind: str
    name: str
    default: str = ""
    choices: tuple[str, ...] = ()
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """The pipeline's text, in the job."""

    text: str
    sandbox: bool


@dataclass(frozen=True, slots=True)
class FromGit:
    """The pipeline's text, in a repository."""

    url: str
    branch: str
    credentials_id: str
    script_path: str


@dataclass(frozen=True, slots=True)
class Said:
    """What a declarative pipeline says of its job."""

    parameters: tuple[Declared, ...] = ()
    options: tuple[str, ...] = ()
    timers: tuple[str, ...] = ()
    serial: bool = False


class Config:
    """One config.xml. Immutable: a change makes another."""

    def __init__(self, text: str) -> None:
        try:
            self.root = ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            raise BadConfig(str(error)) from error
        self.kind = self.root.tag
        if self.kind not in (FOLDER, PIPELINE, FREESTYLE):
            raise BadConfig(self.kind)
        # As Jenkins stores what was posted: the same elements, escaped in its own way.
        self.text = '<?xml version="1.1" encoding="UTF-8"?>' + _written(self.root)

    @classmethod
    def of_bytes(cls, body: bytes) -> Config:
        try:
            return cls(body.decode("utf-8"))
        except (UnicodeDecodeError, ValueError) as error:
            raise BadConfig(str(error)) from error

    @property
    def description(self) -> str | None:
        return self.root.findtext("description") or None

    @property
    def disabled(self) -> bool:
        return self.root.findtext("disabled", "false").strip() == "true"

    @property
    def concurrent(self) -> bool:
        return self.kind == PIPELINE and self.root.find(f"properties/{_SERIAL}") is None

    @property
    def definition(self) -> Script | FromGit | None:
        found = self.root.find("definition")
        kind = "" if found is None else found.get("class", "").rpartition(".")[2]
        if found is not None and kind == "CpsFlowDefinition":
            return Script(found.findtext("script") or "", found.findtext("sandbox") == "true")
        if found is not None and kind == "CpsScmFlowDefinition":
            remote = "scm/userRemoteConfigs/hudson.plugins.git.UserRemoteConfig/"
            return FromGit(
                found.findtext(f"{remote}url") or "",
                found.findtext("scm/branches/hudson.plugins.git.BranchSpec/name") or "*/master",
                found.findtext(f"{remote}credentialsId") or "",
                found.findtext("scriptPath") or "Jenkinsfile",
            )
        return None

    @property
    def shell_commands(self) -> tuple[str, ...]:
        return tuple(c.text or "" for c in self.root.iterfind("builders/hudson.tasks.Shell/command"))

    @property
    def parameters(self) -> tuple[Declared, ...]:
        listed = self.root.find(f"properties/{_PARAMETERS}/parameterDefinitions")
        return tuple(_declared(e) for e in (listed if listed is not None else ()) if e.tag in _KINDS)

    def with_disabled(self, disabled: bool) -> Config:
        root = self._copy()
        _child(root, "disabled").text = "true" if disabled else "false"
        return Config(ElementTree.tostring(root, encoding="unicode"))

    def after_declarative_run(self, said: Said) -> Config:
        """As Jenkins writes it once it has read the pipeline: trackers, plugin versions, what the pipeline declares."""
        root = self._copy()
        properties = _child(root, "properties")
        kept = [p for p in self.parameters if p.name not in {d.name for d in said.parameters}]
        for name in (_PARAMETERS, _TRIGGERS):
            for old in properties.findall(name):
                properties.remove(old)
        if kept or said.parameters:
            holder = SubElement(SubElement(properties, _PARAMETERS), "parameterDefinitions")
            holder.extend([_element(parameter) for parameter in (*kept, *said.parameters)])
        if said.timers:
            holder = SubElement(SubElement(properties, _TRIGGERS), "triggers")
            for timer in said.timers:
                SubElement(SubElement(holder, _TIMER), "spec").text = timer
        if said.serial and properties.find(_SERIAL) is None:
            SubElement(properties, _SERIAL)
        for old in root.findall("actions"):
            root.remove(old)
        root.insert(0, _trackers(said))
        _fill_in(root)
        ElementTree.indent(root)
        config = Config(ElementTree.tostring(root, encoding="unicode"))
        config.text = "<?xml version='1.1' encoding='UTF-8'?>\n" + _written(config.root)
        return config

    def _copy(self) -> Element:
        return ElementTree.fromstring(ElementTree.tostring(self.root))


def _written(root: Element) -> str:
    # `>` is escaped everywhere else, so this is the end of an empty element.
    return ElementTree.tostring(root, encoding="unicode").replace(" />", "/>")


def expanded(text: str, values: dict[str, str]) -> str:
    """`${NAME}` and `$NAME` with the build's parameters, as the Git plugin does; what is unknown stays."""
    return re.sub(
        r"\$(?:\{(\w+)\}|(\w+))", lambda found: values.get(found.group(1) or found.group(2), found.group(0)), text
    )


def _declared(element: Element) -> Declared:
    kind = _KINDS[element.tag]
    choices = tuple(e.text or "" for e in element.iterfind("choices//string")) if kind == "choice" else ()
    default = choices[0] if choices else element.findtext("defaultValue") or ""
    return Declared(kind, element.findtext("name") or "", default, choices, element.findtext("description") or None)


def _element(parameter: Declared) -> Element:
    element = Element(CLASSES[parameter.kind])
    SubElement(element, "name").text = parameter.name
    if parameter.description:
        SubElement(element, "description").text = parameter.description
    if parameter.kind == "choice":
        array = SubElement(SubElement(element, "choices", {"class": "java.util.Arrays$ArrayList"}), "a")
        array.set("class", "string-array")
        for choice in parameter.choices:
            SubElement(array, "string").text = choice
        return element
    default = parameter.default
    if parameter.kind == "password" and not default.startswith("{"):
        default = "{AQAAABAAAAAQ" + "x" * 24 + "=}"  # a stored password is encrypted
    SubElement(element, "defaultValue").text = default
    if parameter.kind == "string":
        SubElement(element, "trim").text = "false"
    return element


def _trackers(said: Said) -> Element:
    actions = Element("actions")
    SubElement(actions, _ACTION)
    tracker = SubElement(actions, _TRACKER)
    SubElement(tracker, "jobProperties")
    names = {
        "triggers": [_TIMER] if said.timers else [],
        "parameters": [parameter.name for parameter in said.parameters],
        "options": list(said.options),
    }
    for name, values in names.items():
        holder = SubElement(tracker, name)
        for value in values:
            SubElement(holder, "string").text = value
    return actions


def _fill_in(root: Element) -> None:
    """What Jenkins adds when it saves: defaults that were left out, and the plugin of every class."""
    for name in ("keepDependencies", "disabled"):
        if root.find(name) is None:
            SubElement(root, name).text = "false"
    scm = root.find("definition/scm")
    if scm is not None:
        if scm.find("doGenerateSubmoduleConfigurations") is None:
            SubElement(scm, "doGenerateSubmoduleConfigurations").text = "false"
        _child(scm, "extensions")
    for element in root.iter():
        plugin = _PLUGINS.get(element.get("class") or element.tag)
        if plugin:
            element.set("plugin", plugin)


def _child(parent: Element, name: str) -> Element:
    found = parent.find(name)
    return SubElement(parent, name) if found is None else found

"""What Jenkins accepts in `parameters { … }`: kinds and their arguments."""

from __future__ import annotations

from collections.abc import Mapping

from .model import Parameter
from .reading import Reader, listed
from .signatures import ANY, BOOLEAN, STRING, Signature, check_invocation

_COMMON = {"name": STRING, "description": STRING}
KINDS: Mapping[str, Signature] = {
    "string": Signature({**_COMMON, "defaultValue": STRING, "trim": BOOLEAN}, ("name",)),
    "text": Signature({**_COMMON, "defaultValue": STRING, "trim": BOOLEAN}, ("name",)),
    "booleanParam": Signature({**_COMMON, "defaultValue": BOOLEAN}, ("name",)),
    "choice": Signature({**_COMMON, "choices": ANY}, ("name",)),
    "password": Signature({**_COMMON, "defaultValue": ANY, "defaultValueAsSecret": ANY}, ("name",)),
    "credentials": Signature(
        {**_COMMON, "defaultValue": STRING, "credentialType": STRING, "required": BOOLEAN}, ("name",), closed=False
    ),
    "file": Signature(_COMMON, ("name",)),
    "run": Signature({**_COMMON, "projectName": STRING, "filter": ANY}, ("name",), closed=False),
}
# Kinds that widespread plugins add; what they take is theirs.
PLUGIN_KINDS = frozenset({
    "activeChoice", "activeChoiceParam", "base64File", "cascadeChoice", "cascadeChoiceParam", "extendedChoice",
    "gitParameter", "gitParameterDefinition", "hidden", "imageTag", "jobParam", "jsonParam", "labelParam", "listGitBranches",
    "listSubversionTags", "nodeParam", "nonStoredPassword", "nonStoredPasswordParam", "persistentBoolean",
    "persistentChoice", "persistentString", "persistentText", "reactiveChoice", "readonly", "separator", "stashedFile",
    "validatingString", "yamlParam",
})  # fmt: skip


def check_parameter(reader: Reader, parameter: Parameter) -> None:
    """Reports an unknown kind and wrong arguments; a plugin's kind is a warning."""
    signature = KINDS.get(parameter.kind)
    if signature is not None:
        check_invocation(reader, parameter, signature)
        if parameter.kind == "choice" and parameter.argument("choices", None) is None and parameter.named:
            reader.warn(parameter.position, "This choice parameter has no choices.")
    elif parameter.kind in PLUGIN_KINDS:
        reader.warn(
            parameter.position,
            "The parameter type “%(kind)s” comes from a Jenkins plugin; the embedded builder treats it as text.",
            kind=parameter.kind,
        )
    else:
        reader.error(
            parameter.position, 'Invalid parameter type "%(kind)s". Valid parameter types: %(known)s',
            kind=parameter.kind, known=listed(sorted(KINDS)),
        )  # fmt: skip

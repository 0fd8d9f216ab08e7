"""What a build on another server is started with: the portal's own parameters and the person's, secrets apart."""

from __future__ import annotations

from builds.agents.specs import marks_of
from builds.drivers.builder.remote import OURS, Kind, ParameterSpec, Values
from builds.models import Build, PipelineRevision
from builds.registries import push_values
from builds.validation import parameters_of, secret_parameters
from projects.sources import source_of

KINDS: dict[str, Kind] = {
    "booleanParam": "boolean",
    "boolean": "boolean",
    "choice": "choice",
    "password": "password",
    "text": "text",
}


def values_of(build: Build) -> Values:
    """All parameters of one build. What a person typed never replaces one of ours, except the image's name."""
    source, repository = source_of(build.project)
    hidden = secret_parameters(build.pipeline.text) if build.pipeline else frozenset()
    kept = {ours.name for ours in OURS} - {"IMAGE"}
    given = {name: _text(value) for name, value in build.parameters.items() if name not in kept}
    push = push_values(build)
    plain = {
        **{ours.name: "" for ours in OURS if ours.kind != "password"},
        **push.plain,
        **{name: value for name, value in given.items() if name not in hidden},
        **marks_of(build, source.clone_url(repository)),
    }
    secret = {**{name: value for name, value in given.items() if name in hidden}, **push.secret}
    return Values(plain={k: v for k, v in plain.items() if k not in secret}, secret=secret)


def secrets_of(build: Build) -> list[str]:
    """Every value that must not be read in this build's log."""
    return [value for value in values_of(build).secret.values() if value]


def declared(revision: PipelineRevision) -> tuple[ParameterSpec, ...]:
    """The pipeline's own parameters, as the job declares them beside ours. A password keeps no default on the server."""
    ours = {parameter.name for parameter in OURS}
    own = []
    for found in parameters_of(revision.text):
        name, kind = str(found["name"]), KINDS.get(str(found["type"]), "string")
        if name and name not in ours:
            default = "" if kind == "password" else _text(found["default"])
            own.append(ParameterSpec(name, kind, default, tuple(found["choices"]), str(found["description"])))
    return tuple(own)


def _text(value: object) -> str:
    """As Jenkins writes it: booleans in lower case."""
    return str(value).lower() if isinstance(value, bool) else str(value)

"""A project's one job: made, changed, read. Writing the same twice is one job; two writers at once too."""

from __future__ import annotations

from builds.drivers.builder.remote import JobFacts, JobSpec
from fangduoduo_release.common.errors import DriverError, Rejected, Unavailable
from fangduoduo_release.common.sentence import S

from . import job_xml
from .checking import missing_plugins, pipeline_missing
from .paths import job_url
from .reading import mapping
from .sdk import FOLDER, Jobs
from .transport import Transport


def read(jobs: Jobs, path: str) -> JobFacts | None:
    config = jobs.config(path)
    return None if config is None else job_xml.read(config)


def write(transport: Transport, jobs: Jobs, spec: JobSpec) -> JobFacts:
    """Change the job that is there, else make it (and its folders). Whatever happens in between, there is one."""
    config = job_xml.render(spec)
    try:
        if not jobs.change(spec.path, config):
            _folders(jobs, spec.path)
            _create(jobs, spec.path, config)
    except DriverError as error:
        raise _explained(transport, spec.path, error) from error
    found = read(jobs, spec.path)
    if found is None:
        sentence = S("The job “%(job)s” was written, but Jenkins does not show it.", job=spec.path)
        raise Unavailable(sentence, code="job_not_shown")
    return found


def _folders(jobs: Jobs, path: str) -> None:
    parts = path.split("/")[:-1]
    for length in range(1, len(parts) + 1):
        folder = "/".join(parts[:length])
        if not jobs.exists(folder):
            _create(jobs, folder, FOLDER)


def _create(jobs: Jobs, path: str, config: str) -> None:
    """Somebody else may make it at the same moment: then it is changed."""
    try:
        jobs.create(path, config)
    except Rejected:
        if not jobs.exists(path):
            raise
        if config != FOLDER:
            jobs.change(path, config)


def _explained(transport: Transport, path: str, error: DriverError) -> DriverError:
    """A 500 or a refusal may mean that Jenkins does not know what a pipeline, or a folder, is, or that something else
    has the name; it does not say so."""
    if error.code not in {"server_error", "refused", "job_refused"}:
        return error
    try:
        there = mapping(transport.get(f"{job_url(path)}/api/json", {"tree": "name"}))
        if there and not str(there.get("_class", "")).endswith(".WorkflowJob"):
            sentence = S("“%(job)s” in Jenkins is no pipeline job; rename or delete it there.", job=path)
            return Rejected(sentence, evidence=error.evidence, code="name_taken")
        if pipeline_missing(transport):
            sentence = S(
                "Jenkins has no Pipeline plugin, so it cannot run pipelines; install “Pipeline” (workflow-aggregator) there."
            )
            return Rejected(sentence, evidence=error.evidence, code="no_pipeline_plugin")
        if "cloudbees-folder" in missing_plugins(transport):
            sentence = S("Jenkins has no Folders plugin, so there is no place for the portal's jobs; install it there.")
            return Rejected(sentence, evidence=error.evidence, code="no_folder_plugin")
    except DriverError:
        return error  # the first error says more
    if error.code == "refused":
        sentence = S("Jenkins did not take the job “%(job)s”.", job=path)
        return Rejected(sentence, evidence=error.evidence, code="job_refused")
    return error

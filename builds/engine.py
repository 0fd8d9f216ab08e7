"""What happens next to a build: pin its pipeline, find a slot, hand it to an agent; and what is left when an agent died.

While an agent runs the build it holds the claim and this engine sees nothing due. The engine is asked again when the
agent's lease ran out, so a running build that comes here has lost its agent.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from builds import pipelines
from builds.agents import client
from builds.drivers.builder.embedded.orphans import kill_build
from builds.drivers.builder.embedded.stage_report import stage_id
from builds.endings import close_what_is_open
from builds.jenkinsfile import parse, stage_tree
from builds.logs import seal
from builds.models import Build, PipelineRevision, Stage
from builds.remote.advance import advance as advance_remote
from fangduoduo_release.common import events, runs
from fangduoduo_release.common.engines import Again
from fangduoduo_release.common.errors import AppError, Unavailable
from fangduoduo_release.common.processes import alive
from fangduoduo_release.common.sentence import S

HANDOVER_S = 10.0  # an agent that was started takes its claim within this, or is started again
BUSY_S = 5.0  # a build that ends wakes the next one; this is for the case that it could not
ABSENT_S = 1.0


class BuildEngine:
    """Engine of kind "build"; runs on every worker host, embedded builds stay on the host that started them."""

    kind = "build"
    model = Build

    def mine(self, rows: QuerySet[Build]) -> QuerySet[Build]:
        here = rows.filter(Q(host="") | Q(host=settings.HOST_ID))
        # An agent that only lost touch with the database is still working: its build is not ours to take.
        held = [
            pk
            for pk, agent in here.filter(state="running", builder_kind="embedded").values_list("pk", "agent")
            if alive(agent)
        ]
        return here.exclude(pk__in=held) if held else here

    def advance(self, build: Build) -> Again | None:
        if build.builder_kind != "embedded":
            return advance_remote(build) if build.pipeline is not None else self._pin_pipeline(build)
        if build.state == "running":
            self._bury(build)
            return None
        if build.cancel_requested_at is not None:
            runs.transition(build, "cancelled", S("Cancelled by %(who)s.", who=build.cancel_requested_by))
            return None
        if build.pipeline is None:
            return self._pin_pipeline(build)
        return self._hand_over(build)

    def _pin_pipeline(self, build: Build) -> Again | None:
        try:
            revision = pipelines.revision_for(build.project, build.commit_sha)
        except Unavailable:
            raise
        except AppError as error:
            runs.fail(build, error.sentence, code=error.code)
            return None
        parsed = parse(revision.text)
        if parsed.pipeline is None and build.builder_kind != "embedded":
            runs.write(build, pipeline=revision)  # Jenkins may know what our reading does not: it is the judge
            return Again()
        if parsed.pipeline is None:
            first = parsed.errors[0]
            sentence = S(
                "The Jenkinsfile cannot run: line %(line)s, column %(column)s: %(what)s",
                line=first.line,
                column=first.column,
                what=str(first.message),
            )
            evidence = "\n".join(f"{p.line}:{p.column}: {p.message}" for p in parsed.errors[:50])
            runs.write(build, pipeline=revision)
            runs.fail(build, sentence, code="bad_pipeline", evidence=evidence)
            return None
        with transaction.atomic():
            runs.write(build, pipeline=revision)
            if revision.origin == PipelineRevision.Origin.SERVICE and revision.template_revision is not None:
                template = revision.template_revision
                events.record(
                    build,
                    "pipeline_chosen",
                    S(
                        "No Jenkinsfile at this commit: the build service chose %(template)s, revision %(number)s, "
                        "because of %(file)s.",
                        template=template.template.slug,
                        number=template.number,
                        file=revision.note,
                    ),
                )
            _lay_out_stages(build, stage_tree(parsed.pipeline))
        return self._hand_over(build) if build.builder_kind == "embedded" else Again()

    def _hand_over(self, build: Build) -> Again:
        fence = build.fence
        # Let go first: the agent takes the row over by its fence, and nobody else looks before HANDOVER_S. The attempt
        # counts until an agent really began, so that agents which die at once end at ops and not in a circle.
        runs.release(build, delay_s=HANDOVER_S, progressed=False)
        try:
            wait = BUSY_S if client.start(build.pk, fence).get("busy") else None
        except Unavailable:
            wait = ABSENT_S
        if wait is not None:
            Build.objects.filter(pk=build.pk, fence=fence).update(next_at=runs.in_seconds(wait), attempts=0)
        return Again.handed_over()

    def _bury(self, build: Build) -> None:
        kill_build(str(build.key), grace=0.5)
        seal.seal(build.pk)  # also when the agent was killed after its own seal
        close_what_is_open(build)
        if build.cancel_requested_at is not None:
            runs.transition(build, "cancelled", S("Cancelled by %(who)s.", who=build.cancel_requested_by))
        else:
            runs.fail(
                build,
                S(
                    "The process that ran this build was killed; nothing else was touched. Retry it to build the same commit again."
                ),
                code="agent_killed",
            )


def _lay_out_stages(build: Build, nodes: Any) -> None:
    """Rows for the graph as it will be, so that a person sees the whole way before the first step."""
    rows: list[Stage] = []

    def walk(node: Any, parent: str) -> None:
        ident = stage_id(node.path)
        rows.append(
            Stage(build=build, ident=ident, parent=parent, name=node.name[:200], kind=node.kind, order=len(rows))
        )
        for child in node.children:
            walk(child, ident)

    for node in nodes:
        walk(node, "")
    Stage.objects.bulk_create(rows, ignore_conflicts=True)
    events.record(build, "stages")

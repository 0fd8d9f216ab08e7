"""What every runtime kind must do, as tests. A kind's own test file inherits this class and gives the `place` fixture.

`place` has what `Place` says: versions, goals, and a way to learn which version answers. Each version writes "serving <name>"
when it starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

import pytest

from clusters.drivers.runtime.base import LEAVING, Artifact, LogQuery, Observed, Runtime, ServiceRef, Wanted
from fangduoduo_release.common.errors import Conflict, NotFound
from tests.waiting import until


class Place(Protocol):
    """A runtime, and what a test needs around it."""

    runtime: Any
    service: ServiceRef
    generations: Iterator[int]

    def version(self, name: str) -> Artifact: ...

    def want(self, artifact: Artifact, restart_nonce: str = "", **spec: Any) -> Wanted:
        """A goal of the next generation."""
        ...

    def settle(self, wanted: Wanted, timeout: float = 60.0) -> Observed:
        """Apply it, and advance until the goal is reached or given up."""
        ...

    def deploy(self, name: str, **spec: Any) -> Wanted: ...

    def crash(self, name: str) -> Wanted:
        """A goal whose instances write "no luck" and end with exit code 7."""
        ...

    def digest(self, wanted: Wanted) -> str:
        """What its instances run."""
        ...

    def answers(self) -> set[str]:
        """The versions that answer now."""
        ...

    def sicken(self, instance: str) -> None:
        """Its readiness check fails from now on."""
        ...

    def instances(self) -> Observed: ...


def staying(seen: Observed) -> set[str]:
    """Names of the instances that are not on their way out."""
    return {one.name for one in seen.instances if one.state not in LEAVING}


class RuntimeContract:
    def test_it_has_every_verb(self, place: Place) -> None:
        assert isinstance(place.runtime, Runtime)

    def test_a_service_nobody_deployed_is_absent(self, place: Place) -> None:
        seen = place.instances()
        assert (seen.state, seen.settled, seen.instances) == ("absent", False, ())
        assert place.runtime.remove(place.service).state == "absent"

    def test_a_deployed_version_runs_and_answers(self, place: Place) -> None:
        wanted = place.deploy("one")
        seen = place.instances()
        assert (seen.state, seen.ready, seen.total, seen.generation) == ("ready", 2, 2, wanted.generation)
        assert seen.serving_digests == {place.digest(wanted)}
        assert place.answers() == {"one"}

    def test_apply_alone_changes_nothing_that_runs(self, place: Place) -> None:
        first = place.deploy("one")
        names = {one.name for one in place.instances().instances}
        place.runtime.apply(place.want(place.version("two")))
        seen = place.instances()
        assert {one.name for one in seen.instances} == names
        assert not seen.green(first.artifact.digest)

    def test_advancing_again_changes_nothing(self, place: Place) -> None:
        wanted = place.deploy("one")
        before = place.instances()
        after = place.settle(wanted)
        assert [(i.name, i.pid, i.restarts) for i in after.instances] == [
            (i.name, i.pid, i.restarts) for i in before.instances
        ]

    def test_a_new_version_replaces_the_old_one_everywhere(self, place: Place) -> None:
        place.deploy("one")
        wanted = place.deploy("two")
        assert place.instances().serving_digests == {place.digest(wanted)}
        assert place.answers() == {"two"}

    def test_an_earlier_version_comes_back(self, place: Place) -> None:
        first = place.deploy("one")
        place.deploy("two")
        back = replace(first, generation=next(place.generations))
        assert place.settle(back).green(place.digest(first))
        assert place.answers() == {"one"}

    def test_scaling_keeps_the_instances_that_stay(self, place: Place) -> None:
        wanted = place.deploy("one")
        names = {one.name for one in place.instances().instances}
        more = replace(wanted, generation=next(place.generations), spec=replace(wanted.spec, replicas=4))
        seen = place.settle(more)
        assert len(staying(seen)) == 4
        assert names < staying(seen)
        fewer = replace(wanted, generation=next(place.generations), spec=replace(wanted.spec, replicas=1))
        assert len(staying(place.settle(fewer))) == 1
        assert place.answers() == {"one"}

    def test_scaling_to_nothing_and_back(self, place: Place) -> None:
        wanted = place.deploy("one")
        none = replace(wanted, generation=next(place.generations), spec=replace(wanted.spec, replicas=0))
        assert staying(place.settle(none)) == set()
        assert place.settle(replace(wanted, generation=next(place.generations))).ready == 2

    def test_a_new_nonce_replaces_every_instance(self, place: Place) -> None:
        wanted = place.deploy("one")
        names = {one.name for one in place.instances().instances}
        again = replace(wanted, generation=next(place.generations), restart_nonce="again")
        assert names.isdisjoint(staying(place.settle(again)))

    def test_an_older_goal_is_refused(self, place: Place) -> None:
        old = place.deploy("one")
        new = place.deploy("two")
        for verb in (place.runtime.apply, place.runtime.advance):
            with pytest.raises(Conflict) as refusal:
                verb(old)
            assert refusal.value.code == "superseded"
        assert place.instances().green(place.digest(new))

    def test_a_bad_version_fails_and_the_old_one_keeps_serving(self, place: Place) -> None:
        first = place.deploy("one")
        seen = place.settle(place.crash("two"))
        assert seen.failure is not None
        assert (seen.state, seen.failure.code, seen.failure.exit_code) == ("failed", "crash_loop", 7)
        assert "no luck" in seen.failure.evidence
        assert "exit code 7" in str(seen.failure.sentence)
        assert place.answers() == {"one"}
        again = replace(first, generation=next(place.generations))
        assert place.settle(again).green(place.digest(first))

    def test_plan_shows_a_masked_diff_and_touches_nothing(self, place: Place) -> None:
        wanted = place.deploy("one", secrets={"TOKEN": "hunter2-hunter2"})
        assert not place.runtime.plan(wanted).changed
        changed = replace(wanted, spec=replace(wanted.spec, secrets={"TOKEN": "hunter3-hunter3"}, replicas=3))
        plan = place.runtime.plan(changed)
        assert plan.changed
        assert plan.replaces_instances
        assert "replicas" in plan.diff
        assert "TOKEN" in plan.diff
        assert "hunter" not in plan.diff + plan.manifest
        assert plan.sha256 != place.instances().manifest_sha256
        assert place.instances().settled

    def test_logs_of_all_and_of_one(self, place: Place) -> None:
        place.deploy("one")
        names = {one.name for one in place.instances().instances}
        page = until(
            lambda: (
                (p := place.runtime.logs(place.service, LogQuery())) and len({ln.instance for ln in p.lines}) == 2 and p
            )
        )
        assert {line.instance for line in page.lines} == names
        assert all(b"serving one" in line.data for line in page.lines if line.stream == "stdout")
        one = place.runtime.logs(place.service, LogQuery(instance=min(names), tail=1))
        assert [line.instance for line in one.lines] == [min(names)]
        assert place.runtime.logs(place.service, LogQuery(after=page.cursor)).lines == ()
        with pytest.raises(NotFound):
            place.runtime.logs(place.service, LogQuery(instance="../../etc"))

    def test_exec_runs_beside_an_instance(self, place: Place) -> None:
        wanted = place.deploy("one")
        name = place.instances().instances[0].name
        done = place.runtime.exec(place.service, name, ["sh", "-c", "echo $FDD_PROJECT; echo $FDD_MACHINE >&2; exit 4"])
        told = (wanted.project.encode(), wanted.machine.encode())
        assert (done.exit_code, done.stdout.strip(), done.stderr.strip()) == (4, *told)
        late = place.runtime.exec(place.service, name, ["sleep", "30"], timeout_s=0.2)
        assert late.timed_out
        with pytest.raises(NotFound):
            place.runtime.exec(place.service, "nobody", ["true"])

    def test_probe_checks_every_instance_now(self, place: Place) -> None:
        place.deploy("one")
        results = place.runtime.probe(place.service)
        assert [result.ok for result in results] == [True, True]
        place.sicken(results[0].instance)
        until(lambda: [result.ok for result in place.runtime.probe(place.service)].count(False) == 1)

    def test_removed_means_nothing_is_left(self, place: Place) -> None:
        place.deploy("one")
        seen = until(lambda: (s := place.runtime.remove(place.service, 2.0)).state == "absent" and s)
        assert seen.instances == ()
        assert place.runtime.reconcile([]).strays == ()
        assert place.answers() == set()

    def test_reconcile_names_services_that_the_caller_does_not_know(self, place: Place) -> None:
        place.deploy("one")
        assert place.runtime.reconcile([place.service]).strays == ()
        found = place.runtime.reconcile([ServiceRef("somebody-else")])
        assert found.strays == (place.service,)
        assert found.killed == ()
        assert place.instances().settled

    def test_stop_all_and_back(self, place: Place) -> None:
        wanted = place.deploy("one")
        assert place.runtime.stop_all()
        assert place.instances().state == "stopped"
        assert place.settle(wanted).green(place.digest(wanted))
        assert place.answers() == {"one"}

"""Starting builds, finding them again, and the census: where everything of ours is, in two requests."""

from __future__ import annotations

from typing import Any

from builds.drivers.builder.remote import Census, Place, Running, Values
from fangduoduo_release.common.errors import AppError, Rejected, Unavailable
from fangduoduo_release.common.sentence import S, Sentence

from . import failures
from .paths import build_url, job_of, job_url, queue_id_of
from .reading import classes, items, key_of, mapping, number, text
from .transport import Transport

RECENT = 100
_PARAMETERS = "actions[parameters[name,value]]"
_ITEM = f"id,why,cancelled,executable[number],task[url],{_PARAMETERS}"
_RUNNING = "computer[oneOffExecutors[currentExecutable[number,url,queueId,actions[_class{}]]]]"


def trigger(transport: Transport, path: str, values: Values) -> Place:
    """Start it now. `unknown_outcome`: it may have been started, look for its key; `unreachable`: it was not.

    The delay stands in the address, where no parameter of the same name can hide it; the parameters in the body.
    """
    url = f"{job_url(path)}/buildWithParameters"
    secrets = tuple(values.secret.values())
    answer = transport.ask(
        "POST",
        url,
        params={"delay": "0sec"},
        form={**values.plain, **values.secret},
        accept=(302, 303, 400, 404, 409, 500, 502, 504),
        secrets=secrets,
    )
    status, said = answer.status_code, transport.said(answer, secrets)
    if status < 400:
        queue_id = queue_id_of(answer.headers.get("Location", ""))
        if queue_id is not None:
            return Place(queue_id=queue_id)
        raise Unavailable(_unknown(transport), evidence=said, code="unknown_outcome")
    if status == 404:
        raise failures.job_gone(transport.config, path)
    if status == 409:
        sentence = S("The job “%(job)s” is disabled in Jenkins; enable it there.", job=path)
        raise Rejected(sentence, evidence=said, code="job_disabled")
    if status == 400:
        raise _bad_parameters(path, said)
    if status == 500:
        raise _of_500(transport, path, values, said)
    raise Unavailable(_unknown(transport), evidence=said, code="unknown_outcome")


def twins(transport: Transport, path: str, key: str) -> list[Place]:
    """The queue is read first: what leaves it meanwhile stands among the builds. Builds first, oldest first."""
    waiting = {p.queue_id: p for job, p in _waiting(transport) if job == path and p.key == key}
    tree = f"builds[number,queueId,{_PARAMETERS}]{{0,{RECENT}}}"
    job = mapping(transport.get(f"{job_url(path)}/api/json", {"tree": tree}))
    begun = [
        Place(number(build.get("queueId")), number(build.get("number")), key=key)
        for build in items(job.get("builds"))
        if key_of(build) == key
    ]
    for place in begun:
        waiting.pop(place.queue_id, None)
    return [*reversed(begun), *waiting.values()]


def queue_item(transport: Transport, queue_id: int) -> Place | None:
    found = transport.get(f"queue/item/{queue_id:d}/api/json", {"tree": _ITEM})
    return None if found is None else _place(mapping(found))


def census(transport: Transport, *, keys: bool = True) -> Census:
    """Everything that runs or waits below our folder: two requests, however many builds."""
    tree = _RUNNING.format(",parameters[name,value]" if keys else "")
    answer = transport.ask("GET", "computer/api/json", params={"tree": tree}, accept=())
    session = answer.headers.get("X-Jenkins-Session", "")
    running = {}
    for computer in items(mapping(transport.json_of(answer)).get("computer")):
        for executor in items(computer.get("oneOffExecutors")):
            found = _running(mapping(executor.get("currentExecutable")))
            if found is not None and _ours(transport, found.job):
                running[found.job, found.number] = found
    waiting = tuple((job, place) for job, place in _waiting(transport) if _ours(transport, job))
    return Census(tuple(running.values()), waiting, session)


def cancel(transport: Transport, path: str, place: Place) -> None:
    """Take it from the queue or stop it; what has ended, or is gone, is left alone."""
    number_ = place.number
    if number_ is None and place.queue_id is not None:
        form = {"id": str(place.queue_id)}
        answer = transport.ask("POST", "queue/cancelItem", form=form, accept=(302, 303, 404))
        if answer.status_code == 404:  # it left the queue meanwhile: it may run
            left = queue_item(transport, place.queue_id)
            number_ = left.number if left is not None else None
    if number_ is not None:
        transport.ask("POST", f"{build_url(path, number_)}/stop", form={}, accept=(302, 303, 404))


def _waiting(transport: Transport) -> list[tuple[str, Place]]:
    """All queue items that are builds of a job (a step that waits for an agent is none)."""
    answer = transport.ask("GET", "queue/api/json", params={"tree": f"items[{_ITEM}]"}, accept=())
    found = []
    for item in items(mapping(transport.json_of(answer)).get("items")):
        job = job_of(text(mapping(item.get("task")).get("url")))
        if job is not None and job[1] is None and number(item.get("id")) is not None:
            found.append((job[0], _place(item)))
    return found


def _place(item: dict[str, Any]) -> Place:
    return Place(
        queue_id=number(item.get("id")),
        number=number(mapping(item.get("executable")).get("number")),
        cancelled=item.get("cancelled") is True,
        waiting_for=text(item.get("why"))[:500],
        key=key_of(item),
    )


def _running(executable: dict[str, Any]) -> Running | None:
    job, found = job_of(text(executable.get("url"))), number(executable.get("number"))
    if job is None or found is None:
        return None
    asks = "InputAction" in classes(executable)
    return Running(job[0], found, key_of(executable), number(executable.get("queueId")), asks)


def _ours(transport: Transport, job: str) -> bool:
    return job.startswith(transport.config.folder + "/")


def _of_500(transport: Transport, path: str, values: Values, said: str) -> AppError:
    """Jenkins answers 500 for a value it does not allow and for its own faults alike; what the job declares tells which."""
    tree = "property[parameterDefinitions[name,choices]]"
    try:
        job = transport.get(f"{job_url(path)}/api/json", {"tree": tree})
    except AppError:
        return Unavailable(_unknown(transport), evidence=said, code="unknown_outcome")
    if job is None:
        return failures.job_gone(transport.config, path)
    declared = {
        text(one.get("name")): one.get("choices")
        for holder in items(mapping(job).get("property"))
        for one in items(holder.get("parameterDefinitions"))
    }
    if not declared:
        return _bad_parameters(path, said)
    for name, choices in declared.items():
        if isinstance(choices, list) and name in values.plain and values.plain[name] not in choices:
            sentence = S(
                "Jenkins did not start “%(job)s”: the parameter %(name)s does not allow this value; choose one of: %(choices)s.",
                job=path,
                name=name,
                choices=", ".join(str(choice) for choice in choices)[:300],
            )
            return Rejected(sentence, evidence=said, code="bad_parameters")
    return Unavailable(_unknown(transport), evidence=said, code="unknown_outcome")


def _bad_parameters(path: str, said: str) -> Rejected:
    sentence = S(
        "Jenkins did not start “%(job)s”: its parameters there are not those that the portal wrote; write the job again.",
        job=path,
    )
    return Rejected(sentence, evidence=said, code="bad_parameters")


def _unknown(transport: Transport) -> Sentence:
    return S(
        "Jenkins at “%(host)s” was asked but did not answer; whether it acted is not known yet.",
        host=transport.config.host,
    )

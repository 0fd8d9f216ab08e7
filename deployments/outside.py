"""Where people outside reach a service through the ingress of its cluster.

One spec serves all machines of a project, and a host that is the same on two of them would send production's requests to
the test's pods. So the host (and the Secret of its certificate) may ask for `${MACHINE}` and the like, and whoever
confirms a change is told when somebody answers there already.
"""

from __future__ import annotations

from dataclasses import replace

from clusters import configs
from clusters.drivers.config.templating import fill_key
from clusters.drivers.runtime.spec import Ingress
from clusters.drivers.runtime.spec_reader import HOST_NAME
from deployments.models import Service
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S, Sentence


def filled(wish: Ingress | None, service: Service) -> Ingress | None:
    """For the machine of this service; as it is written on kinds that have no ingress. Raises Invalid for what is no host
    then."""
    if wish is None or service.machine.cluster.kind != "kubernetes":
        return wish
    values = configs.values_of(service.project.slug, service.machine)
    host, secret = (fill_key(text, values).lower() for text in (wish.host, wish.tls_secret))
    for text in (host, secret):
        if text and (not HOST_NAME.match(text) or len(text) > 253):
            raise Invalid(
                S("“%(host)s”, for the address from outside, is no host name.", host=text[:253]), code="bad_host"
            )
    return replace(wish, host=host, tls_secret=secret)


def shared(service: Service, wish: Ingress | None) -> list[Sentence]:
    """Who else answers under this address in the same cluster. One query, none without an address."""
    if wish is None or service.machine.cluster.kind != "kubernetes":
        return []
    urls = [f"{scheme}://{wish.host}{wish.path}" for scheme in ("http", "https")]
    there = Service.objects.filter(machine__cluster=service.machine.cluster, url__in=urls, version__isnull=False)
    other = there.exclude(pk=service.pk).select_related("machine").order_by("machine__name").first()
    if other is None:
        return []
    if other.project_id != service.project_id:
        return [S("Another project's service answers under %(host)s in this cluster already.", host=wish.host)]
    return [
        S(
            "%(machine)s answers under %(host)s already, and both would get its requests; write ${MACHINE} into the host to tell them apart.",
            machine=other.machine.name, host=wish.host,
        )
    ]  # fmt: skip

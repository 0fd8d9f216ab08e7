"""What is being deployed at the moment, for those below who must leave it alone."""

from __future__ import annotations

from deployments.models import Deployment
from projects.models import Project


def is_deploying(project: Project, ref: str) -> bool:
    """Whether a version that was built from this ref of the project is on its way to some machine."""
    active = Deployment.objects.filter(service__project=project, state__in=Deployment.STATES.active)
    return active.filter(version__ref=ref).exists()

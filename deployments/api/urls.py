"""Addresses under /api/ for services and deployments."""

from __future__ import annotations

from django.urls import path

from deployments.api import health_checks, services, views

urlpatterns = [
    path("deployments/", views.Deployments.as_view()),
    path("deployments/<int:pk>/", views.DeploymentOne.as_view()),
    path("deployments/<int:pk>/events/", views.DeploymentEvents.as_view()),
    path("deployments/<int:pk>/cancel/", views.DeploymentCancel.as_view()),
    path("deployments/<int:pk>/pause/", views.DeploymentPause.as_view()),
    path("deployments/<int:pk>/resume/", views.DeploymentResume.as_view()),
    path("deployments/<int:pk>/approve/", views.DeploymentApprove.as_view()),
    path("deployments/<int:pk>/reject/", views.DeploymentReject.as_view()),
    path("projects/<str:slug>/deployments/", views.ProjectDeployments.as_view()),
    path("projects/<str:slug>/deployments/preview/", views.DeploymentPreview.as_view()),
    path("projects/<str:slug>/services/", services.ProjectServices.as_view()),
    path("services/<int:pk>/", services.ServiceOne.as_view()),
    path("services/<int:pk>/instances/", services.ServiceInstances.as_view()),
    path("services/<int:pk>/health-check/", health_checks.ServiceHealthCheck.as_view()),
    path("services/<int:pk>/logs/", services.ServiceLogs.as_view()),
]

"""Addresses of the home page, boards and deployments."""

from __future__ import annotations

from django.urls import path

from deployments.views import clusters, home, pages, panels, service_page, services

urlpatterns = [
    path("", home.Home.as_view(), name="home"),
    path("search/", home.Search.as_view(), name="search"),
    path("machines/", pages.Machines.as_view(), name="machines"),
    path("clusters/", clusters.Clusters.as_view(), name="clusters"),
    path("clusters/<str:name>/", clusters.ClusterPage.as_view(), name="cluster"),
    path("deployments/", pages.Deployments.as_view(), name="deployments"),
    path("deployments/<int:pk>/", pages.DeploymentPage.as_view(), name="deployment"),
    path("deployments/<int:pk>/<str:verb>/", panels.DeploymentVerb.as_view(), name="deployment-verb"),
    path("services/<int:pk>/", service_page.ServicePage.as_view(), name="service"),
    path("services/<int:pk>/logs/", services.Logs.as_view(), name="service-logs"),
    path("services/<int:pk>/terminal/", services.TerminalPage.as_view(), name="service-terminal"),
    path("projects/<str:slug>/", pages.ProjectBoard.as_view(), name="project"),
    path("projects/<str:slug>/deployments/", pages.ProjectDeployments.as_view(), name="project-deployments"),
    path("projects/<str:slug>/change/", panels.ChangePanel.as_view(), name="project-change"),
]

"""Addresses under /api/ for projects and machines."""

from __future__ import annotations

from django.urls import path

from projects.api import channels, views

urlpatterns = [
    path("projects/", views.Projects.as_view()),
    path("projects/<str:slug>/", views.ProjectOne.as_view()),
    path("projects/<str:slug>/members/", views.Members.as_view()),
    path("projects/<str:slug>/machines/<str:name>/", views.MachineGrants.as_view()),
    path("projects/<str:slug>/channels/", channels.ProjectChannels.as_view()),
    path("projects/<str:slug>/channels/<int:pk>/", channels.ProjectChannel.as_view()),
    path("projects/<str:slug>/channels/<int:pk>/test/", channels.ProjectChannelTest.as_view()),
    path("projects/<str:slug>/deliveries/", channels.ProjectDeliveries.as_view()),
    path("machines/", views.Machines.as_view()),
]

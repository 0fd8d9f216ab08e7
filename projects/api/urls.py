"""Addresses under /api/ for projects and machines."""

from __future__ import annotations

from django.urls import path

from projects.api import channels, configs, requests, views

urlpatterns = [
    path("projects/", views.Projects.as_view()),
    path("projects/<str:slug>/", views.ProjectOne.as_view()),
    path("projects/<str:slug>/members/", views.Members.as_view()),
    path("projects/<str:slug>/machines/<str:name>/", views.MachineGrants.as_view()),
    path("projects/<str:slug>/channels/", channels.ProjectChannels.as_view()),
    path("projects/<str:slug>/channels/<int:pk>/", channels.ProjectChannel.as_view()),
    path("projects/<str:slug>/channels/<int:pk>/test/", channels.ProjectChannelTest.as_view()),
    path("projects/<str:slug>/configs/", configs.ProjectConfigs.as_view()),
    path("projects/<str:slug>/configs/text/<path:key>/", configs.ProjectConfigText.as_view()),
    path("projects/<str:slug>/configs/history/<path:key>/", configs.ProjectConfigHistory.as_view()),
    path("projects/<str:slug>/configs/diff/<path:key>/", configs.ProjectConfigDiff.as_view()),
    path("projects/<str:slug>/deliveries/", channels.ProjectDeliveries.as_view()),
    path("machines/", views.Machines.as_view()),
    path("projects/<str:slug>/access-requests/", requests.AskRole.as_view()),
    path("projects/<str:slug>/machine-requests/", requests.AskMachine.as_view()),
    path("requests/", requests.Requests.as_view()),
    path("requests/<int:pk>/", requests.RequestOne.as_view()),
    path("requests/<int:pk>/approve/", requests.Approve.as_view()),
    path("requests/<int:pk>/reject/", requests.Reject.as_view()),
    path("requests/<int:pk>/withdraw/", requests.Withdraw.as_view()),
    path("requests/<int:pk>/review/", requests.Review.as_view()),
    path("role-grants/<int:pk>/renew/", requests.RenewRole.as_view()),
    path("machine-grants/<int:pk>/renew/", requests.RenewMachine.as_view()),
    path("machines/<str:name>/", views.MachineOne.as_view()),
]

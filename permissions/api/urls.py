"""Addresses under /api/ about people: who they are, and what they did."""

from __future__ import annotations

from django.urls import path

from permissions.api import audit, auth, notifications

urlpatterns = [
    path("audit/", audit.Audit.as_view()),
    path("auth/token/", auth.Obtain.as_view()),
    path("auth/token/refresh/", auth.Renew.as_view()),
    path("auth/token/revoke/", auth.End.as_view()),
    path("me/", auth.Me.as_view()),
    path("me/notifications/", notifications.MyChoices.as_view()),
    path("me/channels/", notifications.MyChannels.as_view()),
    path("me/channels/<int:pk>/", notifications.MyChannel.as_view()),
    path("me/channels/<int:pk>/test/", notifications.MyChannelTest.as_view()),
    path("me/deliveries/", notifications.MyDeliveries.as_view()),
]

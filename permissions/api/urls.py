"""Addresses under /api/ about people: what they did."""

from __future__ import annotations

from django.urls import path

from permissions.api import audit, notifications

urlpatterns = [
    path("audit/", audit.Audit.as_view()),
    path("me/notifications/", notifications.MyChoices.as_view()),
    path("me/channels/", notifications.MyChannels.as_view()),
    path("me/channels/<int:pk>/", notifications.MyChannel.as_view()),
    path("me/channels/<int:pk>/test/", notifications.MyChannelTest.as_view()),
    path("me/deliveries/", notifications.MyDeliveries.as_view()),
]

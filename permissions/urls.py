"""Addresses of people's own pages."""

from __future__ import annotations

from django.urls import path

from permissions import notification_views, views

urlpatterns = [
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("sign-out/", views.SignOut.as_view(), name="sign-out"),
    path("language/", views.Language.as_view(), name="set_language"),
    path("me/", views.Profile.as_view(), name="profile"),
    path("me/notifications/", notification_views.Notifications.as_view(), name="notifications"),
    path("me/tokens/", views.Tokens.as_view(), name="tokens"),
    path("me/tokens/<int:pk>/revoke/", views.RevokeToken.as_view(), name="token-revoke"),
]

"""Addresses of people's own pages."""

from __future__ import annotations

from importlib import import_module

from django.conf import settings
from django.urls import path

from permissions.views import audit, door, me, notifications, tokens

urlpatterns = [
    path("sign-in/", door.SignIn.as_view(), name="sign-in"),
    path("sign-out/", door.SignOut.as_view(), name="sign-out"),
    path("language/", door.Language.as_view(), name="set_language"),
    path("me/", me.Profile.as_view(), name="profile"),
    path("me/tokens/", tokens.Tokens.as_view(), name="tokens"),
    path("me/tokens/<int:pk>/revoke/", tokens.RevokeToken.as_view(), name="token-revoke"),
    path("me/sessions/", me.Sessions.as_view(), name="sessions"),
    path("me/sessions/<int:pk>/end/", me.EndSession.as_view(), name="session-end"),
    path("me/notifications/", notifications.Notifications.as_view(), name="notifications"),
    path("me/password/", me.Password.as_view(), name="password"),
    path("service-accounts/", tokens.ServiceAccounts.as_view(), name="service-accounts"),
    path("service-accounts/<int:pk>/", tokens.ServiceAccountPage.as_view(), name="service-account"),
    path("audit/", audit.Audit.as_view(), name="audit"),
    path("audit/export/", audit.AuditExport.as_view(), name="audit-export"),
]
if settings.OIDC_ISSUER:  # its library is loaded only where it is used
    oidc = import_module("permissions.views.oidc")
    urlpatterns += [
        path("sign-in/oidc/", oidc.Start.as_view(), name="oidc-start"),
        path("sign-in/oidc/callback/", oidc.Callback.as_view(), name="oidc-callback"),
    ]

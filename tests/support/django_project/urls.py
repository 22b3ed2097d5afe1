"""The pages: the admin, the identity provider, and one that orders."""

from __future__ import annotations

import os

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.http import HttpResponse
from django.urls import path

from connectycube.contrib.django import IdentityView, client_for


def hello(request):
    """Say hello: whether the site answers."""
    return HttpResponse("hello")


def session(request, name):
    """Act as a user, and show by which session, in which process."""
    user = get_user_model().objects.get(username=name)
    client = client_for(user)
    client.users.get(client.session.user_id)
    return HttpResponse(f"{os.getpid()} {client.session.token}")


urlpatterns = [
    path("session/<str:name>/", session),
    path("admin/", admin.site.urls),
    path("chat/identity/", IdentityView.as_view()),
    path("hello/", hello),
]

"""The pages: the admin, the identity provider, and one that orders."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpResponse
from django.urls import path

from connectycube.contrib.django import IdentityView


def hello(request):
    """Say hello: whether the site answers."""
    return HttpResponse("hello")


urlpatterns = [
    path("admin/", admin.site.urls),
    path("chat/identity/", IdentityView.as_view()),
    path("hello/", hello),
]

"""The admin, and a page that writes to the user."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.db import transaction
from django.http import HttpResponse
from django.urls import path

from connectycube.contrib.django import asend, send


def greet(request):
    """Write in the transaction of the request."""
    assert send(request.user, settings.GREETING, at=settings.GREETING).body
    return HttpResponse("")


@transaction.non_atomic_requests
async def greet_soon(request):
    """Write from the event loop, where Django allows no transaction of the request."""
    await asend(17, settings.GREETING)
    return HttpResponse("")


urlpatterns = [path("admin/", admin.site.urls), path("greet/", greet), path("soon/", greet_soon)]

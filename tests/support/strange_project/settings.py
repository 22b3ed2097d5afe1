"""Settings that differ from those of Django's template wherever they may."""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType

from django.utils.translation import gettext_lazy

from connectycube import Handling, ReconnectPolicy

FOLDER = Path(os.environ.get("SHOP_FOLDER", "."))

SECRET_KEY = "another key for tests alone, which is long enough and random enough"
DEBUG = True
ROOT_URLCONF = "tests.support.strange_project.urls"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "tests.support.strange_project.connectycube",  # whose label is connectycube
    "tests.support.strange_project.apps.CubeConfig",
    "tests.support.strange_project.people",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_USER_MODEL = "people.Person"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
LANGUAGE_CODE = "de"
USE_I18N = True
USE_TZ = False
TIME_ZONE = "Asia/Tokyo"


def _database(name: str) -> dict[str, object]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": FOLDER / f"{name}.sqlite3",
        "OPTIONS": {"timeout": 20},
        "TEST": {"NAME": FOLDER / f"test_{name}.sqlite3"},
        "ATOMIC_REQUESTS": name == "default",
    }


DATABASES = {"default": _database("default"), "chats": _database("chats")}
DATABASE_ROUTERS = ["tests.support.strange_project.routers.Chats"]

CONNECTYCUBE = MappingProxyType(
    {
        "BOTS": MappingProxyType(
            {
                "default": MappingProxyType(
                    {
                        "LOGIN": os.environ.get("LOGIN", "bot"),
                        "PASSWORD": os.environ.get("PASSWORD", "a password"),
                        "DURABLE": FOLDER / "bot.db",
                    }
                )
            }
        ),
        "HANDLERS_MODULE": "conversations",
        "HANDLING": Handling(delay=0.05, max_delay=0.5),
        "RECONNECT": ReconnectPolicy(max_attempts=None, delay=0.05),
        "USERS": {
            "BY": "password",
            "FIELDS": "tests.support.strange_project.people.fields.fields_of",
        },
    }
)
GREETING = gettext_lazy("Good morning")

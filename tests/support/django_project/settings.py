"""Settings that a test chooses through the environment."""

from __future__ import annotations

import json
import os
from pathlib import Path

FOLDER = Path(os.environ.get("SHOP_FOLDER", "."))

SECRET_KEY = "a key for tests alone, which is long enough and random enough"
DEBUG = os.environ.get("SHOP_DEBUG", "1") == "1"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.support.django_project.urls"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "connectycube.contrib.django",
    "tests.support.django_project.shop",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
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
STATIC_URL = "static/"
WSGI_APPLICATION = "tests.support.django_project.wsgi.application"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

if "SHOP_POSTGRESQL" in os.environ:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": "127.0.0.1",
            "PORT": os.environ["SHOP_POSTGRESQL"],
            "USER": "postgres",
            "NAME": "postgres",
            "OPTIONS": {"connect_timeout": 10},
            "CONN_MAX_AGE": int(os.environ.get("SHOP_CONN_MAX_AGE", "0")),
            "CONN_HEALTH_CHECKS": True,
        }
    }
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": FOLDER / "shop.sqlite3",
            "OPTIONS": {"timeout": 20},
            "TEST": {"NAME": FOLDER / "test.sqlite3"},
        }
    }

if "SHOP_CACHE" in os.environ:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.db.DatabaseCache",
            "LOCATION": os.environ["SHOP_CACHE"],
        }
    }

BOT = {
    "LOGIN": os.environ.get("LOGIN", "bot"),
    "PASSWORD": os.environ.get("PASSWORD", "a password"),
}
if "SHOP_DURABLE" in os.environ:
    BOT["DURABLE"] = os.environ["SHOP_DURABLE"]
CONNECTYCUBE = {
    "BOTS": {"default": BOT},
    "HANDLING": {"DELAY": 0.05, "MAX_DELAY": 0.5},
    **json.loads(os.environ.get("SHOP_CONNECTYCUBE", "{}")),
}

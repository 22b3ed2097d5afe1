"""The application: its checks, and the reset of what was made of settings that change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import AppConfig
from django.core import checks
from django.core.signals import setting_changed

if TYPE_CHECKING:
    from django.utils.functional import _Getter
    from django_stubs_ext import StrOrPromise

__all__ = ["ConnectyCubeConfig"]


class ConnectyCubeConfig(AppConfig):
    """ConnectyCube in ``INSTALLED_APPS``; it opens no connection."""

    name: str = "connectycube.contrib.django"
    label: str = "connectycube"
    verbose_name: StrOrPromise = "ConnectyCube"
    default_auto_field: str | _Getter[str] = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks, and follow ``override_settings``."""
        from .checks import check_settings

        checks.register(check_settings, "connectycube")
        setting_changed.connect(_reset, dispatch_uid="connectycube.contrib.django")


def _reset(*, setting: str, **_: Any) -> None:
    if setting == "CONNECTYCUBE":
        from . import backends

        backends.reset()

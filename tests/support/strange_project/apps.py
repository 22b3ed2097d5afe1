"""ConnectyCube under another label, as the project has an application ``connectycube`` of its own."""

from __future__ import annotations

from connectycube.contrib.django.apps import ConnectyCubeConfig


class CubeConfig(ConnectyCubeConfig):
    """The tables are ``cube_…``."""

    label = "cube"

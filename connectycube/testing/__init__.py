"""The pytest plugin: fixtures for tests of applications, on an emulator of the service.

pytest loads ``connectycube.testing.plugin`` by itself (entry point ``connectycube``). Nothing heavy is
imported, and nothing started, before a test asks for a fixture.
"""

from .people import CubeUser

__all__ = ["CubeUser"]

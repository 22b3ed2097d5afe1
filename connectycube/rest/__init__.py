"""The REST API: one small class for each resource, above a transport that can be replaced."""

from ._http import HttpTransport, Request, Response

__all__ = ["HttpTransport", "Request", "Response"]

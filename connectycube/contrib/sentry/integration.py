"""``ConnectyCubeIntegration``: what ``sentry_sdk.init`` is given."""

from __future__ import annotations

import sentry_sdk
from sentry_sdk.integrations import Integration
from sentry_sdk.scope import add_global_event_processor

from ..common import observing
from .reports import Reports

__all__ = ["ConnectyCubeIntegration"]


class ConnectyCubeIntegration(Integration):
    """Reports receivers that are given up, once each, and shows the states of the connection before.

    - Each call of a receiver has an isolation scope of its own, with the tags ``connectycube.signal`` and
      ``connectycube.receiver``. Tags that the receiver sets there are in the report of its last attempt.
    - An attempt that is repeated is a breadcrumb, and no error.
    - A change of the connection's state is a breadcrumb of every later report of the process.
    - Reports show no local variables of this package and of the functions that it calls, and no query of its
      requests.

    Example:
        >>> from connectycube.contrib.sentry import ConnectyCubeIntegration
        >>> integrations = [ConnectyCubeIntegration()]  # for sentry_sdk.init(…, integrations=integrations)
    """

    identifier = "connectycube"

    @staticmethod
    def setup_once() -> None:
        """Watch each client that is made from now on; called by ``sentry_sdk.init``."""
        reports = Reports(_is_on)
        observing.watch(reports)
        add_global_event_processor(reports.process)


def _is_on() -> bool:
    """Whether Sentry's client has the integration: ``init`` may have been called again, without it."""
    return sentry_sdk.get_client().get_integration(ConnectyCubeIntegration) is not None

"""A bot whose numbers Prometheus reads: they are those of ``chat.statistics()``, at http://127.0.0.1:PORT/metrics.

BOT_LOGIN, BOT_PASSWORD and METRICS_PORT are in the environment, beside the variables of
``ConnectyCube.from_env()``. The bot repeats what it is told. Ctrl-C or SIGTERM ends it.
"""

import os
import signal
import sys

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, StateSetMetricFamily

from connectycube import ChatState, ConnectyCube, ConnectyCubeError, ReconnectPolicy

GAUGES = {  # the name of the metric, and the field of Statistics
    "connectycube_connected_seconds": "connected_for",
    "connectycube_queue_events": "queued_events",
    "connectycube_queue_bytes": "queued_bytes",
    "connectycube_queue_oldest_seconds": "oldest_queued_seconds",
    "connectycube_outbound_waiting_messages": "outbound_waiting",
    "connectycube_outbound_unacknowledged_messages": "outbound_unacknowledged",
    "connectycube_durable_inbox_events": "durable_inbox",
    "connectycube_durable_outbox_messages": "durable_outbox",
    "connectycube_dead_letters": "dead_letters",
}
COUNTERS = {  # Prometheus adds "_total" to these names
    "connectycube_received_messages": "received",
    "connectycube_recovered_messages": "recovered",
    "connectycube_redelivered_messages": "redelivered",
    "connectycube_sent_messages": "sent",
    "connectycube_failed_messages": "failed",
    "connectycube_unknown_messages": "unknown",
    "connectycube_given_up_events": "given_up",
    "connectycube_reconnects": "reconnects",
    "connectycube_resumed": "resumed",
}


class ChatCollector:
    """Reads the statistics when Prometheus asks, so nothing is counted twice and nothing runs in between.

    ``bots`` are the chats of this process by a name for the label ``bot``: not a login, which is personal.
    """

    def __init__(self, bots):
        self.bots = bots

    def collect(self):
        """Return all metrics; called on a thread of the HTTP server."""
        numbers = {name: chat.statistics() for name, chat in self.bots.items()}
        for kind, fields in ((GaugeMetricFamily, GAUGES), (CounterMetricFamily, COUNTERS)):
            for metric, field in fields.items():
                family = kind(metric, f"{field} of chat.statistics()", labels=["bot"])
                for bot, statistics in numbers.items():
                    family.add_metric([bot], getattr(statistics, field))
                yield family
        states = StateSetMetricFamily("connectycube_state", "The state.", labels=["bot"])
        for bot, statistics in numbers.items():
            is_in = {state.value: state is statistics.state for state in ChatState}
            states.add_metric([bot], is_in)
        yield states


def main():
    try:
        login, password, port = (
            os.environ[name] for name in ("BOT_LOGIN", "BOT_PASSWORD", "METRICS_PORT")
        )
    except KeyError as error:
        print(f"bot.py: the variable {error.args[0]} is missing", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))  # as long as wait() does not handle them
    try:
        with ConnectyCube.from_env(reconnect=ReconnectPolicy(max_attempts=None)) as cube:
            cube.login(login=login, password=password)

            @cube.chat.message_received.connect
            def echo(chat, message):
                chat.reply(message, f"You said: {message.body}")

            registry = CollectorRegistry()
            registry.register(ChatCollector({"echo": cube.chat}))
            server, thread = start_http_server(int(port), "127.0.0.1", registry)
            try:
                cube.chat.login()
                print(f"http://127.0.0.1:{server.server_port}/metrics has the numbers", flush=True)
                cube.chat.wait(signals=(signal.SIGTERM, signal.SIGINT))
            finally:
                server.shutdown()
                server.server_close()
                thread.join()
    except (ConnectyCubeError, OSError) as error:
        print(f"bot.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The names of attributes and metrics: one table, compared with OpenTelemetry's conventions by a test."""

from __future__ import annotations

from typing import Final

__all__ = ["ATTRIBUTES", "METRICS", "OURS", "SYSTEM", "TRACEPARENT"]

SYSTEM: Final = "connectycube"
"""The value of ``messaging.system``."""

TRACEPARENT: Final = "traceparent"
"""The custom parameter of a message that names the span of its sender (W3C Trace Context)."""

# --- attributes of the conventions: requests ---

HTTP_REQUEST_METHOD: Final = "http.request.method"
HTTP_REQUEST_RESEND_COUNT: Final = "http.request.resend_count"
HTTP_RESPONSE_BODY_SIZE: Final = "http.response.body.size"
HTTP_RESPONSE_STATUS_CODE: Final = "http.response.status_code"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
URL_SCHEME: Final = "url.scheme"
URL_TEMPLATE: Final = "url.template"
ERROR_TYPE: Final = "error.type"

# --- attributes of the conventions: messages ---

MESSAGING_SYSTEM: Final = "messaging.system"
MESSAGING_OPERATION_NAME: Final = "messaging.operation.name"
MESSAGING_OPERATION_TYPE: Final = "messaging.operation.type"
MESSAGING_DESTINATION_TEMPLATE: Final = "messaging.destination.template"
MESSAGING_MESSAGE_ID: Final = "messaging.message.id"
MESSAGING_MESSAGE_CONVERSATION_ID: Final = "messaging.message.conversation_id"

# --- attributes of our own ---

RECEIVER: Final = "connectycube.receiver"
SIGNAL: Final = "connectycube.signal"
STATE: Final = "connectycube.state"
RESUMED: Final = "connectycube.resumed"

# --- metrics of the conventions, in seconds ---

HTTP_CLIENT_REQUEST_DURATION: Final = "http.client.request.duration"
MESSAGING_CLIENT_OPERATION_DURATION: Final = "messaging.client.operation.duration"
MESSAGING_PROCESS_DURATION: Final = "messaging.process.duration"

# --- metrics of our own ---

CONNECTIONS: Final = "connectycube.connections"
RECONNECTS: Final = "connectycube.reconnects"
QUEUE_EVENTS: Final = "connectycube.queue.events"
QUEUE_SIZE: Final = "connectycube.queue.size"
QUEUE_AGE: Final = "connectycube.queue.age"
RECEIVERS_RUNNING: Final = "connectycube.receivers.running"
OUTBOUND_WAITING: Final = "connectycube.outbound.waiting"
OUTBOUND_UNACKNOWLEDGED: Final = "connectycube.outbound.unacknowledged"
DURABLE_INBOX: Final = "connectycube.durable.inbox"
DURABLE_OUTBOX: Final = "connectycube.durable.outbox"
DURABLE_DEAD_LETTERS: Final = "connectycube.durable.dead_letters"

_OF_METRICS = (
    *("HTTP_CLIENT_REQUEST_DURATION", "MESSAGING_CLIENT_OPERATION_DURATION"),
    *("MESSAGING_PROCESS_DURATION", "CONNECTIONS", "RECONNECTS", "QUEUE_EVENTS", "QUEUE_SIZE"),
    *("QUEUE_AGE", "RECEIVERS_RUNNING", "OUTBOUND_WAITING", "OUTBOUND_UNACKNOWLEDGED"),
    *("DURABLE_INBOX", "DURABLE_OUTBOX", "DURABLE_DEAD_LETTERS"),
)
_TABLE = {name: value for name, value in vars().items() if name.isupper() and name[0] != "_"}

METRICS: Final = {name: value for name, value in _TABLE.items() if name in _OF_METRICS}
"""The metrics, by their constants."""

OURS: Final = f"{SYSTEM}."
"""How the names begin that the conventions do not know."""

ATTRIBUTES: Final = {
    name: value for name, value in _TABLE.items() if "." in value and name not in METRICS
}
"""The attributes, by their constants."""

"""The REST API: a transport, and one small service class for each resource."""

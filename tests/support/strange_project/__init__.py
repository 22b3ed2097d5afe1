"""A project of Django whose authors chose otherwise wherever Django lets them.

Users with UUIDs, two databases with a router, a transaction for each request, local times, another language,
another automatic key, an application that has the label ``connectycube`` already.
"""

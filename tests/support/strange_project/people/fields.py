"""What the service knows of a user."""

from __future__ import annotations


def fields_of(person):
    """The address as the name."""
    return {"full_name": person.email}

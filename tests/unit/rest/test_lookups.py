"""The look-ups as types are those that the tables of the resources take."""

from __future__ import annotations

import pytest

from connectycube.rest._lookups import DialogLookups, MessageLookups, UserLookups
from connectycube.rest._query import LIST_OPERATORS, QuerySchema
from connectycube.rest.dialogs import DIALOGS
from connectycube.rest.messages import MESSAGES
from connectycube.rest.users import USERS


@pytest.mark.parametrize(
    ("lookups", "schema"),
    [(DialogLookups, DIALOGS), (MessageLookups, MESSAGES), (UserLookups, USERS)],
    ids=["dialogs", "messages", "users"],
)
def test_a_type_has_each_field_with_each_of_its_operators(
    lookups: type, schema: QuerySchema
) -> None:
    names = [
        f"{name}__{operator}" if operator else name
        for name, field in schema.fields.items()
        for operator in ("", *(word for word in field.operators if word in schema.operators))
    ]
    assert list(lookups.__annotations__) == [*names, *schema.nested]
    for name, kind in lookups.__annotations__.items():
        takes_a_list = name.rpartition("__")[2] in LIST_OPERATORS
        assert ("Iterable[" in str(kind)) is takes_a_list or name in schema.nested

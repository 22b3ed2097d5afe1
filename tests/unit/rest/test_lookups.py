"""The look-ups as types are those that the tables of the resources take."""

from __future__ import annotations

import pytest

from connectycube.rest._lookups import (
    AdminDialogLookups,
    AdminMessageLookups,
    DialogLookups,
    MeetingLookups,
    MessageLookups,
    UserLookups,
)
from connectycube.rest._query import LIST_OPERATORS, QuerySchema
from connectycube.rest.admin_dialogs import ADMIN_DIALOGS
from connectycube.rest.admin_messages import ADMIN_MESSAGES
from connectycube.rest.dialogs import DIALOGS
from connectycube.rest.meetings import MEETINGS
from connectycube.rest.messages import MESSAGES
from connectycube.rest.users import USERS


@pytest.mark.parametrize(
    ("lookups", "schema"),
    [
        (DialogLookups, DIALOGS),
        (MessageLookups, MESSAGES),
        (UserLookups, USERS),
        (MeetingLookups, MEETINGS),
        (AdminDialogLookups, ADMIN_DIALOGS),
        (AdminMessageLookups, ADMIN_MESSAGES),
    ],
    ids=["dialogs", "messages", "users", "meetings", "dialogs of all", "messages of all"],
)
def test_a_type_has_each_field_with_each_of_its_operators(
    lookups: type, schema: QuerySchema
) -> None:
    names = [
        f"{name}__{operator}" if operator else name
        for name, field in schema.fields.items()
        for operator in ("", *(word for word in field.operators if word in schema.operators))
    ]
    assert sorted(lookups.__annotations__) == sorted([*names, *schema.nested])
    for name, kind in lookups.__annotations__.items():
        takes_a_list = name.rpartition("__")[2] in LIST_OPERATORS
        assert ("Iterable[" in str(kind)) is takes_a_list or name in schema.nested

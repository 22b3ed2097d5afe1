"""custom_objects.md."""

from attrs import evolve

from connectycube.models import CustomObject, DeleteResult, Page
from tests.wire.rest.documentation import Example, Request, unix, without

FIRST = "64d0f1a2b3c4d5e6f7081921"
SECOND = "64d0f1a2b3c4d5e6f7081922"
THIRD = "64d0f1a2b3c4d5e6f7081923"

OPEN = {
    "read": {"access": "open"},
    "update": {"access": "owner"},
    "delete": {"access": "owner"},
}
SHARED = {
    "read": {"access": "owner"},
    "update": {"access": "open_for_users_ids", "users_ids": ["4102", "4103"]},
    "delete": {"access": "open_for_groups", "users_groups": ["judges", "captains"]},
}
RECORD = {
    "_id": FIRST,
    "_parent_id": None,
    "rating": 1850,
    "country": "Peru",
    "created_at": 1691400001,
    "name": "Ines Vale",
    "club": "Library",
    "updated_at": 1691400002,
    "user_id": 4101,
    "permissions": OPEN,
}
READ = CustomObject(
    class_name="player",
    id=FIRST,
    parent_id=None,
    created_at=unix(1691400001),
    updated_at=unix(1691400002),
    user_id=4101,
    permissions=OPEN,
    fields={"rating": 1850, "country": "Peru", "name": "Ines Vale", "club": "Library"},
)
BARE = {**RECORD, "country": None, "name": None, "club": None}
BARE_READ = evolve(READ, fields={"rating": 1850, "country": None, "name": None, "club": None})
LISTED = {**without(RECORD, "permissions"), "_parent_id": "", "avatar": None}
LISTED_READ = evolve(READ, permissions=None, fields={**READ.fields, "avatar": None})


def asking(name, query, **options):
    """A query that the page shows without an answer of its own."""
    return Example(
        name=f"Retrieve records within a class: {name}",
        call=lambda cube: cube.custom_objects.list("player", **options),
        sends=Request(method="GET", path="/data/player", query=query),
        answers={
            "class_name": "player",
            "skip": 0,
            "limit": 100,
            "items": [LISTED, {**LISTED, "_id": SECOND, "club": None}],
        },
        reads=Page(
            items=(
                LISTED_READ,
                evolve(LISTED_READ, id=SECOND, fields={**LISTED_READ.fields, "club": None}),
            ),
            total_entries=None,
            skip=0,
            limit=100,
        ),
        needs=(("items",),),
    )


EXAMPLES = (
    Example(
        name="Create a new record",
        call=lambda cube: cube.custom_objects.create(
            "player",
            {"name": "Ines Vale", "rating": "1850", "club": "Library", "country": "Peru"},
        ),
        sends=Request(
            method="POST",
            path="/data/player",
            body={"name": "Ines Vale", "rating": "1850", "club": "Library", "country": "Peru"},
        ),
        answers=RECORD,
        reads=READ,
        needs=(("_id",),),
    ),
    Example(
        name="Create multi records",
        call=lambda cube: cube.custom_objects.create_many(
            "player", [{"rating": "1850"}, {"rating": "1500"}]
        ),
        sends=Request(
            method="POST",
            path="/data/player/multi",
            body={"record": {"0": {"rating": "1850"}, "1": {"rating": "1500"}}},
        ),
        answers={
            "class_name": "player",
            "items": [BARE, {**BARE, "_id": SECOND, "rating": 1500}],
        },
        reads=Page(
            items=(
                BARE_READ,
                evolve(BARE_READ, id=SECOND, fields={**BARE_READ.fields, "rating": 1500}),
            ),
            total_entries=None,
            skip=None,
            limit=None,
        ),
        needs=(("items",),),
    ),
    Example(
        name="Create a record with permissions",
        call=lambda cube: cube.custom_objects.create(
            "player",
            {"name": "Ines Vale", "rating": "1850", "country": "Peru"},
            permissions={
                "read": {"access": "owner"},
                "update": {"access": "open_for_users_ids", "ids": ["4102", "4103"]},
                "delete": {"access": "open_for_groups", "groups": ["judges", "captains"]},
            },
        ),
        sends=Request(
            method="POST",
            path="/data/player",
            body={
                "name": "Ines Vale",
                "rating": "1850",
                "country": "Peru",
                "permissions": {
                    "read": {"access": "owner"},
                    "update": {"access": "open_for_users_ids", "ids": ["4102", "4103"]},
                    "delete": {"access": "open_for_groups", "groups": ["judges", "captains"]},
                },
            },
        ),
        answers={**RECORD, "avatar": None, "club": None, "permissions": SHARED},
        reads=evolve(
            READ, permissions=SHARED, fields={**READ.fields, "club": None, "avatar": None}
        ),
        needs=(("_id",),),
    ),
    Example(
        name="Retrieve records by IDs",
        call=lambda cube: cube.custom_objects.list("player", ids=[FIRST, SECOND]),
        sends=Request(method="GET", path=f"/data/player/{FIRST},{SECOND}"),
        answers={"class_name": "player", "items": [RECORD, {**RECORD, "_id": SECOND}]},
        reads=Page(
            items=(READ, evolve(READ, id=SECOND)), total_entries=None, skip=None, limit=None
        ),
        needs=(("items",),),
    ),
    asking("sorted", [("sort_asc", "rating")], sort="rating"),
    asking("search criteria", [("rating[gt]", "1700")], rating__gt=1700),
    asking(
        "both",
        [("rating[gt]", "1700"), ("sort_desc", "name")],
        rating__gt=1700,
        sort="-name",
    ),
    Example(
        name="Retrieve record by ID to view its permissions",
        call=lambda cube: cube.custom_objects.permissions("player", FIRST),
        sends=Request(method="GET", path=f"/data/player/{FIRST}", query=[("permissions", "1")]),
        answers={"permissions": SHARED, "record_id": FIRST},
        reads=SHARED,
        needs=(("permissions",),),
    ),
    Example(
        name="Update record by ID",
        call=lambda cube: cube.custom_objects.update(
            "player", FIRST, {"rating": "1900", "club": "Harbour"}
        ),
        sends=Request(
            method="PUT",
            path=f"/data/player/{FIRST}",
            body={"rating": "1900", "club": "Harbour"},
        ),
        answers={**RECORD, "rating": 1900, "club": "Harbour"},
        reads=evolve(READ, fields={**READ.fields, "rating": 1900, "club": "Harbour"}),
        needs=(("_id",),),
    ),
    Example(
        name="Delete record by ID",
        call=lambda cube: cube.custom_objects.delete("player", FIRST),
        sends=Request(method="DELETE", path=f"/data/player/{FIRST}"),
        answers=None,
        reads=DeleteResult(deleted=(FIRST,), not_found=(), not_permitted=(), extra={}),
    ),
    Example(
        name="Delete several records by their IDs",
        call=lambda cube: cube.custom_objects.delete("player", [FIRST, SECOND, THIRD]),
        sends=Request(method="DELETE", path=f"/data/player/{FIRST},{SECOND},{THIRD}"),
        answers={
            "SuccessfullyDeleted": {"ids": [FIRST]},
            "WrongPermissions": {"ids": [SECOND]},
            "NotFound": {"ids": [THIRD]},
        },
        reads=DeleteResult(deleted=(FIRST,), not_found=(THIRD,), not_permitted=(SECOND,), extra={}),
    ),
)

EXEMPT = {
    "Retrieve records within a class: aggregation": (
        "calc and group_by answer with something else than records; no call"
    ),
    "Update records by criteria": "no call: list and update reach the same records",
    "Update multi records": "no call: update changes one record at a time",
    "Delete records by criteria": "no call: a slip of the criteria deletes everything; delete takes ids",
}

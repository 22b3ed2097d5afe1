"""address_book.md."""

from connectycube.models import AddressBookResult, Contact, Page, User
from tests.wire.rest.documentation import Example, Request

UDID = "a1b2c3d4-0000-4000-8000-a1b2c3d4e5f6"

EXAMPLES = (
    Example(
        name="Upload address book",
        call=lambda cube: cube.address_book.upload(
            [("15550100101", "Ines Vale "), Contact(phone="15550100102", name="Bo Lind")],
            force=True,
            udid=UDID,
        ),
        sends=Request(
            method="POST",
            path="/address_book",
            body={
                "contacts": [
                    {"name": "Ines Vale ", "phone": "15550100101"},
                    {"name": "Bo Lind", "phone": "15550100102"},
                ],
                "force": 1,
                "udid": UDID,
            },
        ),
        answers={
            "deleted": 3,
            "rejected": {"1": ["Not these fields"], "2": ["Too short"], "4": ["Too long"]},
            "created": 17,
            "updated": 6,
        },
        reads=AddressBookResult(
            deleted=3,
            rejected={1: ("Not these fields",), 2: ("Too short",), 4: ("Too long",)},
            created=17,
            updated=6,
            extra={},
        ),
        needs=(("created",),),
    ),
    Example(
        name="Retrieve address book",
        call=lambda cube: cube.address_book.get(),
        sends=Request(method="GET", path="/address_book"),
        answers=[
            {"phone": "15550100101", "name": "Ines Vale"},
            {"phone": "15550100102", "name": "Bo Lind"},
            {"phone": "15550100103", "name": "Ada Byron"},
        ],
        reads=(
            Contact(phone="15550100101", name="Ines Vale", extra={}),
            Contact(phone="15550100102", name="Bo Lind", extra={}),
            Contact(phone="15550100103", name="Ada Byron", extra={}),
        ),
    ),
    Example(
        name="Retrieve already registered contacts/users",
        call=lambda cube: cube.address_book.registered_users(udid=UDID, compact=True),
        sends=Request(
            method="GET",
            path="/address_book/registered_users",
            query=[("udid", UDID), ("compact", "1")],
        ),
        answers={
            "items": [
                {"user": {"id": 4102, "phone": "15550100101", "address_book_name": "Ines Vale"}},
                {"user": {"id": 4104, "phone": "15550100102", "address_book_name": "Bo Lind"}},
            ]
        },
        reads=Page(
            items=(
                User(id=4102, phone="15550100101", extra={"address_book_name": "Ines Vale"}),
                User(id=4104, phone="15550100102", extra={"address_book_name": "Bo Lind"}),
            ),
            total_entries=None,
            skip=None,
            limit=None,
        ),
        needs=(("items",),),
    ),
)

EXEMPT = {
    "Upload address book": 'the answer has the key "1" twice in rejected, which JSON cannot say',
}

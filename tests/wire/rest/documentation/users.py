"""users.md."""

from attrs import evolve

from connectycube.errors import PermissionDeniedError
from connectycube.models import Page, User
from tests.wire.rest.documentation import Example, Refused, Request, utc, without

USER = {
    "id": 4101,
    "full_name": "Ada Byron",
    "email": "ada@example.org",
    "login": "ada",
    "phone": "+15550101",
    "website": None,
    "created_at": "2023-08-01T08:00:01Z",
    "updated_at": "2023-08-02T08:00:02Z",
    "last_request_at": None,
    "external_user_id": None,
    "external_id": None,
    "facebook_id": "80002",
    "twitter_id": "90002",
    "blob_id": None,
    "custom_data": None,
    "avatar": None,
    "user_tags": None,
    "timezone": 120,
}
READ = User(
    id=4101,
    full_name="Ada Byron",
    email="ada@example.org",
    login="ada",
    phone="+15550101",
    website=None,
    created_at=utc(2023, 8, 1, 8, 0, 1),
    updated_at=utc(2023, 8, 2, 8, 0, 2),
    last_request_at=None,
    external_id=None,
    facebook_id="80002",
    twitter_id="90002",
    custom_data=None,
    avatar=None,
    tags=(),
    timezone=120,
    is_guest=None,
    extra={"external_user_id": None, "blob_id": None},
)
FORBIDDEN = "Lists of users are switched off: https://admin.example/apps/7/users"


def asking(query, expected, **lookups):
    """A query that the page calls valid; it shows no answer to it."""
    return Example(
        name=f"Retrieve Users V2: {query}",
        call=lambda cube: cube.users.list(**lookups),
        sends=Request(method="GET", path="/users/v2", query=expected),
        answers={"limit": 100, "skip": 0, "total_entries": 0, "items": []},
        reads=Page(items=(), total_entries=0, skip=0, limit=100),
        needs=(("items",),),
    )


EXAMPLES = (
    Example(
        name="User Sign Up",
        call=lambda cube: cube.users.create(
            login="ada",
            password="pa55!word",
            email="ada@example.org",
            facebook_id="80002",
            twitter_id="90002",
            full_name="Ada Byron ",
            phone="+15550101",
            timezone=120,
        ),
        sends=Request(
            method="POST",
            path="/users",
            body={
                "user": {
                    "login": "ada",
                    "password": "pa55!word",
                    "email": "ada@example.org",
                    "facebook_id": "80002",
                    "twitter_id": "90002",
                    "full_name": "Ada Byron ",
                    "phone": "+15550101",
                    "timezone": 120,
                }
            },
            authorization="CB-AuthKey",
        ),
        answers={"user": USER},
        reads=READ,
        needs=(("user", "id"),),
    ),
    asking("an id", [("id", "4102")], id=4102),
    asking(
        "ids and a date",
        [("id[in][]", "4102"), ("id[in][]", "4103"), ("last_request_at[gt]", "1691400000")],
        id__in=[4102, 4103],
        last_request_at__gt=utc(2023, 8, 7, 9, 20),
    ),
    asking("a tag", [("user_tags", "member")], tags="member"),
    asking(
        "a tag and a date",
        [("user_tags", "member"), ("created_at[lt]", "1691400000")],
        tags="member",
        created_at__lt=1691400000,
    ),
    asking(
        "login, phone, no tag, a date",
        [
            ("login", "ada"),
            ("phone", "15550101"),
            ("user_tags[nin][]", "banned"),
            ("updated_at[lte]", "1691400000"),
        ],
        login="ada",
        phone="15550101",
        tags__nin=["banned"],
        updated_at__lte=utc(2023, 8, 7, 9, 20),
    ),
    asking(
        "phone and the same date",
        [("phone", "15550101"), ("last_request_at", "1691400000")],
        phone="15550101",
        last_request_at=utc(2023, 8, 7, 9, 20),
    ),
    asking(
        "the beginning of a name, not an id",
        [("full_name[start_with]", "byron"), ("id[nin][]", "4102")],
        full_name__startswith="byron",
        id__nin=[4102],
    ),
    Example(
        name="Retrieve Users V2: several, sorted",
        call=lambda cube: cube.users.list(
            id__in=[4101, 4102],
            phone="15550101",
            last_request_at__gt=utc(2023, 8, 7, 9, 20),
            sort="-id",
            limit=20,
        ),
        sends=Request(
            method="GET",
            path="/users/v2",
            query=[
                ("id[in][]", "4101"),
                ("id[in][]", "4102"),
                ("phone", "15550101"),
                ("last_request_at[gt]", "1691400000"),
                ("limit", "20"),
                ("sort_desc", "id"),
            ],
        ),
        answers={
            "limit": 20,
            "skip": 0,
            "total_entries": 1,
            "items": [
                {
                    **USER,
                    "email": None,
                    "last_request_at": "2023-08-08T08:30:40Z",
                    "facebook_id": None,
                    "twitter_id": None,
                    "timezone": None,
                }
            ],
        },
        reads=Page(
            items=(
                evolve(
                    READ,
                    email=None,
                    last_request_at=utc(2023, 8, 8, 8, 30, 40),
                    facebook_id=None,
                    twitter_id=None,
                    timezone=None,
                ),
            ),
            total_entries=1,
            skip=0,
            limit=20,
        ),
        needs=(("items",),),
    ),
    Example(
        name="Retrieve Users V1: forbidden",
        call=lambda cube: cube.users.list(login="ada"),
        sends=Request(method="GET", path="/users/v2", query=[("login", "ada")]),
        status=403,
        answers={"errors": {"base": [FORBIDDEN]}},
        reads=Refused(error=PermissionDeniedError, messages=(FORBIDDEN,)),
    ),
    Example(
        name="Show User by identifier",
        call=lambda cube: cube.users.get(4101),
        sends=Request(method="GET", path="/users/4101"),
        answers={
            "user": {
                **without(USER, "external_id"),
                "website": "https://byron.example",
                "twitter_id": None,
                "custom_data": "Counts the moves",
                "user_tags": "member,captain",
                "timezone": None,
            }
        },
        reads=evolve(
            READ,
            website="https://byron.example",
            twitter_id=None,
            custom_data="Counts the moves",
            tags=("member", "captain"),
            timezone=None,
        ),
        needs=(("user", "id"),),
    ),
    Example(
        name="Update User by identifier",
        call=lambda cube: cube.users.update(4101, email="byron@example.org", website="b.example"),
        sends=Request(
            method="PUT",
            path="/users/4101",
            body={"user": {"email": "byron@example.org", "website": "b.example"}},
        ),
        answers={
            "user": {
                **without(USER, "external_id"),
                "email": "byron@example.org",
                "website": "https://b.example",
                "facebook_id": None,
                "twitter_id": None,
                "user_tags": "captain",
                "timezone": None,
            }
        },
        reads=evolve(
            READ,
            email="byron@example.org",
            website="https://b.example",
            facebook_id=None,
            twitter_id=None,
            tags=("captain",),
            timezone=None,
        ),
        needs=(("user", "id"),),
    ),
    Example(
        name="Delete User by identifier",
        call=lambda cube: cube.users.delete(4101),
        sends=Request(method="DELETE", path="/users/4101"),
        answers=None,
        reads=None,
    ),
    Example(
        name="Delete User by external user ID",
        call=lambda cube: cube.users.delete(external_id="70001"),
        sends=Request(method="DELETE", path="/users/external/70001"),
        answers=None,
        reads=None,
    ),
    Example(
        name="Reset User password by email",
        call=lambda cube: cube.users.reset_password("ada@example.org"),
        sends=Request(
            method="GET", path="/users/password/reset", query=[("email", "ada@example.org")]
        ),
        answers=None,
        reads=None,
    ),
)

_DATE = "the page has text; seconds, which it allows as well, are sent"
_REFUSED = "the page calls it invalid; the service says so, and the client repeats it"
_OLD = "deprecated and switched off for new applications; V2 does the same: "

EXEMPT = {
    "Retrieve Users V2: ids and a date": _DATE,
    "Retrieve Users V2: login, phone, no tag, a date": _DATE,
    "Retrieve Users V2: phone and the same date": _DATE,
    "Retrieve Users V2: several, sorted": _DATE,
    "Retrieve Users V2: invalid, not a login": _REFUSED,
    "Retrieve Users V2: invalid, not a tag": _REFUSED,
    "Retrieve Users V2: invalid, a date alone": _REFUSED,
    "Retrieve Users V2: invalid, a compared date alone": _REFUSED,
    "Retrieve Users V2: invalid, a short beginning": _REFUSED,
    "Retrieve Users V1: a page": _OLD + "users.list(limit=)",
    "Retrieve Users V1: filter": _OLD + "users.list(id__in=)",
    "Retrieve Users V1: descending": _OLD + 'users.list(sort="-full_name")',
    "Retrieve Users V1: ascending": _OLD + 'users.list(sort="login")',
    "Retrieve Users V1: forbidden": "the page does not say with which status; 403 is its meaning",
    "Retrieve User by login": _OLD + "users.get_by(login=)",
    "Retrieve Users by full name": _OLD + "users.list(full_name=)",
    "Retrieve User by Facebook identifier": _OLD + "users.get_by(facebook_id=)",
    "Retrieve User by Twitter identifier": _OLD + "users.get_by(twitter_id=)",
    "Retrieve User by email": _OLD + "users.get_by(email=)",
    "Retrieve Users by tags": _OLD + "users.list(tags__in=)",
    "Retrieve User by external user id": _OLD + "users.get_by(external_id=)",
}

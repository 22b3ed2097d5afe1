"""auth.mdx."""

from attrs import evolve

from connectycube.models import Session, User
from tests.wire.rest.documentation import APP_ID, AUTH_KEY, TOKEN, Example, Request, utc, without

USER = {
    "id": 4101,
    "full_name": "Ada Byron",
    "email": "ada@example.org",
    "login": "ada",
    "phone": "15550101",
    "website": None,
    "created_at": "2023-08-01T08:00:01Z",
    "updated_at": "2023-08-02T08:00:02Z",
    "last_request_at": "2023-08-03T08:00:03Z",
    "external_user_id": None,
    "facebook_id": None,
    "twitter_id": None,
    "custom_data": "",
    "blob_id": None,
    "avatar": "",
    "user_tags": None,
}
READ = User(
    id=4101,
    full_name="Ada Byron",
    email="ada@example.org",
    login="ada",
    phone="15550101",
    website=None,
    created_at=utc(2023, 8, 1, 8, 0, 1),
    updated_at=utc(2023, 8, 2, 8, 0, 2),
    last_request_at=utc(2023, 8, 3, 8, 0, 3),
    external_id=None,
    facebook_id=None,
    twitter_id=None,
    custom_data="",
    avatar="",
    tags=(),
    timezone=None,
    is_guest=None,
    extra={"external_user_id": None, "blob_id": None},
)
SESSION = {
    "id": 5501,
    "user_id": 4101,
    "application_id": 7,
    "token": "5e55104d0a1b2c3d4e5f6071",
    "ts": 1691400000,
    "created_at": "2023-08-07T09:20:00Z",
    "updated_at": "2023-08-07T09:20:30Z",
    "user": USER,
}
SESSION_READ = Session(
    id="5501",
    user_id=4101,
    application_id=7,
    token="5e55104d0a1b2c3d4e5f6071",
    created_at=utc(2023, 8, 7, 9, 20, 0),
    updated_at=utc(2023, 8, 7, 9, 20, 30),
    user=READ,
    expires_at=None,
    extra={"ts": 1691400000},
)

EXAMPLES = (
    Example(
        name="Create session token",
        call=lambda cube: cube.sessions.create(login="ada", password="pa55!word"),
        sends=Request(
            method="POST",
            path="/session",
            body={
                "application_id": str(APP_ID),
                "auth_key": AUTH_KEY,
                "user": {"login": "ada", "password": "pa55!word"},
            },
            authorization=None,
        ),
        status=201,
        answers={"session": SESSION},
        reads=SESSION_READ,
        needs=(("session", "token"),),
    ),
    Example(
        name="Create session with Guest User",
        call=lambda cube: cube.sessions.create(guest=True, full_name="Bo Lind"),
        sends=Request(
            method="POST",
            path="/session",
            body={
                "application_id": str(APP_ID),
                "auth_key": AUTH_KEY,
                "user": {"guest": "1", "full_name": "Bo Lind"},
            },
            authorization=None,
        ),
        status=201,
        answers={
            "session": {
                **SESSION,
                "user_id": 4199,
                "id": 4199,
                "user": {
                    **without(USER, "blob_id"),
                    "_id": "64d0e1f2a3b4c5d6e7f80912",
                    "id": 4199,
                    "login": "guest_41AB99",
                    "full_name": "Bo Lind",
                    "is_guest": True,
                    "last_request_at": None,
                    "timezone": None,
                    "email": None,
                    "phone": "",
                    "custom_data": None,
                    "avatar": None,
                    "external_id": None,
                },
            }
        },
        reads=evolve(
            SESSION_READ,
            user_id=4199,
            id="4199",
            user=evolve(
                READ,
                id=4199,
                login="guest_41AB99",
                full_name="Bo Lind",
                is_guest=True,
                last_request_at=None,
                timezone=None,
                email=None,
                phone="",
                custom_data=None,
                avatar=None,
                external_id=None,
                extra={"_id": "64d0e1f2a3b4c5d6e7f80912", "external_user_id": None},
            ),
        ),
        needs=(("session", "token"),),
    ),
    Example(
        name="Get information about session",
        call=lambda cube: cube.sessions.info(),
        sends=Request(method="GET", path="/session"),
        answers={
            "session": {
                **SESSION,
                "token": TOKEN,
                "user": {**USER, "phone": None, "custom_data": None, "avatar": None},
            }
        },
        reads=evolve(
            SESSION_READ,
            token=TOKEN,
            user=evolve(READ, phone=None, custom_data=None, avatar=None),
        ),
        needs=(("session", "token"),),
    ),
    Example(
        name="Destroy session",
        call=lambda cube: cube.logout(),
        sends=Request(method="DELETE", path="/session"),
        answers=None,
        reads=None,
    ),
)

EXEMPT = {
    "Create session token": (
        "the body has a timestamp without a signature; it is sent where auth_secret is set, and signed, as "
        "the official SDKs do"
    ),
    "Create session with Guest User": "the timestamp, as above",
}

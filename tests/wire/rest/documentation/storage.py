"""storage.md."""

from urllib.parse import urlencode

from attrs import evolve

from connectycube.models import File, Page
from tests.wire.rest.documentation import STORAGE, Example, Raw, Request, utc

UID = "C0FFEE0123456789ABCDEF0123456789ABCD"
FORM = [
    ("Content-Type", "image/jpeg"),
    ("Expires", "Mon, 07 Aug 2023 10:20:00 GMT"),
    ("acl", "public-read"),
    ("key", UID),
    ("policy", "eyJub3RoaW5nIjoiaGVyZSJ9"),
    ("success_action_status", "201"),
    ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
    ("x-amz-credential", "NOBODYS/20230807/nowhere/s3/aws4_request"),
    ("x-amz-date", "20230807T092000Z"),
    ("x-amz-signature", "5161"),
]
STORED = b"""<PostResponse>
  <Location>https://storage.example/cube-files/C0FFEE</Location>
  <Bucket>cube-files</Bucket>
  <Key>C0FFEE</Key>
  <ETag>"beef"</ETag>
</PostResponse>"""

BLOB = {
    "id": 6001,
    "uid": UID,
    "content_type": "image/jpeg",
    "name": "board.jpeg",
    "size": 11,
    "created_at": "2023-08-07T09:20:01Z",
    "updated_at": "2023-08-07T09:20:02Z",
    "public": True,
}
READ = File(
    id=6001,
    uid=UID,
    content_type="image/jpeg",
    name="board.jpeg",
    size=11,
    created_at=utc(2023, 8, 7, 9, 20, 1),
    updated_at=utc(2023, 8, 7, 9, 20, 2),
    public=True,
    status=None,
    completed_at=None,
    access=None,
    extra={},
)
COMPLETE = {**BLOB, "blob_status": "complete", "set_completed_at": "2023-08-07T09:20:03Z"}
COMPLETE_READ = evolve(READ, status="complete", completed_at=utc(2023, 8, 7, 9, 20, 3))
CREATED = {
    **BLOB,
    "size": None,
    "blob_object_access": {
        "id": 6002,
        "blob_id": 6001,
        "expires": "2023-08-07T10:20:00Z",
        "object_access_type": "Write",
        "params": f"{STORAGE}/cube-files?{urlencode(FORM)}",
    },
}
SIGNED = f"https://files.example/{UID}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=60"

EXAMPLES = (
    Example(
        name="Create a file",
        also=("Upload a file", "Declare file uploaded"),
        call=lambda cube: cube.files.upload(b"knight c3.", name="board.jpeg"),
        sends=[
            Request(
                method="POST",
                path="/blobs",
                body={"blob": {"content_type": "image/jpeg", "name": "board.jpeg"}},
            ),
            Request(
                method="POST",
                path="/cube-files",
                form=[*FORM, ("file", b"knight c3.")],
                authorization=None,
            ),
            Request(
                method="PUT",
                path="/blobs/6001/complete",
                body={"blob": {"size": 10}},
            ),
        ],
        answers=[{"blob": CREATED}, Raw(status=201, content=STORED), None],
        reads=evolve(READ, size=10),
        needs=(("blob", "id"), ("blob", "blob_object_access", "params")),
    ),
    Example(
        name="Get information about file by ID",
        call=lambda cube: cube.files.get(6001),
        sends=Request(method="GET", path="/blobs/6001"),
        answers={"blob": BLOB},
        reads=READ,
        needs=(("blob", "id"),),
    ),
    Example(
        name="Get files list",
        call=lambda cube: cube.files.list(),
        sends=Request(method="GET", path="/blobs"),
        answers={
            "current_page": 1,
            "per_page": 10,
            "total_entries": 1,
            "items": [{"blob": COMPLETE}],
        },
        reads=Page(items=(COMPLETE_READ,), total_entries=1, skip=0, limit=10),
        needs=(("items",),),
    ),
    Example(
        name="Download file by UID",
        call=lambda cube: cube.files.download(UID),
        sends=[
            Request(method="GET", path=f"/blobs/{UID}/download"),
            Request(method="GET", path="/cube-files/C0FFEE", authorization=None),
        ],
        answers=[
            Raw(status=301, headers=(("Location", f"{STORAGE}/cube-files/C0FFEE"),)),
            Raw(content=b"knight c3."),
        ],
        reads=b"knight c3.",
    ),
    Example(
        name="Get file object by UID",
        call=lambda cube: cube.files.get_by_uid(UID),
        sends=Request(method="GET", path=f"/blobs/{UID}/object", query=[("download_url", "1")]),
        answers={"blob": {**BLOB, "blob_object_access": {"dowload_url": SIGNED}}},
        reads=evolve(READ, access={"dowload_url": SIGNED}),
        shows={"download_url": SIGNED},
        needs=(("blob", "id"),),
    ),
    Example(
        name="Edit a file",
        call=lambda cube: cube.files.update(6001, name="The end"),
        sends=Request(method="PUT", path="/blobs/6001", body={"blob": {"name": "The end"}}),
        answers={"blob": {**COMPLETE, "name": "The end"}},
        reads=evolve(COMPLETE_READ, name="The end"),
        needs=(("blob", "id"),),
    ),
    Example(
        name="Delete a file",
        call=lambda cube: cube.files.delete(6001),
        sends=Request(method="DELETE", path="/blobs/6001"),
        answers=None,
        reads=None,
    ),
)

EXEMPT = {
    "Declare file uploaded": (
        "the command says POST and its size is text, the endpoint says PUT: PUT is used, with a number"
    ),
    "Get file object by UID": (
        "the answer has dowload_url, the parameter download_url: File.download_url reads either"
    ),
}

"""REST: files. (Server documentation: Storage API.)"""

from __future__ import annotations

import re
from typing import Any

from ..db.store import Row
from ..domain.api_error import ApiError
from ..domain.values import flag, integer
from .fields import identifier, object_of, page, text_of
from .request import Response
from .routing import Auth, Call, route

_MOST_NAME = 100
_CONTENT_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(?: *; *[^\r\n]+)?", re.ASCII)
_UID_LENGTH = 34


@route("POST", "blobs", Auth.USER, inferred="201")
def create_file(call: Call) -> Response:
    """Create a file, and return the form that uploads its bytes."""
    blob = object_of(call.request.json(), "blob")
    created = call.api.files.create(
        call.user_id,
        name=text_of(blob, "name", most=_MOST_NAME),
        content_type=_content_type(blob),
        public=flag(blob.get("public")),
        scheme=call.request.scheme,
    )
    return Response(status=201, content={"blob": created})


def _content_type(blob: dict[str, Any]) -> str:
    value = text_of(blob, "content_type")
    if not _CONTENT_TYPE.fullmatch(value):
        raise ApiError.invalid("content_type", "is not a MIME type")
    return value


@route(
    "PUT",
    "blobs/{id}/complete",
    Auth.USER,
    inferred="422 when nothing, or another number of bytes, was uploaded",
)
def complete_file(call: Call) -> Response:
    """Declare a file uploaded."""
    body = call.request.json()
    size = (object_of(body, "blob") if "blob" in body else body).get("size")
    try:
        number = integer(str(size))
    except ValueError:
        raise ApiError.invalid("size", "is required and must be a whole number") from None
    call.api.files.complete(call.user_id, identifier(call.arguments["id"], "File"), number)
    return Response()


@route("POST", "blobs/{id}/complete", Auth.USER, inferred="as PUT: the documentation has both")
def complete_file_by_post(call: Call) -> Response:
    """Declare a file uploaded."""
    return complete_file(call)


@route("GET", "blobs", Auth.USER, inferred="files that are not complete are listed too")
def list_files(call: Call) -> Response:
    """List the user's files."""
    number, per_page = page(dict(call.request.parameters()))
    files = call.api.files
    total, rows = files.of_user(call.user_id, limit=per_page, skip=(number - 1) * per_page)
    return Response(
        content={
            "current_page": number,
            "per_page": per_page,
            "total_entries": total,
            "items": [{"blob": files.json(row)} for row in rows],
        }
    )


@route("GET", "blobs/{id}", Auth.OPTIONAL, inferred="by uid: redirects, as with /download")
def get_file(call: Call) -> Response:
    """Describe a file by its id, or download it by its uid."""
    name = call.arguments["id"]
    if len(name) == _UID_LENGTH:
        return download_file(call)
    if call.session is None:
        raise ApiError.no_session()
    files = call.api.files
    return Response(content={"blob": files.json(files.file(identifier(name, "File")))})


@route("GET", "blobs/{id}/download", Auth.OPTIONAL)
def download_file(call: Call) -> Response:
    """Redirect to a file's bytes."""
    url = call.api.files.download_url(_readable(call), scheme=call.request.scheme)
    return Response(status=301, headers={"Location": url})


@route("GET", "blobs/{id}/object", Auth.OPTIONAL, inferred="a public file needs no session")
def get_file_object(call: Call) -> Response:
    """Describe a file by its uid; with download_url=1, tell where its bytes are."""
    row = _readable(call)
    files = call.api.files
    blob = files.json(row)
    if flag(dict(call.request.parameters()).get("download_url")):
        url = files.download_url(row, scheme=call.request.scheme)
        # The documentation misspells the name; clients may read either.
        blob["blob_object_access"] = {"dowload_url": url, "download_url": url}
    return Response(content={"blob": blob})


def _readable(call: Call) -> Row:
    row = call.api.files.complete_file(call.arguments["id"])
    if call.session is None and not row["public"]:
        raise ApiError.no_session()
    return row


@route("PUT", "blobs/{id}", Auth.USER, inferred="new=1: the file is not complete until declared so")
def update_file(call: Call) -> Response:
    """Change a file's name or type; with new=1, prepare for new bytes."""
    blob_id = identifier(call.arguments["id"], "File")
    blob = object_of(call.request.json(), "blob")
    values: dict[str, Any] = {}
    if "name" in blob:
        values["name"] = text_of(blob, "name", most=_MOST_NAME)
    if "content_type" in blob:
        values["content_type"] = _content_type(blob)
    changed = call.api.files.update(
        call.user_id,
        blob_id,
        values,
        new=flag(blob.get("new")),
        scheme=call.request.scheme,
    )
    return Response(content={"blob": changed})


@route("DELETE", "blobs/{id}", Auth.USER)
def delete_file(call: Call) -> Response:
    """Delete a file."""
    call.api.files.delete(call.user_id, identifier(call.arguments["id"], "File"))
    return Response()

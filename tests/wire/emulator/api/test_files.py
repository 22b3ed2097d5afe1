"""Files: create, upload to the bucket on another origin, declare, download; and what is refused."""

from __future__ import annotations

import json
import os
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from connectycube.emulator import Emulator
from tests.wire.emulator.conftest import ManualClock, Rest

CONTENT = bytes(range(256)) * 5


def create(session, **fields):
    blob = {"name": "cat.jpeg", "content_type": "image/jpeg", **fields}
    answer = session("POST", "blobs", json={"blob": blob})
    assert answer.status_code == 201, answer.text
    return answer.json()["blob"]


def form_of(blob):
    """The upload form's address and its fields, as a client takes them from the answer."""
    url = urlsplit(blob["blob_object_access"]["params"])
    fields = parse_qsl(url.query, keep_blank_values=True, strict_parsing=True)
    return f"{url.scheme}://{url.netloc}{url.path}", dict(fields)


def upload(blob, content=CONTENT, **changes):
    url, fields = form_of(blob)
    fields = {name: value for name, value in {**fields, **changes}.items() if value is not None}
    parts = [(name, (None, value)) for name, value in fields.items()]
    parts.append(("file", ("cat.jpeg", content, "image/jpeg")))
    return requests.post(url, files=parts, timeout=10)


def uploaded(session, **fields):
    blob = create(session, **fields)
    assert upload(blob).status_code == 201
    body = {"blob": {"size": len(CONTENT)}}
    assert session("PUT", f"blobs/{blob['id']}/complete", json=body).status_code == 200
    return blob


def anonymous(emulator, path, **more):
    return requests.get(f"{emulator.api_url}/{path}", timeout=5, **more)


class TestUpload:
    def test_the_form_is_on_another_origin(self, emulator, rest, alice):
        blob = create(rest("alice"))
        url, fields = form_of(blob)
        assert url.startswith(emulator.storage_url)
        assert emulator.storage_url != emulator.api_url
        assert fields["key"] == blob["uid"]
        assert fields["Content-Type"] == "image/jpeg"
        assert (blob["public"], blob["size"]) == (False, None)

    def test_the_bucket_answers_201_with_xml(self, rest, alice):
        blob = create(rest("alice"))
        answer = upload(blob)
        assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (
            201,
            "application/xml",
        )
        assert f"<Key>{blob['uid']}</Key>" in answer.text

    def test_a_file_part_without_a_file_name_is_one(self, rest, alice):
        url, fields = form_of(create(rest("alice")))
        parts = [(name, (None, value)) for name, value in [*fields.items(), ("file", CONTENT)]]
        assert requests.post(url, files=parts, timeout=5).status_code == 201

    def test_over_https_every_address_is_https(self, emulator, rest, alice):
        with requests.Session() as http:
            http.trust_env = False
            http.verify = emulator.ca_file
            http.headers["CB-Token"] = rest("alice").token
            body = {"blob": {"name": "a", "content_type": "a/b"}}
            blob = http.post(f"{emulator.https_url}/blobs", json=body, timeout=5).json()["blob"]
            url, fields = form_of(blob)
            assert url.startswith(f"https://127.0.0.1:{emulator.storage_https_port}/")
            parts = [(name, (None, value)) for name, value in [*fields.items(), ("file", CONTENT)]]
            answer = http.post(url, files=parts, timeout=5)
            assert f"<Location>{url}/{blob['uid']}</Location>" in answer.text
            done = {"blob": {"size": len(CONTENT)}}
            path = f"{emulator.https_url}/blobs/{blob['id']}"
            assert http.put(f"{path}/complete", json=done, timeout=5).status_code == 200
            got = http.get(f"{emulator.https_url}/blobs/{blob['uid']}", timeout=5)
            assert (got.content, got.url.partition("?")[0]) == (CONTENT, f"{url}/{blob['uid']}")
            anew = http.put(path, json={"blob": {"new": "1"}}, timeout=5).json()["blob"]
            assert form_of(anew)[0] == url

    @pytest.mark.parametrize("method", ["PUT", "POST"])
    @pytest.mark.parametrize(
        "wrap", [lambda size: {"blob": {"size": str(size)}}, lambda size: {"size": size}]
    )
    def test_declared_in_every_documented_form(self, rest, alice, method, wrap):
        hers = rest("alice")
        blob = create(hers)
        upload(blob)
        answer = hers(method, f"blobs/{blob['id']}/complete.json", json=wrap(len(CONTENT)))
        assert answer.status_code == 200
        seen = hers("GET", f"blobs/{blob['id']}").json()["blob"]
        assert (seen["size"], seen["blob_status"]) == (len(CONTENT), "complete")

    @pytest.mark.parametrize("size", [None, "many", len(CONTENT) + 1])
    def test_a_wrong_size_is_refused(self, rest, alice, size):
        hers = rest("alice")
        blob = create(hers)
        upload(blob)
        answer = hers("PUT", f"blobs/{blob['id']}/complete", json={"size": size})
        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["size"])

    def test_what_was_not_uploaded_is_not_complete(self, rest, alice):
        hers = rest("alice")
        blob = create(hers)
        body = {"size": 0}
        assert hers("PUT", f"blobs/{blob['id']}/complete", json=body).status_code == 422
        assert hers("GET", f"blobs/{blob['uid']}").status_code == 404

    def test_an_empty_file_is_a_file(self, rest, alice):
        hers = rest("alice")
        blob = create(hers)
        assert upload(blob, b"").status_code == 201
        assert hers("PUT", f"blobs/{blob['id']}/complete", json={"size": 0}).status_code == 200
        assert hers("GET", f"blobs/{blob['uid']}").content == b""

    @pytest.mark.parametrize(
        ("fields", "wrong"),
        [
            ({"name": ""}, "name"),
            ({"name": "x" * 101}, "name"),
            ({"name": 5}, "name"),
            ({"content_type": None}, "content_type"),
            ({"content_type": "jpeg"}, "content_type"),
            ({"content_type": "image/jpeg\r\nX: y"}, "content_type"),
        ],
    )
    def test_a_wrong_field_is_named(self, rest, alice, fields, wrong):
        blob = {"name": "cat.jpeg", "content_type": "image/jpeg", **fields}
        answer = rest("alice")("POST", "blobs", json={"blob": blob})
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [wrong])


class TestBucket:
    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"policy": None}, "AccessDenied"),
            ({"x-amz-signature": None}, "AccessDenied"),
            ({"key": None}, "AccessDenied"),
            ({"policy": "e30="}, "SignatureDoesNotMatch"),
            ({"x-amz-signature": "0" * 64}, "SignatureDoesNotMatch"),
            ({"x-amz-signature": "é"}, "SignatureDoesNotMatch"),
            ({"key": "../../etc/passwd"}, "AccessDenied"),
            ({"acl": "public-read"}, "AccessDenied"),
            ({"Content-Type": "text/html"}, "AccessDenied"),
            ({"success_action_status": None}, "AccessDenied"),
            ({"x-amz-meta-extra": "1"}, "AccessDenied"),
            ({"CB-Token": "secret"}, "AccessDenied"),
            ({"x-ignore-me": "x" * 30_000}, "MaxPostPreDataLengthExceeded"),
        ],
    )
    def test_a_form_against_its_policy_is_refused(self, rest, alice, changes, code):
        hers = rest("alice")
        blob = create(hers)
        answer = upload(blob, **changes)
        assert answer.status_code in (400, 403)
        assert f"<Code>{code}</Code>" in answer.text
        complete = hers("PUT", f"blobs/{blob['id']}/complete", json={"size": len(CONTENT)})
        assert complete.status_code == 422

    def test_fields_behind_the_file_count_as_missing(self, rest, alice):
        url, fields = form_of(create(rest("alice")))
        parts = [("file", ("a", CONTENT)), *((name, (None, text)) for name, text in fields.items())]
        answer = requests.post(url, files=parts, timeout=5)
        assert (answer.status_code, "AccessDenied" in answer.text) == (403, True)

    def test_a_form_without_a_file_is_refused(self, rest, alice):
        url, fields = form_of(create(rest("alice")))
        parts = [(name, (None, text)) for name, text in fields.items()]
        answer = requests.post(url, files=parts, timeout=5)
        assert (answer.status_code, "exactly one file" in answer.text) == (400, True)

    @pytest.mark.parametrize(
        ("body", "content_type", "status"),
        [
            (b"a=1", "application/x-www-form-urlencoded", 412),
            (b"nonsense", "multipart/form-data", 400),
            (b"nonsense", "multipart/form-data; boundary=x", 400),
            (
                b'--x\r\nContent-Disposition: form-data; name="key"\r\n\r\ncut',
                "multipart/form-data; boundary=x",
                400,
            ),
            (b"--x\r\nX: y\r\n\r\nunnamed\r\n--x--\r\n", "multipart/form-data; boundary=x", 400),
        ],
    )
    def test_a_broken_form_is_refused(self, emulator, rest, alice, body, content_type, status):
        url, _ = form_of(create(rest("alice")))
        headers = {"Content-Type": content_type}
        answer = requests.post(url, data=body, headers=headers, timeout=5)
        assert (answer.status_code, "<Error>" in answer.text) == (status, True)

    def test_a_policy_expires_after_an_hour(self):
        clock = ManualClock()
        with Emulator(clock=clock) as emulator:
            emulator.add_user("alice", "secret")
            hers = Rest(emulator, "alice")
            with hers.http:
                blob = create(hers)
                clock.now += 3600
                answer = upload(blob)
        assert (answer.status_code, "Policy expired" in answer.text) == (403, True)

    def test_more_than_100_mb_is_refused_and_nothing_is_kept(self, emulator, rest, alice):
        hers = rest("alice")
        blob = create(hers)
        url, fields = form_of(blob)
        boundary = b"frontier"

        def body():
            for name, text in fields.items():
                yield b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (
                    boundary,
                    name.encode(),
                    text.encode(),
                )
            yield b'--%s\r\nContent-Disposition: form-data; name="file"\r\n\r\n' % boundary
            for _ in range(101):
                yield bytes(1024 * 1024)
            yield b"\r\n--%s--\r\n" % boundary

        headers = {"Content-Type": "multipart/form-data; boundary=frontier"}
        try:
            answer = requests.post(url, data=body(), headers=headers, timeout=30)
            assert (answer.status_code, "EntityTooLarge" in answer.text) == (400, True)
        except requests.ConnectionError:
            pass  # the bucket hangs up without reading the rest
        assert hers("PUT", f"blobs/{blob['id']}/complete", json={"size": 1}).status_code == 422
        bucket = os.path.join(os.path.dirname(emulator.ca_file), "bucket")
        assert os.listdir(bucket) == []

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/", 404),
            ("GET", "/other/key", 404),
            ("GET", "/cb-shared-s3/none", 403),
            ("GET", "/cb-shared-s3/../../etc/passwd", 404),
            ("GET", "/cb-shared-s3/..%2f..%2fetc%2fpasswd", 403),
            ("DELETE", "/cb-shared-s3/none", 405),
            ("GET", "/cb-shared-s3/none?X-Amz-Signature=0", 403),
        ],
    )
    def test_nothing_else_is_served(self, emulator, method, path, status):
        answer = requests.request(method, f"{emulator.storage_url}{path}", timeout=5)
        assert (answer.status_code, "<Error>" in answer.text) == (status, True)


class TestDownload:
    def test_a_private_file_needs_a_token_in_header_or_query(self, emulator, rest, alice, bob):
        hers, his = rest("alice"), rest("bob")
        uid = uploaded(hers)["uid"]
        for suffix in ("", "/download"):
            assert his("GET", f"blobs/{uid}{suffix}").content == CONTENT
            assert anonymous(emulator, f"blobs/{uid}{suffix}?token={his.token}").content == CONTENT
            assert anonymous(emulator, f"blobs/{uid}{suffix}").status_code == 401
            assert anonymous(emulator, f"blobs/{uid}{suffix}?token=wrong").status_code == 401

    def test_a_public_file_needs_none(self, emulator, rest, alice):
        uid = uploaded(rest("alice"), public=True)["uid"]
        answer = anonymous(emulator, f"blobs/{uid}")
        assert (answer.content, answer.headers["Content-Type"]) == (CONTENT, "image/jpeg")
        direct = requests.get(f"{emulator.storage_url}/cb-shared-s3/{uid}", timeout=5)
        assert direct.content == CONTENT

    def test_the_answer_is_a_redirect_to_the_bucket(self, emulator, rest, alice):
        hers = rest("alice")
        uid = uploaded(hers)["uid"]
        answer = hers("GET", f"blobs/{uid}/download", allow_redirects=False)
        assert answer.status_code == 301
        link = answer.headers["Location"]
        assert link.startswith(emulator.storage_url)
        assert hers.token not in link
        assert requests.get(link.replace(uid, "A" * 34), timeout=5).status_code == 403
        head = requests.head(link, timeout=5)
        assert (head.headers["Content-Length"], head.content) == (str(len(CONTENT)), b"")

    def test_the_bucket_takes_no_second_credential(self, rest, alice):
        hers = rest("alice")
        uid = uploaded(hers)["uid"]
        link = hers("GET", f"blobs/{uid}", allow_redirects=False).headers["Location"]
        answer = requests.get(link, auth=("user", "password"), timeout=5)
        assert (answer.status_code, "Only one auth mechanism" in answer.text) == (400, True)

    def test_a_link_lives_for_a_week(self):
        clock = ManualClock()
        with Emulator(clock=clock) as emulator:
            emulator.add_user("alice", "secret")
            hers = Rest(emulator, "alice")
            with hers.http:
                uid = uploaded(hers)["uid"]
                path = f"blobs/{uid}"
                link = hers("GET", path, allow_redirects=False).headers["Location"]
                clock.now += 604_799
                assert requests.get(link, timeout=5).content == CONTENT
                clock.now += 1
                assert requests.get(link, timeout=5).status_code == 403

    def test_the_object_tells_the_link_on_request(self, rest, alice):
        hers = rest("alice")
        uid = uploaded(hers)["uid"]
        assert "blob_object_access" not in hers("GET", f"blobs/{uid}/object").json()["blob"]
        blob = hers("GET", f"blobs/{uid}/object?download_url=1").json()["blob"]
        link = blob["blob_object_access"]["dowload_url"]
        assert requests.get(link, timeout=5).content == CONTENT

    def test_five_megabytes_come_back_whole(self, rest, alice):
        hers = rest("alice")
        content = os.urandom(5 * 1024 * 1024 + 1)
        blob = create(hers)
        assert upload(blob, content).status_code == 201
        size = {"size": len(content)}
        assert hers("PUT", f"blobs/{blob['id']}/complete", json=size).status_code == 200
        assert hers("GET", f"blobs/{blob['uid']}").content == content


class TestFiles:
    def test_the_list_is_ones_own_in_pages(self, rest, alice, bob):
        hers = rest("alice")
        ids = [create(hers)["id"] for _ in range(3)]
        create(rest("bob"))
        first = hers("GET", "blobs?per_page=2").json()
        second = hers("GET", "blobs?per_page=2&page=2").json()
        seen = [item["blob"]["id"] for item in (*first["items"], *second["items"])]
        assert (seen, first["total_entries"]) == (ids, 3)

    def test_only_the_owner_changes_and_deletes(self, rest, alice, bob):
        blob = uploaded(rest("alice"))
        his, path = rest("bob"), f"blobs/{blob['id']}"
        assert his("GET", path).status_code == 200
        assert his("PUT", path, json={"blob": {"name": "x"}}).status_code == 403
        assert his("PUT", f"{path}/complete", json={"size": 1}).status_code == 403
        assert his("DELETE", path).status_code == 403

    def test_a_new_name_keeps_the_bytes_and_new_content_replaces_them(self, rest, alice):
        hers = rest("alice")
        blob = uploaded(hers)
        path = f"blobs/{blob['id']}"
        renamed = hers("PUT", path, json={"blob": {"name": "dog"}}).json()["blob"]
        assert (renamed["name"], renamed["blob_status"]) == ("dog", "complete")
        prepared = hers("PUT", path, json={"blob": {"new": "1"}}).json()["blob"]
        assert hers("GET", f"blobs/{blob['uid']}").status_code == 404
        assert upload(prepared, b"new").status_code == 201
        assert hers("PUT", f"{path}/complete", json={"size": 3}).status_code == 200
        assert hers("GET", f"blobs/{blob['uid']}").content == b"new"

    def test_a_deleted_file_is_gone_with_its_bytes(self, emulator, rest, alice):
        hers = rest("alice")
        blob = uploaded(hers)
        link = hers("GET", f"blobs/{blob['uid']}", allow_redirects=False).headers["Location"]
        assert hers("DELETE", f"blobs/{blob['id']}").status_code == 200
        assert hers("GET", f"blobs/{blob['id']}").status_code == 404
        assert requests.get(link, timeout=5).status_code == 404
        bucket = os.path.join(os.path.dirname(emulator.ca_file), "bucket")
        assert os.listdir(bucket) == []

    @pytest.mark.parametrize("path", ["blobs/999", "blobs/word", f"blobs/{'A' * 34}/object"])
    def test_what_does_not_exist_is_404(self, rest, alice, path):
        answer = rest("alice")("GET", path)
        assert (answer.status_code, bool(json.loads(answer.text)["errors"])) == (404, True)

    def test_a_description_needs_a_session(self, emulator, rest, alice):
        blob = uploaded(rest("alice"), public=True)
        assert anonymous(emulator, f"blobs/{blob['id']}").status_code == 401

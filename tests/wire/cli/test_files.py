"""upload and download: the whole file or none, and nothing is overwritten unasked."""

from __future__ import annotations

import json
import os

import pytest


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, with a file cat.jpg in a folder beside it."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "cat.jpg").write_bytes(b"\xff\xd8cat" * 1000)
    return tmp_path / "here"


def test_a_file_goes_there_and_back(run, alice, here):
    uid = run("upload", "../cat.jpg").out.strip()
    done = run("download", uid)
    assert (done.status, done.out, done.err) == (0, "cat.jpg\n", "")
    assert (here / "cat.jpg").read_bytes() == (here.parent / "cat.jpg").read_bytes()
    found = json.loads(run("download", uid, "-o", "other.jpg", "--json").out)
    assert found == {"path": "other.jpg", "size": 5000}


def test_json_names_the_file_and_no_way_to_write_it(run, alice, here):
    found = json.loads(run("upload", "../cat.jpg", "--name", "dog.jpg", "--json").out)
    assert (found["name"], found["content_type"], found["size"]) == ("dog.jpg", "image/jpeg", 5000)
    assert not {"access", "extra"} & found.keys()


def test_what_is_there_is_not_overwritten_unasked(run, alice, here):
    uid = run("upload", "../cat.jpg").out.strip()
    (here / "cat.jpg").write_text("mine")
    done = run("download", uid)
    assert (done.status, "cat.jpg is there already" in done.err) == (2, True)
    assert (here / "cat.jpg").read_text() == "mine"
    assert run("download", uid, "--overwrite").status == 0
    assert (here / "cat.jpg").stat().st_size == 5000


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("..", None),
        ("../../cat", "cat"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\cat.exe", "cat.exe"),
        (".bashrc", "bashrc"),
        ("a\u202eb", None),
    ],
)
def test_a_name_of_another_user_leads_nowhere_else(run, alice, bob, here, name, own):
    file = bob.files.upload(b"content", name=name)
    done = run("download", file.uid)
    assert done.status == 0, done.err
    assert os.listdir(here) == [own or file.uid]


def test_a_download_is_written_to_standard_output(run, alice, bob, here):
    file = bob.files.upload(b"content", name="a.txt")
    assert run("download", file.uid, "-o", "-").out == "content"


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("upload", "/nothing"), 2, "Invalid value for 'FILE'"),
        (("upload", "../cat.jpg", "--name", "x" * 101), 2, "name"),
        (("download", "nothing"), 5, "NotFoundError"),
        (("download", "nothing", "-o", "x"), 5, "NotFoundError"),
    ],
)
def test_wrong_arguments_end_with_a_sentence(run, alice, here, words, status, sentence):
    done = run(*words)
    assert (done.status, done.out, sentence in done.err) == (status, "", True), done.err
    assert os.listdir(here) == []

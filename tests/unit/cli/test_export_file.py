"""An export that was ended at any moment is gone on with: the same file, no message twice, none missing."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectycube import Attachment, Message
from connectycube.cli import export_file
from connectycube.cli.export_file import ExportFile
from connectycube.cli.failure import Failure
from connectycube.cli.formats import FORMATS, format_of

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Killed(BaseException):
    """The process ends here."""


def message(number, seconds, body="hello"):
    at = BEGIN + timedelta(seconds=seconds)
    return Message(id=f"{number:024x}", body=body, sender_id=5, dialog_id="d", date_sent=at)


def history(gaps):
    """Messages whose dates are so many seconds apart, often none."""
    seconds = 0.0
    for number, gap in enumerate(gaps):
        seconds += gap
        yield message(number, seconds, f"{number}: <b>\n\x85\u2028end")


def export_to(path, form="jsonl", **more):
    made = format_of(form, "A <title>", lambda user_id: f"user {user_id}")
    return ExportFile(path=path, format=made, what={"dialog": "d", "format": form}, **more)


def run(path, messages, form, *, resume=False, overwrite=False, killed_after=None):
    """Export as the command does, from where history is asked again; or be killed after so many messages."""
    export = export_to(path, form)
    with export.opened(resume=resume, overwrite=overwrite):
        begin = export.last
        for position, each in enumerate(
            each
            for each in messages
            if begin is None or each.date_sent >= begin.replace(microsecond=0)
        ):
            if position == killed_after:
                raise Killed
            export.add(each)
    return export


GAPS = st.lists(st.sampled_from([0.0, 0.0, 0.2, 1.0, 60.0]), max_size=30)


@settings(deadline=None)
@given(gaps=GAPS, form=st.sampled_from(FORMATS), kills=st.lists(st.integers(0, 12), max_size=4))
def test_killed_and_resumed_it_is_the_same_file(tmp_path_factory, gaps, form, kills):
    folder = tmp_path_factory.mktemp("export")
    messages = list(history(gaps))
    run(folder / "whole", messages, form)
    part = folder / "part"
    for number in kills:
        if part.exists():
            with part.open("ab") as file:  # what a killed writer had not noted yet
                file.write(b"torn \xff")
        try:
            run(part, messages, form, resume=True, killed_after=number)
        except Killed:
            pass
    export = run(part, messages, form, resume=True)
    assert part.read_bytes() == (folder / "whole").read_bytes()
    assert export.count == len(messages)


def test_the_place_is_noted_after_the_messages_are_in_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(export_file, "_EVERY", 3)
    path = tmp_path / "x.jsonl"
    export = export_to(path)
    with export.opened(resume=False, overwrite=False):
        for number, each in enumerate(history([1.0] * 8)):
            export.add(each)
            note = json.loads(export.note.read_text())
            assert note["messages"] == (number + 1) // 3 * 3
            assert len(path.read_bytes()[: note["bytes"]].splitlines()) == note["messages"]


def test_a_complete_export_leaves_the_file_alone(tmp_path):
    run(tmp_path / "x.jsonl", history([1.0]), "jsonl")
    assert [each.name for each in tmp_path.iterdir()] == ["x.jsonl"]
    assert (tmp_path / "x.jsonl").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("form", FORMATS)
def test_later_messages_are_added_if_the_first_export_was_to_be_resumed(tmp_path, form):
    messages = list(history([1.0] * 6))
    run(tmp_path / "a", messages[:4], form, resume=True)
    assert run(tmp_path / "a", messages, form, resume=True).count == 6
    run(tmp_path / "b", messages, form)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_is_there_is_not_overwritten_unasked(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text("mine")
    for resume, sentence in (
        (False, "is there already: use --overwrite"),
        (True, "is complete, or not"),
    ):
        with pytest.raises(Failure, match=sentence):
            run(path, [], "jsonl", resume=resume)
        assert path.read_text() == "mine"
    run(path, history([1.0]), "jsonl", overwrite=True)
    assert len(path.read_text().splitlines()) == 1
    with pytest.raises(Killed):
        run(path, history([1.0] * 3), "jsonl", overwrite=True, killed_after=2)
    with pytest.raises(Failure, match="is not complete: use --resume"):
        run(path, [], "jsonl")


def test_another_history_does_not_go_on_with_the_file(tmp_path):
    path = tmp_path / "x"
    run(path, history([1.0]), "jsonl", resume=True)
    with pytest.raises(Failure, match=r"the export of another history \(dialog d, format jsonl\)"):
        run(path, [], "csv", resume=True)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"dialog": "d"}'])
def test_a_damaged_note_is_named(tmp_path, text):
    path = tmp_path / "x"
    run(path, history([1.0]), "jsonl", resume=True)
    (tmp_path / "x.resume").write_text(text)
    with pytest.raises(Failure, match="damaged"):
        run(path, [], "jsonl", resume=True)


def test_a_file_that_was_shortened_is_named(tmp_path):
    path = tmp_path / "x"
    run(path, history([1.0]), "jsonl", resume=True)
    path.write_text("")
    with pytest.raises(Failure, match="is shorter than"):
        run(path, [], "jsonl", resume=True)


def test_two_exports_do_not_write_one_file(tmp_path):
    first = export_to(tmp_path / "x")
    with first.opened(resume=True, overwrite=False):
        with pytest.raises(Failure, match="another export writes") as failed:
            run(tmp_path / "x", [], "jsonl", resume=True)
        assert failed.value.status == 7
        first.add(message(1, 1))
    assert first.count == 1


# --- the formats --------------------------------------------------------------------------------------


def text_of(form, *messages):
    made = format_of(form, "A <title>", lambda user_id: f"<user {user_id}>")
    return made.head + "".join(map(made.text, messages)) + made.foot


FILE = Attachment(type="image", uid="uid-1", name="<cat>.jpg")
ODD = Message(id="1", body='a,"b"\nc <script>alert(1)</script>', sender_id=7, attachments=(FILE,))


def test_jsonl_comes_back_equal():
    lines = text_of("jsonl", ODD, message(2, 3)).splitlines()
    assert [Message.from_dict(json.loads(line)) for line in lines] == [ODD, message(2, 3)]


def test_csv_is_read_by_other_programs():
    rows = list(csv.DictReader(io.StringIO(text_of("csv", ODD, message(2, 3)), newline="")))
    assert [row["body"] for row in rows] == [ODD.body, "hello"]
    assert rows[0] | {"body": ""} == {
        "id": "1",
        "date_sent": "",
        "sender_id": "7",
        "body": "",
        "attachments": "uid-1",
    }
    assert rows[1]["date_sent"] == "2026-01-01T00:00:03+00:00"


def test_html_runs_nothing_and_loads_nothing():
    page = text_of("html", ODD)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "&lt;user 7&gt;" in page
    assert "&lt;cat&gt;.jpg" in page
    assert "default-src 'none'" in page
    assert "<title>A &lt;title&gt;</title>" in page

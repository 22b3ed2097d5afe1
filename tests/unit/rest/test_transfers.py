import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube._secrets import Secret
from connectycube.rest._transfers import Form, MemoryWriter, PathWriter, opened

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1)
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)


@given(
    fields=st.dictionaries(NAMES, VALUES, max_size=4),
    content=st.binary(max_size=300),
    sizes=st.lists(st.integers(1, 50), min_size=1, max_size=5),
)
def test_a_form_is_what_its_length_says_however_it_is_read(fields, content, sizes):
    form = Form(Secret(fields), "a.bin", "x/y", io.BytesIO(content), len(content), None)
    read = b""
    turn = 0
    while piece := form.read(sizes[turn % len(sizes)]):
        read += piece
        turn += 1
    assert len(read) == len(form)
    boundary = form.content_type.partition("boundary=")[2].encode()
    parts = read.split(b"--" + boundary)
    assert parts[0] == b""
    assert parts[-1] == b"--\r\n"
    bodies = [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts[1:-1]]
    assert bodies == [*(value.encode() for value in fields.values()), content]
    heads = [part.partition(b"\r\n\r\n")[0] for part in parts[1:-1]]
    assert b'name="file"; filename="a.bin"' in heads[-1]
    for name, head in zip(fields, heads, strict=False):
        assert f'name="{name.replace(chr(34), "%22")}"'.encode() in head


def test_a_quoted_name_cannot_add_headers():
    form = Form(Secret({'a"\r\nX: y': "1"}), "n", "x/y", io.BytesIO(b""), 0, None)
    assert b'name="a%22%0D%0AX: y"' in form.read(1000)


@pytest.mark.parametrize("content", [b"abc", bytearray(b"abc"), memoryview(b"abc")])
def test_bytes_of_every_kind_are_a_source_without_a_name(content):
    with opened(content) as (stream, size, name):
        assert (stream.read(), size, name) == (b"abc", 3, None)


@pytest.mark.parametrize(("text", "size"), [("5", 5), ("", None), ("-1", None), ("9" * 5000, None)])
def test_a_length_that_is_no_count_of_bytes_is_not_told(text, size):
    told = []
    writer = MemoryWriter(lambda done, whole: told.append((done, whole)), 100)
    writer.begin({"Content-Length": text})
    writer.write(b"abc")
    assert told == [(3, size)]


def test_a_path_that_failed_leaves_nothing_and_a_finished_one_is_whole(tmp_path):
    path = tmp_path / "file"
    with pytest.raises(KeyError), PathWriter(path, None) as target:
        target.write(b"half")
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    with PathWriter(path, None) as target:
        target.write(b"whole")
        assert not path.exists()
        target.finish()
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]

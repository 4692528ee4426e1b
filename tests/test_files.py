"""Files that are no files, claim more than they hold, or hold more than they say."""

import gzip
import os
import socket

import pytest

from deepapps import files

BOMB = gzip.compress(bytes(2**20)) * 200  # 200 MiB, of 200 kB


def lines(path):
    with files.open_data(path) as file:
        return [line for _, line in files.lines_of(file, path)]


def test_plain_and_packed_files_are_read_alike(tmp_path):
    content = b"first\nsecond\n\nlast"
    (tmp_path / "a.txt").write_bytes(content)
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(content))
    for name in ("a.txt", "a.txt.gz"):
        assert lines(tmp_path / name) == [b"first\n", b"second\n", b"\n", b"last"]
        with files.open_data(tmp_path / name) as file:
            assert file.read(6) + file.read(2**40) == content


def test_a_bomb_is_refused_before_it_fills_the_memory(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(BOMB)
    with files.open_data(path) as file:
        assert file.read(2**20) == bytes(2**20)
        with pytest.raises(ValueError, match="bomb.gz: unpacks to over 100 times its size"):
            file.read(2**30)
    path.write_bytes(gzip.compress(b"a\tb\n" * 2**18) * 100)
    with pytest.raises(ValueError, match=r"over 100 times its size.*Received: \d,\d+,\d+ bytes"):
        lines(path)


def test_a_line_without_an_end(tmp_path):
    path = tmp_path / "zeros.txt"
    with open(path, "wb") as file:
        file.write(b"a line\n")
        file.truncate(2**35)  # sparse
    with pytest.raises(ValueError, match=r"zeros.txt: line 2: has more than 16,777,216 bytes"):
        lines(path)


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_what_may_never_end_is_not_opened(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if kind == "pipe":
        os.mkfifo("x")
    elif kind == "device":
        os.symlink("/dev/zero", "x")
    else:
        socket.socket(socket.AF_UNIX).bind("x")
    for read in (lines, files.read_json, files.read_text):
        with pytest.raises(ValueError, match=r"^x: is no regular file. It is not opened.$"):
            read("x")


def test_a_json_file_that_is_too_large(tmp_path):
    path = tmp_path / "x.json"
    with open(path, "wb") as file:
        file.truncate(2**35)
    with pytest.raises(ValueError, match=r"x.json: must have at most 268,435,456 bytes"):
        files.read_json(path)


def test_a_folder_in_the_place_of_a_file(tmp_path):
    (tmp_path / "x.json").mkdir()
    with pytest.raises(ValueError, match="x.json: is a folder"):
        files.write_json(tmp_path / "x.json", {})
    with pytest.raises(ValueError, match=r"x.json: cannot be read \(Is a directory\)"):
        files.read_json(tmp_path / "x.json")
    assert os.listdir(tmp_path) == ["x.json"]


def test_a_line_of_json_is_named(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n{"a": "b"}\n')
    with pytest.raises(ValueError, match=r"x.jsonl: line 2: is damaged: a must be a number"):
        files.read_json_lines(path, dict[str, float])


def test_shown_holds_no_raw_bytes_and_no_thousands_of_characters():
    assert files.shown("größer 1\x00\x1b[31m\u202e\udc80") == r"größer 1\x00\x1b[31m\u202e\udc80"
    text = files.shown("begin" + "x" * 100_000 + "end")
    assert len(text) < 520 and text.startswith("beginx") and text.endswith("xend")

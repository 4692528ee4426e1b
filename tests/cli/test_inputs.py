"""What `predict` reads and prints: files, tables, encodings. No TensorFlow here."""

import io
import json
import sys

import pytest
from PIL import Image

from deepapps.cli.inputs import read_inputs
from deepapps.cli.output import AnswerPrinter
from deepapps.data.tables import TableSettings
from deepapps.tasks.sequence_classification import SequenceSettings

PLAIN = TableSettings()


def read(*items, kind="text", settings=PLAIN, columns=()):
    return list(read_inputs([str(item) for item in items], kind, settings, columns))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for name in ("b.png", "sub/a.PNG"):
        Image.new("L", (8, 8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("one\n\ntwo\n")
    return tmp_path


def test_a_folder_and_a_table_give_images(folder):
    below = [str(folder / "b.png"), str(folder / "sub" / "a.PNG")]
    assert read(folder, kind="image") == below
    (folder / "sub" / "list.csv").write_text("id,image\n1,a.PNG\n2,b.png\n")
    found = read("sub/list.csv", "b.png", kind="image")
    assert found == ["sub/a.PNG", "b.png", "b.png"]
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: holds no images"):
        read("empty", kind="image")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("name, mark", [("t.csv", ";"), ("t.csv", ","), ("T.CSV", "\t")])
def test_a_table_gives_texts(name, mark, encoding, folder):
    rows = ["id%stext", '1%s"größer, ja\nnoch"', "2%sbad", "", "3%s"]
    table = "\r\n".join(row.replace("%s", mark) for row in rows)
    (folder / name).write_bytes(table.encode(encoding))
    assert read(name) == ["größer, ja\nnoch", "bad", ""]
    assert read(name, columns=["id"]) == read(name, columns=["1"]) == ["1", "2", "3"]
    named = SequenceSettings(text_column="id", second_text_column="text")
    assert read(name, kind="pair", settings=named)[1] == "2\tbad"


@pytest.mark.parametrize(
    "content, message",
    [
        (b"id,text\n1,caf\xe9\n", r"t.csv: line 2: is not UTF-8 \(byte 0xe9\)"),
        (b"id,text\n1,a\n1\n", "t.csv: line 3: has 1 columns, and the first line 2"),
        (b"a,b\nc,d\n", "t.csv: does not say what to read: give --column NAME. Found: 1, 2"),
    ],
)
def test_a_bad_table_is_a_line(content, message, folder):
    (folder / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read("t.csv")


def test_texts_come_from_files_of_lines_and_stdin(folder, monkeypatch):
    stdin = io.TextIOWrapper(io.BytesIO("\ufeffgrößer\r\n\r\nja".encode()), encoding="ascii")
    monkeypatch.setattr(sys, "stdin", stdin)
    assert read("notes.txt", "a text", "-") == ["one", "", "two", "a text", "größer", "", "ja"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"fine\ncaf\xe9\n")))
    with pytest.raises(ValueError, match=r"stdin, line 2: is not UTF-8 \(byte 0xe9\)"):
        read("-")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ValueError, match="stdin is closed"):
        read("-")


ANSWER = {"label": "größer 😀", "probabilities": {"größer 😀": 0.75, "b": 0.25}}


def printed(style, kind, encoding, monkeypatch, inputs=("é", "")):
    out = io.BytesIO()
    stdout = io.TextIOWrapper(out, encoding=encoding, errors="backslashreplace")
    monkeypatch.setattr(sys, "stdout", stdout)
    AnswerPrinter(style, kind).print(inputs, [ANSWER if one else {} for one in inputs])
    return out.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_answers_are_printed_in_any_encoding(encoding, monkeypatch):
    lines = printed("json", "text", encoding, monkeypatch).splitlines()
    assert list(map(json.loads, lines)) == [{"input": "é", **ANSWER}, {"input": ""}]
    text = "größer 😀" if encoding == "utf-8" else r"gr\xf6\xdfer \U0001f600"
    if encoding == "latin-1":
        text = "größer \\U0001f600"
    assert printed("lines", "text", encoding, monkeypatch) == f"{text}\n\n"


def test_the_input_stands_beside_the_answer(monkeypatch):
    assert printed("lines", "image", "utf-8", monkeypatch) == "é\tgrößer 😀\n\n"
    table = printed("csv", "text", "utf-8", monkeypatch, ["a, b", "", "c"])
    assert table.splitlines() == [
        "input,label,probability",
        '"a, b",größer 😀,0.75',
        ",,",
        "c,größer 😀,0.75",
    ]

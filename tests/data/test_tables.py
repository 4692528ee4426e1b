"""Tables as people have them: what is understood of them, and what is refused in a line."""

import json

import pytest

from deepapps.data.examples import learn_class_names
from deepapps.data.sequences.load import find_parts
from deepapps.tasks.sequence_classification import SequenceSettings

ROWS = [(f"so {word}, really {row}", word) for row in range(40) for word in ("good", "bad")]
NEWS = "".join(f'"{row % 2 + 1}","Title {row}","of {row}"\n' for row in range(60))
MOODS = "mood\tfeeling\n" + "".join(f"{label}\t{text}\n" for text, label in ROWS) + "odd\tso odd\n"


def lines(separator, rows=ROWS, header=("text", "label"), end="\n"):
    return "".join(separator.join(cells) + end for cells in ([header] if header else []) + rows)


def read(folder, name, content, **given):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    settings = SequenceSettings(data=str(path), **given)
    return find_parts(path, settings)["train"]()


READ = {
    "semicolon.csv": lines(";", end="\r\n"),
    "tab.csv": lines("\t"),
    "bar.csv": lines("|"),
    "CAPITALS.TSV": lines("\t"),
    "mac.tsv": lines("\t", end="\r"),
    "return.tsv": lines("\t", [*ROWS[:-1], ("a\rb", "bad")]),
    "utf16.csv": lines(";").encode("utf-16"),
    "utf32.csv": lines(";").encode("utf-32"),
    "tabs.txt": lines("\t", [row[::-1] for row in ROWS], None),
    "marks.txt": lines(" ", [(f"__label__{label}", text) for text, label in ROWS], None),
    "mood.tsv": lines("\t", header=("text", "mood")),
    "floats.jsonl": "".join(
        json.dumps({"text": text, "label": float(label == "good")}) + "\n" for text, label in ROWS
    ),
}


@pytest.mark.parametrize("name", READ)
def test_it_is_read(name, tmp_path):
    examples = read(tmp_path, name, READ[name])
    assert len(examples.inputs) == len(ROWS) and examples.inputs[0].strip() == ROWS[0][0]
    assert len(set(examples.labels)) == 2


@pytest.mark.parametrize(
    "name, content, given, note",
    [
        (
            "a.csv",
            lines(";"),
            {},
            "text from column `text`, label from column `label`, separated by semicolons, header "
            "found",
        ),
        (
            "a.tsv",
            lines("\t", header=None),
            {},
            "text from column 1, label from column 2, no header",
        ),
        (
            "a.csv",
            NEWS,
            {"text_column": "3", "label_column": "1"},
            "text from column 3, label from column 1, no header",
        ),
        (
            "a.csv",
            "Class,Title,Body\n" + NEWS,
            {"text_column": "3", "label_column": "1"},
            "text from column `Body`, label from column `Class`, header found",
        ),
        (
            "a.tsv",
            "opinion\tstars\n" + "so\t1\nno\t5\n" * 3,
            {},
            "text from column `opinion`, label from column `stars`, header found",
        ),
        (
            "a.tsv",
            MOODS,
            {"header": True},
            "text from column `feeling`, label from column `mood`, header found",
        ),
        ("a.tsv", MOODS, {"header": False}, "text from column 2, label from column 1, no header"),
    ],
)
def test_what_was_understood_is_said(name, content, given, note, tmp_path):
    assert read(tmp_path, name, content, **given).note == note


REFUSED = {
    "two-delimiters": ("a.csv", lines(";", header=None), {}, "--delimiter"),
    "columns-without-names": ("a.csv", NEWS, {}, "by number from 1"),
    "line-1-is-an-example": (
        "a.csv",
        NEWS,
        {"text_column": "Title 0", "label_column": "1"},
        "line 1 looks like an example",
    ),
    "column-0": ("a.csv", NEWS, {"text_column": "2", "label_column": "0"}, "the columns 1 to 3"),
    "no-header-but-a-name": (
        "a.csv",
        NEWS,
        {"text_column": "Body", "header": False},
        "has no header, so it has no column 'Body'",
    ),
    "header-or-class": ("a.tsv", MOODS, {}, "--no-header as an example"),
    "one-column": ("a.tsv", lines(" "), {}, "has one column only"),
    "scores": (
        "a.csv",
        lines(",", [(f"so {row}", str(row / 77)) for row in range(80)]),
        {},
        "scores, no classes",
    ),
    "pairs": (
        "a.tsv",
        lines("\t", [(f"a house {row}", f"ein Haus {row}") for row in range(80)], None),
        {},
        "80 different labels of 80 examples mostly occur once, no classes",
    ),
    "prose": (
        "a.txt",
        lines(" ", [(f"Word{row}", "is so") for row in range(80)], None),
        {},
        "once",
    ),
    "some-tabs": (
        "a.txt",
        lines("\t", header=None) + lines(" ", header=None),
        {},
        "80 of its first 160 lines hold a tab",
    ),
    "two-labels": ("a.txt", "__label__a __label__b so\n" * 30, {}, "--multi-label learns them all"),
    "latin": ("a.csv", lines(",", [("é", "a")]).encode("latin-1"), {}, "--encoding names another"),
    "utf16-without-mark": (
        "a.csv",
        lines(";").encode("utf-16-le"),
        {},
        "--encoding utf-16-le reads UTF-16",
    ),
    "encoding": ("a.csv", lines(";"), {"encoding": "latin9x"}, "Unknown encoding 'latin9x'"),
    "parquet": ("a.parquet", "PAR1", {}, "cannot be read as .parquet"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_in_a_line_that_says_what_to_do(case, tmp_path):
    name, content, given, words = REFUSED[case]
    with pytest.raises(ValueError) as error:
        learn_class_names(read(tmp_path, name, content, **given))
    assert words in str(error.value) and "\n" not in str(error.value)


def test_an_encoding_is_named(tmp_path):
    content = lines(";", [("é so", "a"), ("no", "b")]).encode("cp1252")
    assert read(tmp_path, "a.csv", content, encoding="cp1252").inputs[0] == "é so"


def test_all_labels_of_fasttext_are_taken(tmp_path):
    content = "__label__a __label__b so so\n__label__c no\n"
    examples = read(tmp_path, "a.txt", content, multi_label=True)
    assert examples.labels == [("__label__a", "__label__b"), ("__label__c",)]
    assert examples.inputs == ["so so", "no"]


@pytest.mark.parametrize("names", [None, ["neg", "pos"]])
def test_parquet_and_the_names_of_its_classes(names, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table({"text": ["a", "b", "c"], "label": [1, 0, 1]})
    if names:
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        metadata = {"huggingface": json.dumps({"info": {"features": features}})}
        table = table.replace_schema_metadata(metadata)
    parquet.write_table(table, tmp_path / "a.parquet")
    path = tmp_path / "a.parquet"
    examples = find_parts(path, SequenceSettings(data=str(path)))["train"]()
    assert examples.labels == ([names[1], names[0], names[1]] if names else ["1", "0", "1"])


def texts(folder, count=10):
    folder.mkdir(parents=True)
    for index in range(count):
        (folder / f"{index}.txt").write_text(f"{folder.name} {index}")


def test_a_folder_of_texts_per_class(tmp_path, caplog):
    for part in ("train", "test"):
        for name in ("neg", "pos"):
            texts(tmp_path / "imdb" / part / name)
    texts(tmp_path / "imdb" / "train" / "unsup")
    parts = find_parts(tmp_path / "imdb", SequenceSettings(data=str(tmp_path / "imdb")))
    examples = parts["train"]()
    assert sorted(parts) == ["test", "train"] and "not used: unsup" in caplog.text
    assert examples.labels == ["neg"] * 10 + ["pos"] * 10 and examples.inputs[10] == "pos 0"
    (tmp_path / "imdb" / "train" / "pos" / "3.txt").write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match=r"file pos/3.txt: is not UTF-8 \(byte 0xe9\)"):
        parts["train"]()


def test_folders_of_texts_without_classes_are_refused(tmp_path):
    texts(tmp_path / "texts")
    settings = SequenceSettings(data=str(tmp_path / "texts"))
    with pytest.raises(ValueError, match="has no sub-folders"):
        find_parts(tmp_path / "texts", settings)["train"]()

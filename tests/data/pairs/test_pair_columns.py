"""Which columns of a table are source and target."""

import json

import pytest

from deepapps.data.pairs.load import find_parts
from deepapps.tasks.translation import TranslatorSettings

PAIRS = [(f"the house {row}", f"das Haus {row}") for row in range(60)]


def read(folder, name, content, **given):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return find_parts(path, TranslatorSettings(data=str(path), **given))["train"]()


def table(separator, row, header=None):
    rows = [row(index, *pair) for index, pair in enumerate(PAIRS)]
    return "".join(separator.join(cells) + "\n" for cells in ([header] if header else []) + rows)


def pair(index, source, target):
    return source, target


FOUND = {
    "attribution.tsv": table("\t", lambda index, a, b: (a, b, f"CC-BY, row {index}")),
    "ids.tsv": table("\t", lambda index, a, b: (f"{index}", a, f"{9 * index}", b)),
    "codes.tsv": table("\t", lambda index, a, b: (f"{index}", "eng", a, f"{9 * index}", "deu", b)),
    "english.tsv": table("\t", pair, ("English", "Deutsch")),
    "code-header.txt": table("\t", pair, ("en", "de")),
    "sentences.csv": table(",", pair, ("English words/sentences", "German words/sentences")),
    "semicolon.csv": table(";", pair, ("source", "target")),
    "bare.csv": table(",", pair),
    "row.csv": table(",", lambda index, a, b: (f"{index}", a, b), ("row", "foo", "bar")),
    "news.csv": table(
        ",", lambda index, a, b: (f"x{index}", a, b), ("id", "article", "highlights")
    ),
    "keys.jsonl": "".join(json.dumps({"input": a, "output": b}) + "\n" for a, b in PAIRS),
    "utf16.tsv": table("\t", pair).encode("utf-16"),
}


@pytest.mark.parametrize("name", FOUND)
def test_the_sentences_are_found(name, tmp_path, caplog):
    assert read(tmp_path, name, FOUND[name]).inputs == PAIRS
    passed_over = {"ids.tsv": "1, 3", "codes.tsv": "1, 2, 4, 5", "row.csv": "`row`"}
    assert (f"columns {passed_over.get(name)} of" in caplog.text) == (name in passed_over)


def test_numbers_and_words_of_two_columns_are_a_pair(tmp_path):
    content = table("\t", lambda index, a, b: (f"{index}", a))
    assert read(tmp_path, "a.tsv", content).inputs[3] == ("3", "the house 3")


THREE = table(",", lambda index, a, b: (a, b, f"la maison {index}"), ("en", "de", "fr"))


@pytest.mark.parametrize(
    "given",
    [
        {"source_language": "fr", "target_language": "en"},
        {"source_column": "fr", "target_column": "en"},
        {"source_column": "3", "target_column": "1"},
    ],
)
def test_columns_are_named(given, tmp_path):
    examples = read(tmp_path, "a.csv", THREE, **given)
    assert examples.inputs[0] == ("la maison 0", "the house 0")
    assert examples.note == "source from column `fr`, target from column `en`, header found"


@pytest.mark.parametrize(
    "given, words",
    [
        ({}, "Name them with --source-column and --target-column. Found: `en`, `de`, `fr`"),
        ({"source_column": "es"}, r"has no column 'es' \(--source-column\)"),
        ({"source_column": "en", "target_column": "en"}, "must be different columns"),
    ],
)
def test_what_is_refused(given, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        read(tmp_path, "a.csv", THREE, **given)


def test_numbers_alone_are_no_sentences(tmp_path):
    links = "".join(f"{row}\t{row + 7}\n" for row in range(60))
    with pytest.raises(ValueError, match="columns 1 and 2 hold numbers"):
        read(tmp_path, "links.csv", links)
    named = read(tmp_path, "links.csv", links, source_column="1", target_column="2")
    assert named.inputs[0] == ("0", "7")

"""Files of labelled texts: what is found by itself, and what is refused with its line."""

import gzip
import logging

import pytest

from deepapps.data.examples import learn_class_names
from deepapps.data.tables import TableSettings
from deepapps.data.text_files import Columns, read_texts

FILES = {
    "header.tsv": "sentiment\tid\treview\ngood\t1\ta joy\nbad\t2\ta bore\n",
    "plain.tsv": "a joy\tgood\na bore\tbad\nan old joy\tgood\n",
    "label-first.tsv": "good\ta joy\nbad\ta bore\ngood\tan old joy\n",
    "quoted.csv": 'text,label\r\n"a ""joy"", a\nreal one",good\r\na bore,bad\r\n',
    "keys.jsonl": '{"text": "a joy", "label": "good", "id": 1}\n\n{"label": "bad", "text": "a '
    'bore"}\n',
    "trec.txt": "good a joy\nbad  a bore\n",
    "bom.csv": "\ufefftext,label\na joy,good\na bore,bad\n",
}


def write(folder, name, content):
    path = folder / name
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return str(path)


@pytest.mark.parametrize("name", [*FILES, *(f"{name}.gz" for name in FILES)])
def test_text_and_label_are_found(name, tmp_path):
    examples = read_texts(write(tmp_path, name, FILES[name.removesuffix(".gz")]))
    assert examples.labels[:2] == ["good", "bad"]
    first = 'a "joy", a\nreal one' if name.startswith("quoted") else "a joy"
    assert [text.strip() for text in examples.inputs[:2]] == [first, "a bore"]


def test_columns_are_named(tmp_path):
    path = write(tmp_path, "a.csv", "q,a,yes\nhow?,so,1\nwhen?,now,0\n")
    examples = read_texts(path, Columns(text="q", second_text="a", label="yes"))
    assert (examples.inputs, examples.labels) == ([("how?", "so"), ("when?", "now")], ["1", "0"])


def test_many_labels(tmp_path):
    path = write(tmp_path, "a.tsv", "text\tlabels\na joy\tgood, old\nso so\t\na bore\tbad\n")
    assert read_texts(path, Columns(multi_label=True)).labels == [("good", "old"), (), ("bad",)]
    path = write(tmp_path, "a.jsonl", '{"text": "a joy", "labels": ["old", "good"]}\n')
    assert read_texts(path, Columns(multi_label=True)).labels == [("good", "old")]


@pytest.mark.parametrize("text", ["😀 👩‍👩‍👧", "مرحبا بالعالم", "東京都の天気", "long " * 100_000])
def test_any_script_and_length_is_read(text, tmp_path):
    path = write(tmp_path, "a.csv", f'text,label\n"{text}",a\nb,b\n')
    assert read_texts(path).inputs[0] == text


BAD = {
    "ragged.tsv": (
        "a joy\tgood\na bore\tbad\nan\told\tjoy\n",
        3,
        "has 3 columns, and the first line 2",
    ),
    "empty.tsv": ("a joy\tgood\na bore\tbad\n \tgood\n", 3, "the text is empty"),
    "unlabelled.csv": ("text,label\na joy,good\na bore,\n", 3, "the label is missing"),
    "nul.txt": ("good a joy\nbad a\0bore\n", 2, "holds a NUL byte"),
    "latin.txt": (b"good a joy\nbad ennui\ngood caf\xe9\n", 3, "is not UTF-8 (byte 0xe9)"),
    "json.jsonl": ('{"text": "a", "label": 1}\n{"text": "b", \n', 2, "is not JSON"),
    "list.jsonl": ('{"text": "a", "label": 1}\n[1]\n', 2, "is no JSON object"),
    "key.jsonl": ('{"text": "a", "label": 1}\n{"label": 1}\n', 2, "has no key 'text'"),
    "number.jsonl": (
        '{"text": "a", "label": 1}\n{"text": 5, "label": 1}\n',
        2,
        "the text is no text",
    ),
    "object.jsonl": (
        '{"text": "a", "label": 1}\n{"text": "b", "label": {}}\n',
        2,
        "the label is {}",
    ),
    "alone.txt": ("good a joy\nbad\n", 2, "the text is empty"),
    "quote.csv": ('text,label\na joy,good\na "bore,bad\n"b"c,bad\n', 4, "expected after"),
    "open.csv": (
        'text,label\na joy,good\n"a bore,bad\nan old joy,good\n',
        3,
        "unexpected end of data",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_line_that_cannot_be_used_is_an_error_with_its_number(name, tmp_path):
    content, line, fault = BAD[name]
    path = write(tmp_path, name, content)
    with pytest.raises(ValueError) as error:
        read_texts(path)
    assert f"{path}: line {line}: " in str(error.value) and fault in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", BAD)
def test_bad_lines_are_left_out_and_counted_where_that_is_asked_for(name, tmp_path, caplog):
    content, line, fault = BAD[name]
    with caplog.at_level(logging.WARNING):
        examples = read_texts(
            write(tmp_path, name, content), settings=TableSettings(skip_bad_lines=True)
        )
    assert 1 <= len(examples.inputs) == len(examples.lines) and line not in examples.lines
    assert f"1 line left out: line {line}: " in caplog.text and fault in caplog.text


@pytest.mark.parametrize(
    "name, content, fault",
    [
        ("empty.tsv", "", "holds no labelled text"),
        ("header.csv", "text,label\n", "holds no labelled text"),
        ("three.tsv", "a\tb\tc\nd\te\tf\n", "name them with --text-column and --label-column"),
        ("two.csv", "text,title,label\na,b,c\n", "the columns text and title may all be the text"),
        ("none.csv", "words,other,label\na,b,c\n", "no column has a name of the text"),
        (
            "unknown.tsv",
            "opinion\tmood\n" + "a\tglad\nb\tsad\n" * 3,
            "line 1 looks like a header: its label 'mood'",
        ),
        ("bad.tsv.gz", b"", "holds no labelled text"),
    ],
)
def test_files_without_examples_are_refused(name, content, fault, tmp_path):
    path = write(tmp_path, name, content)
    with pytest.raises(ValueError) as error:
        read_texts(path)
    assert path in str(error.value) and fault in str(error.value)


def test_a_file_cut_short_is_refused(tmp_path):
    path = write(tmp_path, "a.tsv.gz", "a joy\tgood\n" * 1000)
    with open(path, "r+b") as file:
        file.truncate(40)
    with pytest.raises(ValueError, match="cannot be read"):
        read_texts(path)


def test_a_column_that_is_not_there_is_named(tmp_path):
    path = write(tmp_path, "a.csv", "text,label\na,b\n")
    with pytest.raises(
        ValueError, match=r"has no column 'body' \(--text-column\). Found: text, label"
    ):
        read_texts(path, Columns(text="body"))
    with pytest.raises(ValueError, match="a .txt has no columns"):
        read_texts(write(tmp_path, "a.txt", "a b\n"), Columns(text="body"))


ROWS = [(f"the {('joy', 'bore')[row % 2]} {row}", ("good", "bad")[row % 2]) for row in range(30)]


def rows(separator, header="", last="{1}"):
    return header + "".join(
        separator.join((text, last.format(text, label))) + "\n" for text, label in ROWS
    )


@pytest.mark.parametrize(
    "name, content",
    {
        "excel.csv": "\ufeffsep=;\n" + rows(";", "text;label\n"),
        "pandas.tsv": rows("\t").replace("the", '"the ""old""').replace("\t", '"\t'),
    }.items(),
)
def test_exports_are_read(name, content, tmp_path):
    examples = read_texts(write(tmp_path, name, content))
    old = 'the "old" ' if name == "pandas.tsv" else "the "
    assert examples.inputs == [text.replace("the ", old) for text, _ in ROWS]
    assert examples.labels == [label for _, label in ROWS]


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("a.txt", rows(";"), "separated by semicolons: call it .csv"),
        ("a.txt", rows(","), "separated by commas: call it .csv"),
        ("a.csv", rows(",", "text,text\n").replace("text,text", "text,label") * 2, "in line 32"),
        ("a.csv", rows(",", "text,label,label\n", "{1},{1}"), "label and label may all be"),
        ("a.csv", "id,label\n" + "".join(f"{row},a\n{row},b\n" for row in range(9)), "--text-col"),
    ],
)
def test_what_has_two_readings_is_refused(name, content, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        read_texts(write(tmp_path, name, content))


@pytest.mark.parametrize("label, line", [("nan", "nan is learnt"), ("Good", "Good and good are")])
def test_labels_that_may_be_none_or_one_are_said(label, line, tmp_path, caplog):
    path = write(tmp_path, "a.csv", rows(",", "text,label\n") + f"so so,{label}\n")
    assert len(learn_class_names(read_texts(path))) == 3 and line in caplog.text

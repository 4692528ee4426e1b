"""Pairs of sentences from files to batches, and what cannot be used."""

import gzip
import json
import re

import numpy as np
import pytest

from deepapps.data.pairs.encoder import BOUNDARY, PairEncoder
from deepapps.data.pairs.files import read_pairs, read_parallel
from deepapps.data.pairs.load import load_evaluation_pairs, load_pairs
from deepapps.tasks.summarization import SummarizerSettings
from deepapps.tasks.translation import TranslatorSettings

LINES = [
    f"I have {row} big houses.\tTengo {row // 3} casas grandes.\tCC-BY, row {row}"
    for row in range(300)
]


def settings(**given):
    return TranslatorSettings(**{"vocabulary_size": 400, **given})


def write(path, lines):
    content = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return str(path)


def two_files(folder, sources, targets):
    return f"{write(folder / 'a.en', sources)}:{write(folder / 'b.es.gz', targets)}"


@pytest.mark.parametrize("name", ["pairs.tsv", "pairs.txt", "pairs.txt.gz"])
def test_a_tab_separated_file(name, tmp_path):
    examples = read_pairs(write(tmp_path / name, [*LINES[:2], "", LINES[2]]), settings())
    assert examples.inputs[2] == ("I have 2 big houses.", "Tengo 0 casas grandes.")
    assert examples.lines == [1, 2, 4]


def test_two_files(tmp_path):
    where = two_files(tmp_path, ["one", "", "three"], ["uno", " ", "tres"])
    examples = read_parallel(*where.split(":"), settings())
    assert examples.inputs == [("one", "uno"), ("three", "tres")] and examples.lines == [1, 3]


@pytest.mark.parametrize(
    "line, fault",
    [("alone", "has no tab"), ("\tdos", "the source is empty"), ("two\t ", "the target is empty")],
)
def test_a_bad_line_is_named_or_left_out(line, fault, tmp_path, caplog):
    path = write(tmp_path / "pairs.tsv", [LINES[0], line, LINES[1]])
    with pytest.raises(ValueError, match=f"pairs.tsv: line 2: {fault}"):
        read_pairs(path, settings())
    assert len(read_pairs(path, settings(skip_bad_lines=True)).inputs) == 2
    assert "1 line left out: line 2" in caplog.text


def test_files_that_do_not_fit_together(tmp_path):
    with pytest.raises(ValueError, match="as many lines on both sides. Received: 3 and 2 lines"):
        load_pairs(settings(data=two_files(tmp_path, ["a", "b", "c"], ["x", "y"])))
    where = two_files(tmp_path, ["a", "b", "c"], ["x", "", "z"])
    with pytest.raises(
        ValueError, match="b.es.gz: line 2: is empty, and the line of the other file is not"
    ):
        load_pairs(settings(data=where))
    with pytest.raises(ValueError, match="source and target must differ"):
        load_pairs(settings(data=two_files(tmp_path, *[[f"row {row}" for row in range(99)]] * 2)))
    with pytest.raises(ValueError, match="c.es: no such file. Pairs are given as `sample`"):
        load_pairs(settings(data=f"{tmp_path / 'a.en'}:{tmp_path / 'c.es'}"))
    with pytest.raises(ValueError, match="Did you mean 'sample'"):
        load_pairs(settings(data="sampel"))


def test_the_split_keeps_the_sentences_that_repeat_together(tmp_path):
    path = write(tmp_path / "pairs.tsv", LINES)
    for reverse in (False, True):
        splits = load_pairs(settings(data=path, reverse=reverse))[0]
        parts = [splits.train, splits.validation, splits.test]
        repeated = [{pair[0 if reverse else 1] for pair in part.raw} for part in parts]
        assert sum(map(len, repeated)) == 100 and all(repeated)
        assert sum(len(part) for part in parts) == 300
        assert splits.test.raw[0][0].startswith("Tengo" if reverse else "I have")


def test_test_files_of_their_own_and_the_batch(tmp_path):
    path = write(tmp_path / "pairs.tsv", LINES)
    data = load_pairs(
        settings(data=path, test=write(tmp_path / "test.tsv", LINES[:5]), batch_tokens=100)
    )
    assert len(data[0].test) == 5 and len(data[0].train) + len(data[0].validation) == 300
    assert data[0].train.batch_tokens == 100 and data[0].test.batch_tokens is None
    (sources, begun), targets, weights = data[0].test[np.arange(5)]
    assert sources.dtype == begun.dtype == "int32" and begun.shape == targets.shape == weights.shape
    assert (begun[:, 0] == BOUNDARY).all() and (sources != 0).any(axis=1).all()
    np.testing.assert_array_equal(begun[:, 1:], np.where(weights[:, 1:] > 0, targets[:, :-1], 0))
    assert data[1].decode(targets.tolist()) == [target for _, target in data[0].test.raw]
    assert len(load_evaluation_pairs(path, data[1], settings())) == 300


@pytest.mark.parametrize("vocabulary", ["joint", "separate"])
def test_every_text_comes_back_whatever_its_script(vocabulary, tmp_path):
    data = load_pairs(settings(data=write(tmp_path / "pairs.tsv", LINES), vocabulary=vocabulary))
    encoder = PairEncoder.loaded(**json.loads(json.dumps(data[1].stored())))
    assert (encoder.source is encoder.target) == (vocabulary == "joint")
    texts = [
        "Tengo 12 casas.",
        "日本語 テキスト",
        "  two  spaces ",
        "😀 [UNK] [PAD]",
        "",
        "١٢٣ عربي",
        "12 345,60\u202f€",
    ]
    encoded = encoder.encode_targets(texts)
    assert encoder.decode(encoded.padded(np.arange(len(texts)))[:, 1:].tolist()) == texts
    with pytest.raises(ValueError, match="must be text that UTF-8 can hold"):
        encoder.encode("\ud800")
    with pytest.raises(ValueError, match="must be strings. Received: 3"):
        encoder.encode(["a", 3])


def test_pairs_too_long_or_too_unequal_are_left_out_of_training_and_counted(tmp_path, caplog):
    long, unequal = "casa " * 90 + "\t" + "house " * 90, "y\t" + "Tengo casas. " * 9
    path = write(
        tmp_path / "pairs.tsv",
        [
            *LINES,
            *[f"{row} {long}" for row in range(20)],
            *[f"{row} {unequal}" for row in range(20)],
        ],
    )
    data = load_pairs(settings(data=path, max_length=64, test=write(tmp_path / "test.tsv", [long])))
    left_out, cut = data[0].left_out
    counts = [
        int(count)
        for count in re.findall(r"(\d+) (?:pairs of 64 subwords or more|of lengths)", left_out)
    ]
    assert len(data[0].train) + len(data[0].validation) + sum(counts) == 340
    assert min(counts) > 10 and "more than 4 times apart" in left_out
    assert "1 of 1 are cut to 64 subwords; --max-length sets it" in cut
    assert left_out in caplog.text and cut in caplog.text
    assert len(data[0].test) == 1 and data[0].test.sizes.max() <= 66
    with pytest.raises(ValueError, match="too long or too unequal: raise `max_length`"):
        load_pairs(settings(data=path, max_length=2))


def test_a_summarizer_cuts_long_sources_and_takes_any_ratio(tmp_path):
    path = write(
        tmp_path / "pairs.tsv",
        [f"{'many words ' * row} {row}\t{row} words" for row in range(1, 120)],
    )
    data = load_pairs(SummarizerSettings(data=path, vocabulary_size=300, max_length=64))
    assert len(data[0].train) + len(data[0].validation) + len(data[0].test) == 119
    assert data[0].train.sizes.max() == 65 and "(train)" in data[0].left_out[0]
    with pytest.raises(ValueError, match="Pairs must be given as .* Received: no `data`"):
        load_pairs(SummarizerSettings())


@pytest.mark.parametrize("vocabulary", ["joint", "separate"])
def test_what_is_said_before_training(vocabulary, tmp_path):
    data = load_pairs(settings(data=write(tmp_path / "pairs.tsv", LINES), vocabulary=vocabulary))
    first, parts, subwords = data[0].description.splitlines()
    counts = [len(part) for part in (data[0].train, data[0].validation, data[0].test)]
    assert first.endswith(
        "pairs.tsv: 300 pairs (source from column 1, target from column 2, no header)"
    )
    assert parts == "train {}  validation {}  test {}".format(*counts)
    assert (
        f"{data[1].source.size} of {'both sides' if vocabulary == 'joint' else 'source'}"
        in subwords
    )
    assert f"(at most {data[0].train.sources.sizes.max() - 1} and " in subwords

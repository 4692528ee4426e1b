"""The `data=` grammar of the sequence classifier: splits, labels, what is refused."""

import logging

import numpy as np
import pytest

from deepapps.data.sequences.encoders import loaded_encoder, stored_encoder
from deepapps.data.sequences.load import load_evaluation_sequences, load_sequences
from deepapps.tasks.sequence_classification import SequenceSettings


def reviews(folder, count=300, name="reviews.tsv", label=("good", "bad")):
    """A file of texts whose label follows from one word."""
    words = ("film", "story", "music", "end", "start")
    random = np.random.default_rng(0)
    lines = [
        f"the {' '.join(random.choice(words, random.integers(1, 9)))} {('joy', 'bore')[row % 2]} "
        f"{row}\t{label[row % 2]}"
        for row in range(count)
    ]
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def load(data, **settings):
    return load_sequences(SequenceSettings(data=str(data), **settings))


def test_the_sample_is_split_by_the_hash_of_the_name():
    data = load("sample")
    splits = data[0]
    sizes = [len(part) for part in (splits.train, splits.validation, splits.test)]
    assert sum(sizes) > 33_000 and sizes[0] > 7.5 * sizes[1] and sizes[0] > 7.5 * sizes[2]
    assert len(data[1].class_names) == 30
    parts = [set(part.raw) for part in (splits.train, splits.validation, splits.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == sum(sizes)
    assert "Noord-Korea" in set.union(*parts)


def test_the_split_does_not_depend_on_the_order_and_keeps_equal_texts_together(tmp_path):
    path = reviews(tmp_path)
    before = load(path)[0]
    with open(path) as file:
        lines = file.read().splitlines()
    with open(path, "w") as file:
        file.write("\n".join(lines[::-1] + lines[:100]) + "\n")
    after = load(path)[0]
    for part in ("train", "validation", "test"):
        assert set(getattr(before, part).raw) == set(getattr(after, part).raw)


def test_the_vocabulary_is_of_the_training_split_alone(tmp_path):
    splits = (data := load(reviews(tmp_path), minimum_count=1))[0]
    trained = {word for text in splits.train.raw for word in text.split()}
    assert set(data[1].encoder.tokenizer.words()) == trained | {"[PAD]", "[UNK]"}
    assert data[1].encoder.figures(splits.test.inputs)["unknown_tokens"] > 0


def test_a_word_must_occur_twice_but_where_vectors_are_given(tmp_path):
    path, vectors = reviews(tmp_path), tmp_path / "vectors.txt"  # its numbers occur once
    vectors.write_text("joy 1 0\ndelight 1 0\nNew York 0 1\ntedium 0 1\n")
    numbers = len(load(path)[0].train)
    data = load(path, embeddings=str(vectors))
    assert load(path)[1].encoder.tokenizer.size == 10
    assert data[1].encoder.tokenizer.words()[10 + numbers :] == ["delight", "tedium"]
    assert data[1].encoder.form()["vocabulary"] == 10 + numbers


def test_pairs_are_split_by_the_side_that_repeats(tmp_path):
    path = tmp_path / "pairs.tsv"
    rows = [f"question {row // 5}?\tanswer {row}\t{int(row % 5 == 0)}" for row in range(500)]
    path.write_text("\n".join(["question\tanswer\tlabel", *rows]) + "\n")
    data = load(path, text_column="question", second_text_column="answer")
    asked = [{question for question, _ in part.raw} for part in (data[0].train, data[0].test)]
    assert not asked[0] & asked[1]
    inputs, targets = data[0].train[np.arange(3)]
    assert inputs.shape[:2] == (3, 2) and inputs.dtype == targets.dtype == "int32"
    assert data[1].encoder.encode(("question 1?", "answer 9")).lengths.shape == (1, 2)
    assert data[1].encoder.encode(["question 1?\tanswer 9"] * 2).lengths.shape == (2, 2)
    with pytest.raises(ValueError, match="must be pairs of strings"):
        data[1].encoder.encode(["question"])


def test_many_labels(tmp_path):
    path = reviews(tmp_path, label=("good,old", "bad"))
    data = load(path, multi_label=True)
    assert data[1].class_names == ["bad", "good", "old"]
    assert {tuple(row) for row in data[0].train.targets.tolist()} == {(1, 0, 0), (0, 1, 1)}


def series(folder, **arrays):
    random = np.random.default_rng(0)
    lengths = random.integers(3, 12, 200)
    x = random.normal(5.0, 3.0, (200, 12, 2))
    x[np.arange(12) >= lengths[:, None]] = np.nan
    arrays = {"x": x, "y": np.arange(200) % 2, "class_names": ["up", "down"]} | arrays
    np.savez(folder / "series.npz", **arrays)
    return folder / "series.npz", arrays["x"], lengths


def test_series(tmp_path):
    path, x, lengths = series(tmp_path)
    data = load(path)
    assert data[1].class_names == ["down", "up"]
    inputs = data[0].train.inputs
    assert inputs.values.shape[1] == 3 and (inputs.values[:, 0] == 1).all()
    np.testing.assert_allclose(inputs.values[:, 1:].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(inputs.values[:, 1:].std(axis=0), 1, atol=1e-4)
    encoded = data[1].encoder.encode(x[:9])
    assert encoded.lengths.tolist() == lengths[:9].tolist()
    again = loaded_encoder(stored_encoder(data[1].encoder)).encode(x[0])
    np.testing.assert_allclose(again.values, encoded.values[: lengths[0]])
    with pytest.raises(ValueError, match="a step must have 2 features"):
        data[1].encoder.encode(np.ones((1, 4, 3)))


@pytest.mark.parametrize(
    "arrays, fault",
    [
        ({"x": np.ones((200, 3))}, "must be an array"),
        ({"x": np.full((200, 3, 1), np.nan)}, "example 1 has no steps"),
        (
            {"x": np.where(np.arange(3)[:, None] == 1, np.inf, np.ones((200, 3, 1)))},
            "NaN or infinite",
        ),
        ({"y": np.ones(200)}, "labels must be integers"),
        ({"y": np.arange(200)}, "have a name each"),
    ],
)
def test_series_that_do_not_fit(arrays, fault, tmp_path):
    path, *_ = series(tmp_path, **arrays)
    with pytest.raises(ValueError, match=fault) as error:
        load(path)
    assert str(path) in str(error.value)


def test_a_test_file_of_its_own(tmp_path):
    path, test = reviews(tmp_path), reviews(tmp_path, 40, "test.tsv")
    splits = load(path, test=test)[0]
    assert len(splits.test) == 40 and len(splits.train) + len(splits.validation) == 300
    assert len(load(path, test=test, validation=test)[0].train) == 300


def test_a_label_unseen_in_training(tmp_path, caplog):
    path, test = reviews(tmp_path), reviews(tmp_path, 40, "test.tsv", label=("good", "odd"))
    with pytest.raises(ValueError) as error:
        load(path, test=test)
    assert f"{test}: line 2: the label 'odd' does not occur in training (bad, good)." in str(
        error.value
    )
    with caplog.at_level(logging.WARNING):
        assert len(load(path, test=test, skip_bad_lines=True)[0].test) == 20
    assert "20 such examples left out" in caplog.text
    data = load(path)
    with pytest.raises(ValueError, match="line 2: the label 'odd'"):
        load_evaluation_sequences(test, data[1], SequenceSettings())


def test_cut_texts_and_lost_classes_are_reported(tmp_path, caplog):
    path = reviews(tmp_path)
    with open(path, "a") as file:
        file.write("word " * 9000 + "\tgood\n")
    with caplog.at_level(logging.WARNING):
        data = load(path)
    assert (
        data[0].left_out[-1] in caplog.text
        and "1 of 2" in caplog.text
        and "cut to 512 steps; --max-length sets it" in caplog.text
    )


def test_what_is_said_before_training(tmp_path):
    data = load(reviews(tmp_path), minimum_count=1)
    first, parts, classes, tokens = data[0].description.splitlines()
    train = data[0].train
    note = "(text from column 1, label from column 2, no header)"
    assert first.endswith(f"reviews.tsv: 300 examples in 2 classes {note}")
    assert parts.split()[:2] == ["train", str(len(train))]
    good = sum(text.split()[-2] == "joy" for text in train.raw)
    assert classes == f"train by class: bad {len(train) - good}, good {good}"
    size, most = data[1].encoder.tokenizer.size, train.inputs.lengths.max()
    assert tokens.startswith(f"words: {size} known, 0.00% unknown; ") and tokens.endswith(
        f"at most {most}"
    )


def test_what_is_said_of_series_and_of_many_labels(tmp_path):
    series = np.ones((60, 5, 3), "float32") * np.arange(60)[:, None, None]
    np.savez(tmp_path / "series.npz", x=series, y=np.arange(60)[:, None] // [20, 2] % 2)
    data = load(tmp_path / "series.npz", multi_label=True)
    *_, classes, steps = data[0].description.splitlines()
    assert (
        classes.startswith("train by class: 0 ")
        and steps == "steps of 3 features; 5.0 on average, at most 5"
    )


@pytest.mark.parametrize(
    "data, fault",
    [
        ("nowhere.tsv", "no such file"),
        ("samples", "Did you mean 'sample'?"),
        (".", "has no sub-folders"),
        ("one.tsv", "two different labels or more. Received: only 'good'"),
        ("two.tsv", "none falls into the"),
        ("model.bin", "is of no known kind"),
    ],
)
def test_what_is_refused(data, fault, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reviews(tmp_path, 20, "one.tsv", label=("good", "good"))
    reviews(tmp_path, 2, "two.tsv")
    (tmp_path / "model.bin").write_bytes(b"\0")
    with pytest.raises(ValueError) as error:
        load(data)
    assert fault in str(error.value) and str(error.value).startswith(data)

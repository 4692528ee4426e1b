"""The sequence classifier from a file of texts to answers, and through a kill."""

import html
import shutil
import signal

import numpy as np
import processes
import pytest
import resume_scenario as scenario

import deepapps

SMALL = {
    "network": "attention-lstm",
    "units": 8,
    "embedding_size": 8,
    "minimum_count": 1,
    "batch_size": 16,
    "progress": False,
}


def write_reviews(path, count=240):
    """Texts of many lengths whose label follows from one word."""
    random = np.random.default_rng(0)
    words = ("film", "story", "music", "end", "start")
    lines = []
    for row in range(count):
        text = [*random.choice(words, random.integers(2, 30)), ("joy", "bore")[row % 2]]
        random.shuffle(text)
        lines.append(f"{' '.join(text)}\t{('good', 'bad')[row % 2]}\n")
    path.write_text("".join(lines))
    return str(path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return deepapps.sequence_classifier(
        data=write_reviews(folder / "reviews.tsv"),
        epochs=6,
        learning_rate=0.02,
        output=folder / "run",
        **SMALL,
    )


def test_replicas_answer_the_same(trained):
    texts = ["a joy", "a bore , and a long one at that", "joy"]
    for one, two in zip(
        *(trained.predict(texts, True, s) for s in ("none", "mirrored:2")), strict=True
    ):
        assert one["label"] == two["label"]
        assert two["probabilities"] == pytest.approx(one["probabilities"], abs=1e-6)
    figures = trained.evaluate(strategy="mirrored:2")
    assert figures["confusion_matrix"] == trained.metrics["test"]["confusion_matrix"]


def test_it_learns_and_says_what_it_did_not_know(trained):
    figures = trained.metrics["test"]
    assert (
        figures["accuracy"] >= 0.9
        and 0 <= figures["unknown_tokens"] < 0.1
        and figures["cut_texts"] == 0
    )
    assert set(figures["per_class"]) == {"good", "bad"}


def test_its_report_shows_mistakes_with_their_texts_and_lengths(trained):
    lengths = trained.metrics["test"]["by_length"]
    assert sum(examples for _, _, examples, _ in lengths) == len(trained.task.data().test)
    page = trained.report().read_text(encoding="utf-8")
    assert trained.description[0].endswith(
        "in 2 classes (text from column 1, label from column 2, no header)"
    )
    assert trained.description[0] in html.unescape(page)
    assert "<h2>Length</h2>" in page and "<h2>Confusion matrix</h2>" in page
    for example in trained.examples:
        assert example["text"] in html.unescape(page) and "most attention: “" in example["text"]
    explained = deepapps.load_run(trained.path).explain("a film of joy")
    assert explained.label == "good" and explained.tokens == [["a", "film", "of", "joy"]]


def test_a_loaded_run_reads_raw_strings_one_or_thousands(trained):
    run = deepapps.load_run(trained.path)
    assert run.predict("a film of joy") == ["good"]
    texts = ["bore", "", "😀", "a joy", "film " * 2000 + "bore", "مرحبا", "joy\0joy"] * 150
    answers = run.predict(texts, probabilities=True)
    assert (
        len(answers) == len(texts)
        and answers[0]["label"] == "bad"
        and answers[3]["label"] == "good"
    )
    assert sum(answers[0]["probabilities"].values()) == pytest.approx(1)
    for text, answer in zip(texts[:7], answers, strict=False):
        (alone,) = run.predict([text], probabilities=True)
        assert alone["probabilities"] == pytest.approx(answer["probabilities"], abs=1e-5)
    with pytest.raises(ValueError, match="texts: must be strings. Received: 3"):
        run.predict(["a", 3])


def test_evaluate_gives_the_figures_of_the_training(trained):
    run = deepapps.load_run(trained.path)
    assert run.evaluate()["accuracy"] == trained.metrics["test"]["accuracy"]
    assert run.evaluate(run.settings.data)["accuracy"] >= 0.9


def test_the_command_line(trained, tmp_path):
    ended = processes.deepapps("predict", trained.path, "-", stdin="a joy\n\na bore\n")
    assert (ended.status, ended.out, ended.err) == (0, "good\n\nbad\n", "")
    ended = processes.deepapps("evaluate", trained.path, "--data", tmp_path / "none.tsv")
    assert ended.status == 2 and ended.err.count("\n") == 1 and "no such file" in ended.err


@pytest.mark.parametrize("content", ["[]", "{}", '{"inputs": "text", "tokenizer": {}}'])
def test_a_damaged_vocabulary(content, trained, tmp_path):
    folder = shutil.copytree(trained.path, tmp_path / "copy")
    (folder / "encoder.json").write_text(content)
    with pytest.raises(ValueError, match="encoder.json: is damaged"):
        deepapps.load_run(folder)


def test_many_labels(tmp_path):
    path = tmp_path / "tags.tsv"
    rows = [f"{'sun ' * (row % 2)}{'rain ' * (row % 3 == 0)}and more {row}\t" for row in range(240)]
    tags = [",".join(["dry"] * (row % 2) + ["wet"] * (row % 3 == 0)) for row in range(240)]
    path.write_text(
        "text\tlabels\n" + "".join(f"{row}{tag}\n" for row, tag in zip(rows, tags, strict=True))
    )
    run = deepapps.sequence_classifier(
        data=path,
        multi_label=True,
        epochs=8,
        learning_rate=0.02,
        output=tmp_path / "run",
        **SMALL | {"network": "cnn"},
    )
    assert run.metrics["test"]["accuracy"] >= 0.9 and run.metrics["test"]["micro_f1"] >= 0.9
    assert run.predict(["sun rain and more", "and more"]) == [["dry", "wet"], []]


def test_pairs_and_series_from_end_to_end(tmp_path):
    path = tmp_path / "pairs.csv"
    rows = [
        f"is it w{row % 97} or so,it is w{(row + row % 2) % 97} or so,{row % 2}"
        for row in range(200)
    ]
    path.write_text("\n".join(["question,answer,label", *rows]))
    columns = {"text_column": "question", "second_text_column": "answer"}
    options = SMALL | {"network": "cnn"}
    run = deepapps.sequence_classifier(
        data=path, epochs=1, output=tmp_path / "pairs", **columns, **options
    )
    assert set(run.predict(["is it w1\tit is w1", "w2\tw3"])) <= {"0", "1"}
    x = np.random.default_rng(0).normal(size=(200, 9, 2)) + 4 * (np.arange(200)[:, None, None] % 2)
    np.savez(tmp_path / "series.npz", x=x, y=np.arange(200) % 2)
    run = deepapps.sequence_classifier(
        data=tmp_path / "series.npz",
        epochs=3,
        output=tmp_path / "series",
        learning_rate=0.02,
        **options,
    )
    assert deepapps.load_run(run.path).predict([np.full((4, 2), 4.0), np.full((2, 2), 0.0)]) == [
        "1",
        "0",
    ]


def test_a_word_that_training_lacks_is_known_by_its_vector(tmp_path):
    vectors = {
        "joy": "1 0",
        "bore": "0 1",
        "film": "0 0",
        "story": "0 0",
        "music": "0 0",
        "delight": "1 0",
        "tedium": "0 1",
    }
    (tmp_path / "vectors.txt").write_text(
        "\n".join(f"{word} {row}" for word, row in vectors.items())
    )
    run = deepapps.sequence_classifier(
        data=write_reviews(tmp_path / "reviews.tsv"),
        embeddings=tmp_path / "vectors.txt",
        output=tmp_path / "run",
        epochs=6,
        learning_rate=0.02,
        **SMALL,
    )
    run = deepapps.load_run(run.path)
    assert run.predict(["film delight story", "film tedium story"]) == ["good", "bad"]
    assert run.explain("film delight story").label == "good"


def train_and_die(data, folder, strategy="none", calls=None):
    """Trains with everything that draws random numbers; kills this process after some calls."""
    deepapps.use_devices(2)
    deepapps.sequence_classifier(
        data=data,
        epochs=3,
        output=folder,
        resume=True,
        callbacks=[scenario.killer("after a call", calls)],
        strategy=strategy,
        steps_per_execution=2,
        checkpoint_seconds=0.0,
        ngrams=2,
        **SMALL | {"network": "cnn"},
    )


@pytest.mark.parametrize("strategy", ["none", pytest.param("mirrored:2", marks=pytest.mark.slow)])
def test_killed_and_resumed_it_ends_with_the_same_bits(strategy, tmp_path):
    data = write_reviews(tmp_path / "reviews.tsv")
    assert processes.run(train_and_die, data, tmp_path / "whole", strategy) == 0
    assert processes.run(train_and_die, data, tmp_path / "killed", strategy, 9) == -signal.SIGKILL
    assert processes.run(train_and_die, data, tmp_path / "killed", strategy) == 0
    scenario.assert_same(*(scenario.result(tmp_path / name) for name in ("whole", "killed")))

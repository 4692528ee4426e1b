"""The translator from a file of pairs to answers, and through a kill."""

import signal

import numpy as np
import processes
import pytest
import resume_scenario as scenario

import deepapps
import deepapps.networks.translation  # noqa: F401 (registers the models that the scenario loads)

WORDS = {
    "red": "rojo",
    "big": "grande",
    "old": "viejo",
    "dog": "perro",
    "cat": "gato",
    "house": "hogar",
    "two": "dos",
}
SMALL = {
    "units": 48,
    "vocabulary_size": 330,
    "batch_size": 16,
    "dropout": 0.0,
    "label_smoothing": 0.0,
    "use_ema": False,
    "progress": False,
}


def translated(sentence):
    """Word for word, in reverse order."""
    return " ".join(WORDS[word] for word in reversed(sentence.split()))


def write_pairs(path, count=420):
    random = np.random.default_rng(0)
    sentences = {" ".join(random.choice(list(WORDS), random.integers(1, 5))) for _ in range(count)}
    path.write_text(
        "".join(f"{sentence}\t{translated(sentence)}\n" for sentence in sorted(sentences))
    )
    return str(path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    data = write_pairs(folder / "pairs.tsv")
    return deepapps.translator(
        data=data, epochs=16, learning_rate=0.01, output=folder / "run", **SMALL
    )


@pytest.mark.parametrize("beam", [1, 3])
def test_replicas_translate_the_same(beam, trained):
    texts = [pair[0] for pair in trained.task.data().test.raw][:7]  # an odd number for two replicas
    alone, shared = (
        trained.predict(texts, True, strategy, beam=beam) for strategy in ("none", "mirrored:2")
    )
    assert [one["translation"] for one in shared] == [one["translation"] for one in alone]
    np.testing.assert_allclose(
        [one["score"] for one in shared], [one["score"] for one in alone], atol=1e-5
    )
    drawn = trained.predict(texts[:1] * 4, strategy="mirrored:2", temperature=5.0)
    assert drawn[:2] != drawn[2:]  # the replicas draw for themselves


def test_it_learns_and_the_figures_say_so(trained):
    figures = trained.metrics["test"]
    assert figures["exact_match"] >= 0.7 and figures["bleu"] > 60 and figures["chrf"] > 60
    assert figures["bleu_signature"].startswith("nrefs:1|case:mixed|eff:no|tok:13a")
    assert {"loss", "token_accuracy"} <= set(figures) and "exact_match_by_kind" not in figures
    best = max(line["val_bleu"] for line in trained.history)
    assert trained.evaluate(trained.settings.data, beam=1)["bleu"] > 60 < best


def test_a_loaded_run_translates_one_or_thousands(trained):
    run = deepapps.load_run(trained.path)
    assert run.predict("old red dog") == [translated("old red dog")]
    texts = ["big cat", "", "two house", "😀", "red " * 3000, "\n", "cat"] * 40
    answers = run.predict(texts, probabilities=True, beam=3)
    assert (
        len(answers) == len(texts)
        and answers[0]["translation"] == "gato grande" == answers[7]["translation"]
    )
    scores = [answers[0]["score"], *(other["score"] for other in answers[0]["alternatives"])]
    assert len(scores) == 3 and scores == sorted(scores, reverse=True) and scores[0] < 0
    for text, answer in zip(texts[:7], answers, strict=False):
        (alone,) = run.predict([text], probabilities=True, beam=3)
        assert alone["translation"] == answer["translation"]
        assert alone["score"] == pytest.approx(answer["score"], abs=1e-4)
    assert run.predict("red cat", prefix="perro") == run.predict(
        ["red cat"], prefix="perro", beam=1
    )
    assert run.predict("red cat", prefix="perro")[0].startswith("perro")
    drawn = {run.predict("red cat", temperature=5.0, seed=seed)[0] for seed in range(3)}
    assert len(drawn) > 1


def test_its_report_shows_samples_lengths_and_alignments(trained):
    figures, page = trained.metrics["test"], trained.report().read_text(encoding="utf-8")
    assert sum(count for _, _, count, _ in figures["by_length"]) == len(trained.task.data().test)
    groups = [example["group"] for example in trained.examples]
    assert groups.count("best") == len(figures["best"]) and groups.count("alignment") == 3
    for example in trained.examples[: len(figures["worst"]) + len(figures["best"])]:
        assert translated(example["source"]) == example["reference"]
        assert (example["answer"] == example["reference"]) == (
            example["score"] == pytest.approx(100)
        )
        assert f'<dd dir="auto">{example["answer"]}</dd>' in page
    for title in ("Data", "Length", "Alignments", "Best samples"):
        assert f"<h2>{title}</h2>" in page
    assert trained.description[1] in page and "tok:13a" in page
    assert (trained.path / "report" / "alignment_3.png").exists()


def test_it_looks_at_the_word_that_it_translates(trained, tmp_path):
    """The order is reversed, so the alignment is."""
    found = deepapps.load_run(trained.path).explain("old red dog", target="perro rojo viejo")
    assert found.source == ["old", "red", "dog", "(end)"] and found.translation == [
        "perro",
        "rojo",
        "viejo",
    ]
    assert found.weights.argmax(axis=1).tolist() == [2, 1, 0]
    own, other = (
        trained.explain("old red dog"),
        trained.explain("old red dog", target="gato rojo viejo"),
    )
    assert own.text == translated("old red dog") and found.score == own.score > other.score
    with pytest.raises(ValueError, match="One text is explained at a time"):
        trained.explain(["cat", "dog"])


def test_settings_of_answers_are_checked(trained):
    with pytest.raises(ValueError, match="Unknown setting 'beams'. Did you mean 'beam'"):
        trained.predict("cat", beams=2)
    with pytest.raises(ValueError, match="`beam` must be at least 1. Received: beam=0"):
        trained.evaluate(beam=0)
    with pytest.raises(
        ValueError,
        match="`temperature` draws a single sequence: `beam` must be 1. Received: beam=2",
    ):
        trained.predict("cat", beam=2, temperature=1.0)
    assert len(trained.predict("cat", probabilities=True)[0]["alternatives"]) == 3


def test_the_command_line(trained, tmp_path):
    ended = processes.deepapps(
        "predict", trained.path, "-", "--beam", 2, stdin="big cat\n\nred dog\n"
    )
    assert (ended.status, ended.out, ended.err) == (0, "gato grande\n\nperro rojo\n", "")
    ended = processes.deepapps("evaluate", trained.path, "--data", "none.en:none.es")
    assert ended.status == 2 and ended.err.count("\n") == 1 and "no such file" in ended.err
    path = tmp_path / "why.html"
    ended = processes.deepapps(
        "explain", trained.path, "big cat", "--to", path, "--target", "gato grande"
    )
    assert ended == (0, f"{path}\n", "") and path.read_text().count('<th scope="row">') == 2


def test_a_transformer_with_two_vocabularies_and_batches_by_tokens(tmp_path):
    run = deepapps.translator(
        data=write_pairs(tmp_path / "pairs.tsv"),
        network="transformer",
        depth=1,
        vocabulary="separate",
        reverse=True,
        batch_tokens=256,
        epochs=3,
        learning_rate=0.003,
        output=tmp_path / "run",
        **SMALL,
    )
    first, *_, last = run.history
    assert last["val_loss"] < 0.8 * first["val_loss"]
    run = deepapps.load_run(run.path)
    assert run.evaluate()["bleu"] == pytest.approx(run.metrics["test"]["bleu"])


def train_and_die(data, folder, network, strategy="none", calls=None):
    """Trains with dropout; kills this process after some calls."""
    deepapps.use_devices(2)
    deepapps.translator(
        data=data,
        network=network,
        epochs=3,
        output=folder,
        resume=True,
        callbacks=[scenario.killer("after a call", calls)],
        strategy=strategy,
        steps_per_execution=2,
        checkpoint_seconds=0.0,
        batch_tokens=200,
        **SMALL | {"units": 8, "dropout": 0.3},
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "network, strategy", [("attention-lstm", "none"), ("transformer", "mirrored:2")]
)
def test_killed_and_resumed_it_ends_with_the_same_bits(network, strategy, tmp_path):
    data = write_pairs(tmp_path / "pairs.tsv", 200)
    assert processes.run(train_and_die, data, tmp_path / "whole", network, strategy) == 0
    assert (
        processes.run(train_and_die, data, tmp_path / "killed", network, strategy, 9)
        == -signal.SIGKILL
    )
    assert processes.run(train_and_die, data, tmp_path / "killed", network, strategy) == 0
    scenario.assert_same(*(scenario.result(tmp_path / name) for name in ("whole", "killed")))

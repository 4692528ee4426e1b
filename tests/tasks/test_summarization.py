"""The summarizer: the translator measured by ROUGE, with answers of another name."""

import numpy as np
import pytest

import deepapps
from deepapps.metrics.rouge import Rouge


def write_texts(path, count=300):
    """Texts of which the first two words are the summary."""
    random, words = (
        np.random.default_rng(0),
        ("sun", "rain", "snow", "wind", "cloud", "storm", "hail", "fog"),
    )
    texts = [random.choice(words, random.integers(3, 9)) for _ in range(count)]
    path.write_text("".join(f"{' '.join(text)}\t{' '.join(text[:2])}\n" for text in texts))
    return str(path)


def test_from_texts_to_summaries(tmp_path):
    run = deepapps.summarizer(
        data=write_texts(tmp_path / "texts.tsv"),
        units=16,
        vocabulary_size=300,
        epochs=2,
        batch_size=16,
        learning_rate=0.01,
        output=tmp_path / "run",
        progress=False,
    )
    figures, (texts, summaries) = run.metrics["test"], zip(*run.task.data().test.raw, strict=True)
    answers = run.predict(texts, probabilities=True)
    assert set(answers[0]) == {"summary", "score", "alternatives"}
    expected = Rouge().figures([answer["summary"] for answer in answers], summaries)
    assert expected == {
        name: pytest.approx(figures[name]) for name in ("rouge_1", "rouge_2", "rouge_l")
    }
    assert "val_rouge_l" in run.history[-1] and "bleu" not in figures
    assert "ROUGE-L" in (run.path / "report" / "index.html").read_text()


def test_it_has_no_sample(tmp_path):
    with pytest.raises(ValueError, match="must name pairs of a text and its summary"):
        deepapps.summarizer(output=tmp_path / "none", progress=False)

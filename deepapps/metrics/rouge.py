"""ROUGE of summaries."""

import numpy as np
import sacrebleu
from rouge_score import rouge_scorer

from deepapps.metrics.bleu import tokenizer_for
from deepapps.metrics.scripts import scripts_of


class Rouge:
    """ROUGE-1, -2 and -L (Lin 2004): F1 of common words, pairs of words, and longest common
    sequences of words.

    Means over the texts, 0 to 100, by the package `rouge-score`: in lower case, no stemming.

    Args:
        language: Code of the language. Words are found as in English by default, where the first
            references are mostly of its letters; else as for BLEU.
    """

    name_of_each = "ROUGE-L"

    def __init__(self, language=None):
        self._language, self._scorer = language, None

    def main(self, ours, references):
        """ROUGE-L."""
        return float(np.mean(self.of_each(ours, references)))

    def figures(self, ours, references):
        """`rouge_1`, `rouge_2` and `rouge_l`."""
        return {f"rouge_{kind}": float(np.mean(self._f1(kind, ours, references))) for kind in "12l"}

    def of_each(self, ours, references):
        """The ROUGE-L of each text."""
        return self._f1("l", ours, references)

    def _f1(self, kind, ours, references):
        scorer = self._scorer_for(references)
        scores = (scorer.score(ref, text) for text, ref in zip(ours, references, strict=True))
        return [100 * score[f"rouge{kind.upper()}"].fmeasure for score in scores]

    def _scorer_for(self, references):
        if self._scorer is None:
            is_english = (self._language or "en").startswith("en")
            scripts = scripts_of(references)
            has_its_letters = scripts.get("LATIN", 0) >= 0.5 or not scripts
            as_english = is_english and has_its_letters
            words = None if as_english else _Words(self._language, references)
            self._scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=words)
        return self._scorer


class _Words:
    """The tokenizer of BLEU in the form that ROUGE wants."""

    def __init__(self, language, texts):
        self._tokenizer = sacrebleu.BLEU(tokenize=tokenizer_for(language, texts)).tokenizer

    def tokenize(self, text):
        return self._tokenizer(text.lower()).split()

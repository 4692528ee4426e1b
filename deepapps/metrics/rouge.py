"""ROUGE of summaries."""

import numpy as np
import sacrebleu
from rouge_score import rouge_scorer

from deepapps.metrics.bleu import tokenizer_for


class Rouge:
    """ROUGE-1, -2 and -L (Lin 2004): F1 of common words, pairs of words, and longest common
    sequences of words.

    Means over the texts, 0 to 100, by the package `rouge-score`: in lower case, no stemming.

    Args:
        language: Code of the language. Words are found as in English by default; for another
            language as for BLEU.
    """

    name_of_each = "ROUGE-L"

    def __init__(self, language=None):
        words = None if (language or "en").startswith("en") else _Words(language)
        self._scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=words)

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
        scores = (self._scorer.score(ref, text) for text, ref in zip(ours, references, strict=True))
        return [100 * score[f"rouge{kind.upper()}"].fmeasure for score in scores]


class _Words:
    """The tokenizer of BLEU in the form that ROUGE wants."""

    def __init__(self, language):
        self._tokenizer = sacrebleu.BLEU(tokenize=tokenizer_for(language)).tokenizer

    def tokenize(self, text):
        return self._tokenizer(text.lower()).split()

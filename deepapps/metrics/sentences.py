"""Figures of translators and summarizers, from their sentences and the references."""

import numpy as np

from deepapps.metrics.classification import parts_by_length

SAMPLES = 6  # best ones, and worst ones
# of sacreBLEU, for languages written without spaces
_TOKENIZERS = {"zh": "zh", "ja": "char", "th": "char", "lo": "char", "km": "char", "my": "char"}


class Bleu:
    """BLEU and chrF by sacreBLEU (Post 2018): raw text against raw text, 0 to 100.

    Args:
        language: Code of the language, which says how words are found: Chinese has a tokenizer of its own, and
            languages written without spaces are read by characters. Defaults to none: words as in English.
    """

    name_of_each = "chrF"

    def __init__(self, language=None):
        import sacrebleu

        self._bleu = sacrebleu.BLEU(tokenize=tokenizer_for(language))
        self._chrf = sacrebleu.CHRF()

    def main(self, ours, references):
        """BLEU of all sentences together."""
        return self._bleu.corpus_score(ours, [references]).score

    def figures(self, ours, references):
        """`bleu`, `chrf`, and `bleu_signature`: what BLEU was measured with, as sacreBLEU writes it."""
        return {
            "bleu": self.main(ours, references),
            "chrf": self._chrf.corpus_score(ours, [references]).score,
            "bleu_signature": str(self._bleu.get_signature()),
        }

    def of_each(self, ours, references):
        """The chrF of each sentence, which says more of a single short one than BLEU."""
        pairs = zip(ours, references, strict=True)
        return [self._chrf.sentence_score(text, [reference]).score for text, reference in pairs]


class Rouge:
    """ROUGE-1, -2 and -L (Lin 2004): F1 of common words, pairs of words, and longest common sequences of words.

    Means over the texts, 0 to 100, by the package `rouge-score`: in lower case, no stemming.

    Args:
        language: Code of the language. Words are found as in English by default; for another language
            as for BLEU.
    """

    name_of_each = "ROUGE-L"

    def __init__(self, language=None):
        from rouge_score import rouge_scorer

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
        import sacrebleu

        self._tokenizer = sacrebleu.BLEU(tokenize=tokenizer_for(language)).tokenizer

    def tokenize(self, text):
        return self._tokenizer(text.lower()).split()


def tokenizer_for(language):
    """The name of sacreBLEU's tokenizer for the code of a language, such as "zh_Hant"; None is read as English."""
    return _TOKENIZERS.get((language or "").replace("-", "_").split("_")[0], "13a")


def sentence_figures(metric, ours, references, sizes, kinds=None):
    """How well sentences fit their references.

    Args:
        metric: A `Bleu` or `Rouge`.
        ours, references: N strings each, N at least 1.
        sizes: How long each source is, `(N,)`.
        kinds: For each sentence of what kind it is. Defaults to none.
    Returns: A dict of the `figures` of the metric, and
        exact_match: Share of the sentences that equal their reference, 0 to 1.
        exact_match_by_kind: The same for each kind; only with kinds.
        by_length: `[shortest, longest, sentences, main figure]` of five parts by the length of the source.
        best, worst: `{index, answer, score}` of at most six sentences each; the worst are no exact matches.
    """
    equal = exact_matches(ours, references)
    figures = metric.figures(ours, references) | {"exact_match": float(equal.mean())}
    if kinds is not None:
        kinds = np.asarray(kinds)
        by_kind = {kind: float(equal[kinds == kind].mean()) for kind in sorted(set(kinds.tolist()))}
        figures["exact_match_by_kind"] = by_kind
    figures["by_length"] = parts_by_length(sizes, lambda part: metric.main(*_taken(part, ours, references)))
    scores = np.array(metric.of_each(ours, references))
    order = np.lexsort((-np.asarray(sizes), -scores))  # the best first, of equal ones the longest
    best, rest = order[:SAMPLES], order[SAMPLES:]
    worst = rest[~equal[rest]][::-1][:SAMPLES]
    for name, places in {"best": best, "worst": worst}.items():
        figures[name] = [{"index": int(i), "answer": ours[i], "score": float(scores[i])} for i in places]
    return figures


def exact_matches(ours, references):
    """Which sentences equal their reference, boolean `(N,)`."""
    return np.array([text == reference for text, reference in zip(ours, references, strict=True)])


def _taken(part, *lists):
    return [[texts[place] for place in np.flatnonzero(part)] for texts in lists]

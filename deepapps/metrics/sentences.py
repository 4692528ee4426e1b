"""The metrics of translators and summarizers, from their sentences and the references. Imports
no TensorFlow.
"""

import numpy as np

from deepapps.metrics.lengths import parts_by_length

SAMPLES = 6  # best ones, and worst ones


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
        by_length: `[shortest, longest, sentences, main figure]` of five parts by the length of the
            source.
        best, worst: `{index, answer, score}` of at most six sentences each; the worst are no exact
            matches.
    """
    equal = exact_matches(ours, references)
    figures = metric.figures(ours, references) | {"exact_match": float(equal.mean())}
    if kinds is not None:
        kinds = np.asarray(kinds)
        by_kind = {kind: float(equal[kinds == kind].mean()) for kind in sorted(set(kinds.tolist()))}
        figures["exact_match_by_kind"] = by_kind
    figures["by_length"] = parts_by_length(
        sizes, lambda part: metric.main(*_taken(part, ours, references))
    )
    scores = np.array(metric.of_each(ours, references))
    order = np.lexsort((-np.asarray(sizes), -scores))  # the best first, of equal ones the longest
    best, rest = order[:SAMPLES], order[SAMPLES:]
    worst = rest[~equal[rest]][::-1][:SAMPLES]
    for name, places in {"best": best, "worst": worst}.items():
        figures[name] = [
            {"index": int(i), "answer": ours[i], "score": float(scores[i])} for i in places
        ]
    return figures


def exact_matches(ours, references):
    """Which sentences equal their reference, boolean `(N,)`."""
    return np.array([text == reference for text, reference in zip(ours, references, strict=True)])


def _taken(part, *lists):
    return [[texts[place] for place in np.flatnonzero(part)] for texts in lists]

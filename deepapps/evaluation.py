"""Figures of classifiers, from their probabilities on labelled examples, and of translators, from their sentences."""

import numpy as np


def classification_figures(probabilities, labels, class_names, top_k):
    """How well `probabilities` fit `labels`, in plain Python values that JSON can hold.

    Args:
        probabilities: Floats `(N, C)`, N at least 1. Where classes tie, the first one is taken as
            the answer.
        labels: Integers `(N,)`, the true class of each example, 0 to C - 1.
        class_names: The C different names of the classes.
        top_k: The k of `top_k_accuracy`, at least 1. More than C counts as C.

    Returns: A dict of
        accuracy, top_k_accuracy: Shares of the examples, 0 to 1.
        precision, recall, f1: Plain means over all C classes (macro), 0 to 1. A class that is never
            predicted has precision 0, one that never occurs has recall 0.
        per_class: `{name: {precision, recall, f1, support}}`; support in examples.
        confusion_matrix: C lists of C counts; rows are true classes, columns predicted ones.

    Raises: ValueError when shapes, labels or names do not fit together.
    """
    from sklearn.metrics import precision_recall_fscore_support

    probabilities, labels = np.asarray(probabilities, dtype=float), np.asarray(labels)
    names = [str(name) for name in class_names]
    _check(probabilities, labels, names, top_k)
    ranked = np.argsort(-probabilities, axis=1, kind="stable")  # (N, C), the likeliest first
    options = {"labels": range(len(names)), "zero_division": 0}
    columns = precision_recall_fscore_support(labels, ranked[:, 0], **options)
    precision, recall, f1, support = (column.tolist() for column in columns)
    rows = zip(precision, recall, f1, support, strict=True)
    return {
        "accuracy": float(np.mean(ranked[:, 0] == labels)),
        "precision": float(np.mean(precision)),
        "recall": float(np.mean(recall)),
        "f1": float(np.mean(f1)),
        "top_k_accuracy": float(np.mean(np.any(ranked[:, :top_k] == labels[:, None], axis=1))),
        "per_class": {name: _class_figures(*row) for name, row in zip(names, rows, strict=True)},
        "confusion_matrix": _confusion_matrix(labels, ranked[:, 0], len(names)),
    }


def _class_figures(precision, recall, f1, support):
    return {"precision": precision, "recall": recall, "f1": f1, "support": support}


def _confusion_matrix(labels, answers, classes):
    counts = np.zeros((classes, classes), dtype=int)
    np.add.at(counts, (labels, answers), 1)
    return counts.tolist()


def _check(probabilities, labels, names, top_k):
    if probabilities.ndim != 2 or not len(probabilities) or probabilities.shape[1] != len(names):
        raise ValueError(
            f"`probabilities` must be (examples, {len(names)} classes). Received: {probabilities.shape}"
        )
    if labels.shape != probabilities.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"`labels` must be {len(probabilities)} integers. Received: {labels.dtype} {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= len(names):
        raise ValueError(
            f"`labels` must lie between 0 and {len(names) - 1}. Received: {labels.min()} to {labels.max()}"
        )
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"`class_names` must all differ. Received {repeated!r} more than once.")
    if top_k < 1:
        raise ValueError(f"`top_k` must be at least 1. Received: top_k={top_k}")


def multi_label_figures(probabilities, targets, class_names, threshold=0.5):
    """How well `probabilities` fit examples that have any number of labels.

    Args:
        probabilities: Floats `(N, C)`, of each class by itself.
        targets: 0 and 1, `(N, C)`.
        class_names: The C different names of the classes.
        threshold: The least probability at which a label counts as found.
    Returns: A dict of
        accuracy: Share of the examples whose labels are all found, and no other.
        precision, recall, f1: Plain means over all classes (macro); micro_f1: over all labels.
        per_class: `{name: {precision, recall, f1, support}}`.
    """
    from sklearn.metrics import precision_recall_fscore_support

    found, targets = np.asarray(probabilities) >= threshold, np.asarray(targets) > 0
    columns = precision_recall_fscore_support(targets, found, zero_division=0)
    precision, recall, f1, support = (column.tolist() for column in columns)
    micro = precision_recall_fscore_support(targets, found, average="micro", zero_division=0)
    rows = zip(precision, recall, f1, support, strict=True)
    return {
        "accuracy": float(np.mean(np.all(found == targets, axis=1))),
        "precision": float(np.mean(precision)),
        "recall": float(np.mean(recall)),
        "f1": float(np.mean(f1)),
        "micro_f1": float(micro[2]),
        "per_class": {name: _class_figures(*row) for name, row in zip(class_names, rows, strict=True)},
    }


def translation_figures(translations, references, kinds=None, language=None):
    """How well sentences fit their references, by sacreBLEU (Post 2018): raw text against raw text.

    Args:
        translations, references: N strings each, N at least 1.
        kinds: For each sentence of what kind it is. Defaults to none.
        language: Code of the language, which says how BLEU finds words: Chinese has a tokenizer of its own, and
            languages written without spaces are read by characters. Defaults to none: words as in English.
    Returns: A dict of
        bleu, chrf: 0 to 100.
        exact_match: Share of the sentences that equal their reference, 0 to 1.
        exact_match_by_kind: The same for each kind; only with kinds.
        bleu_signature: What BLEU was measured with, as sacreBLEU writes it.
    """
    import sacrebleu

    tokenizer = {"zh": "zh", "ja": "char", "th": "char", "lo": "char", "km": "char", "my": "char"}
    bleu = sacrebleu.BLEU(tokenize=tokenizer.get((language or "").replace("-", "_").split("_")[0], "13a"))
    score = bleu.corpus_score(translations, [references])
    equal = np.array([ours == theirs for ours, theirs in zip(translations, references, strict=True)])
    figures = {
        "bleu": score.score,
        "chrf": sacrebleu.corpus_chrf(translations, [references]).score,
        "exact_match": float(equal.mean()),
    }
    if kinds is not None:
        kinds = np.asarray(kinds)
        by_kind = {kind: float(equal[kinds == kind].mean()) for kind in sorted(set(kinds.tolist()))}
        figures["exact_match_by_kind"] = by_kind
    return figures | {"bleu_signature": str(bleu.get_signature())}

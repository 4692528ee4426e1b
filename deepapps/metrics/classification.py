"""Figures of classifiers, from their probabilities on labelled examples."""

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

BINS = 15  # of the calibration error, as in Guo et al. (2017)
MISTAKES = 24
ANSWERS = 3


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
        precision, recall, f1: Plain means (macro), 0 to 1, over the classes that occur among the
            labels or the answers. A class that is never predicted has precision 0, one that never
            occurs has recall 0.
        calibration_error: The expected calibration error (Naeini et al. 2015, "Obtaining well
            calibrated probabilities using Bayesian binning"; Guo et al. 2017, "On calibration of
            modern neural networks"): `sum over bins of support / N * |accuracy - confidence|`, 0 to
            1, where confidence is the probability of the answer, in 15 bins of equal width.
        per_class: `{name: {precision, recall, f1, support}}`; support in examples.
        confusion_matrix: C lists of C counts; rows are true classes, columns predicted ones.
        calibration: `{up_to, confidence, accuracy, support}` of each of those bins that is not
            empty.
        mistakes: The 24 worst, those whose true class got the least probability: `{index, label,
            probability, answers}`; the place of the example, its true class, that one's
            probability, and the three likeliest classes with theirs.

    Raises: ValueError when shapes, labels or names do not fit together.
    """
    probabilities, labels = np.asarray(probabilities, dtype=float), np.asarray(labels)
    names = [str(name) for name in class_names]
    _check(probabilities, labels, names, top_k)
    ranked = np.argsort(-probabilities, axis=1, kind="stable")  # (N, C), the likeliest first
    options = {"labels": range(len(names)), "zero_division": 0}
    columns = precision_recall_fscore_support(labels, ranked[:, 0], **options)
    precision, recall, f1, support = (column.tolist() for column in columns)
    rows = zip(precision, recall, f1, support, strict=True)
    occurs = np.union1d(labels, ranked[:, 0])
    error, bins = calibration(probabilities.max(axis=1), ranked[:, 0] == labels)
    return {
        "accuracy": float(np.mean(ranked[:, 0] == labels)),
        "precision": float(np.mean(columns[0][occurs])),
        "recall": float(np.mean(columns[1][occurs])),
        "f1": float(np.mean(columns[2][occurs])),
        "top_k_accuracy": float(np.mean(np.any(ranked[:, :top_k] == labels[:, None], axis=1))),
        "calibration_error": error,
        "per_class": {name: _class_figures(*row) for name, row in zip(names, rows, strict=True)},
        "confusion_matrix": confusion_matrix(
            labels, ranked[:, 0], labels=range(len(names))
        ).tolist(),
        "calibration": bins,
        "mistakes": _mistakes(probabilities, labels, ranked, names),
    }


def _class_figures(precision, recall, f1, support):
    return {"precision": precision, "recall": recall, "f1": f1, "support": support}


def calibration(confidence, correct):
    """The expected calibration error, and the bins it is made of.

    Args:
        confidence: The probability of each answer, `(N,)`.
        correct: Whether it was right, boolean `(N,)`.
    Returns: the error, and a list of `{up_to, confidence, accuracy, support}`, one dict for each of
        `BINS` bins that is not empty; a bin holds its upper edge.
    """
    edges = np.linspace(0, 1, BINS + 1)[1:]
    places = np.searchsorted(edges[:-1], confidence)
    bins = []
    for place in np.unique(places):
        inside = places == place
        bins.append(
            {
                "up_to": float(edges[place]),
                "confidence": float(np.mean(confidence[inside])),
                "accuracy": float(np.mean(correct[inside])),
                "support": int(np.sum(inside)),
            }
        )
    gaps = [row["support"] * abs(row["accuracy"] - row["confidence"]) for row in bins]
    return sum(gaps) / len(confidence), bins


def _mistakes(probabilities, labels, ranked, names):
    of_label = probabilities[np.arange(len(labels)), labels]
    wrong = np.flatnonzero(ranked[:, 0] != labels)
    worst = wrong[np.argsort(of_label[wrong], kind="stable")[:MISTAKES]]
    return [
        {
            "index": int(index),
            "label": names[labels[index]],
            "probability": float(of_label[index]),
            "answers": {
                names[place]: float(probabilities[index, place])
                for place in ranked[index, :ANSWERS]
            },
        }
        for index in worst
    ]


def _check(probabilities, labels, names, top_k):
    if probabilities.ndim != 2 or not len(probabilities) or probabilities.shape[1] != len(names):
        raise ValueError(
            f"`probabilities` must be (examples, {len(names)} classes). Received: "
            f"{probabilities.shape}"
        )
    if labels.shape != probabilities.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"`labels` must be {len(probabilities)} integers. Received: {labels.dtype} "
            f"{labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= len(names):
        raise ValueError(
            f"`labels` must lie between 0 and {len(names) - 1}. Received: {labels.min()} to "
            f"{labels.max()}"
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
        precision, recall, f1: Plain means (macro) over the classes that occur among the targets or
            the answers, 0 where none does; micro_f1: over all labels.
        per_class: `{name: {precision, recall, f1, support}}`.
    """
    found, targets = np.asarray(probabilities) >= threshold, np.asarray(targets) > 0
    options = {"zero_division": 0}
    if found.shape[1] == 1:  # scikit-learn takes a single column for two classes, no and yes
        options["labels"] = [True]
    columns = precision_recall_fscore_support(targets, found, **options)
    precision, recall, f1, support = (column.tolist() for column in columns)
    micro = precision_recall_fscore_support(targets, found, average="micro", **options)
    rows = zip(precision, recall, f1, support, strict=True)
    occurs = np.any(targets | found, axis=0)
    means = [float(np.mean(column[occurs])) if occurs.any() else 0.0 for column in columns[:3]]
    return {
        "accuracy": float(np.mean(np.all(found == targets, axis=1))),
        **dict(zip(("precision", "recall", "f1"), means, strict=True)),
        "micro_f1": float(micro[2]),
        "per_class": {
            name: _class_figures(*row) for name, row in zip(class_names, rows, strict=True)
        },
    }

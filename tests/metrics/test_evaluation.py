"""The figures of a classifier against NumPy, written out from their definitions."""

import json

import keras
import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from deepapps.data.source import ArraySource
from deepapps.inference.predictor import Predictor
from deepapps.metrics.classification import (
    calibration,
    classification_figures,
    multi_label_figures,
)
from deepapps.metrics.lengths import parts_by_length

NAMES = ["ant", "bee", "cat", "dog", "elk"]


def by_hand(probabilities, labels, top_k):
    """Macro precision, recall and f1, accuracy and top-k accuracy, class by class."""
    answers = probabilities.argmax(axis=1)
    precision, recall, f1 = [], [], []
    for c in range(probabilities.shape[1]):
        hits = np.sum((answers == c) & (labels == c))
        predicted, occurring = np.sum(answers == c), np.sum(labels == c)
        precision.append(hits / predicted if predicted else 0.0)
        recall.append(hits / occurring if occurring else 0.0)
        f1.append(2 * hits / (predicted + occurring) if predicted + occurring else 0.0)
    best = [np.argsort(-row)[:top_k] for row in probabilities]
    return {
        "accuracy": np.mean(answers == labels),
        "precision": np.mean(precision),
        "recall": np.mean(recall),
        "f1": np.mean(f1),
        "top_k_accuracy": np.mean([label in top for label, top in zip(labels, best, strict=True)]),
    }


def assert_scalars(figures, expected):
    for name, value in expected.items():
        assert figures[name] == pytest.approx(value, abs=1e-12), name


def test_figures_equal_their_definitions():
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet(np.ones(5), 211)
    probabilities[:, 4] = 0  # elk is never predicted
    labels = rng.choice([0, 1, 3, 4], 211)  # cat never occurs
    figures = classification_figures(probabilities, labels, NAMES, top_k=2)
    assert_scalars(figures, by_hand(probabilities, labels, 2))
    answers = probabilities.argmax(axis=1)
    counts = [
        [int(np.sum((labels == row) & (answers == column))) for column in range(5)]
        for row in range(5)
    ]
    assert figures["confusion_matrix"] == counts
    assert list(figures["per_class"]) == NAMES
    assert [figures["per_class"][name]["support"] for name in NAMES] == np.bincount(
        labels, minlength=5
    ).tolist()
    assert figures["per_class"]["cat"] == {"precision": 0, "recall": 0, "f1": 0, "support": 0}
    assert (
        figures["per_class"]["elk"]["precision"] == 0 and figures["per_class"]["elk"]["support"] > 0
    )


def test_a_class_that_does_not_occur_counts_in_no_mean():
    perfect = np.eye(5)[[0, 1, 1]]
    figures = classification_figures(perfect, np.array([0, 1, 1]), NAMES, top_k=1)
    assert_scalars(figures, dict.fromkeys(["accuracy", "precision", "recall", "f1"], 1))
    figures = multi_label_figures(perfect, perfect, NAMES)
    assert_scalars(figures, dict.fromkeys(["accuracy", "precision", "recall", "f1"], 1))
    nothing = multi_label_figures(np.zeros((2, 5)), np.zeros((2, 5)), NAMES)
    assert_scalars(nothing, {"accuracy": 1, "precision": 0, "f1": 0})


def test_a_small_case_counted_by_eye():
    probabilities = np.eye(3)[[0, 0, 1, 1, 1, 2]]
    figures = classification_figures(probabilities, [0, 1, 1, 1, 2, 2], ["a", "b", "c"], top_k=1)
    assert figures["confusion_matrix"] == [[1, 0, 0], [1, 2, 0], [0, 1, 1]]
    assert figures["per_class"]["b"] == pytest.approx(
        {"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "support": 3}
    )
    assert_scalars(
        figures, {"accuracy": 4 / 6, "precision": (1 / 2 + 2 / 3 + 1) / 3, "top_k_accuracy": 4 / 6}
    )


def test_perfect_and_constant_predictors():
    labels = np.array([0, 1, 2, 3, 4, 4, 4, 4])
    perfect = classification_figures(np.eye(5)[labels], labels, NAMES, top_k=1)
    assert_scalars(
        perfect, dict.fromkeys(["accuracy", "precision", "recall", "f1", "top_k_accuracy"], 1)
    )
    constant = classification_figures(np.tile(np.eye(5)[4], (8, 1)), labels, NAMES, top_k=1)
    assert_scalars(constant, {"accuracy": 0.5, "recall": 0.2, "precision": 0.1, "f1": 2 / 3 / 5})


def test_ties_go_to_the_first_class_and_do_not_flatter_top_k():
    figures = classification_figures(np.full((5, 5), 0.2), np.arange(5), NAMES, top_k=2)
    assert_scalars(figures, {"accuracy": 0.2, "top_k_accuracy": 0.4})
    assert figures["per_class"]["ant"]["recall"] == 1


def test_the_calibration_error_counted_by_eye():
    """Two bins: 0.9, 0.9, right and wrong; 0.6, right. (2 * |0.5 - 0.9| + 1 * |1 - 0.6|) / 3 =
    0.4.
    """
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]])
    figures = classification_figures(probabilities, [0, 1, 1], ["a", "b"], top_k=1)
    assert figures["calibration_error"] == pytest.approx(0.4)
    assert figures["calibration"] == [
        pytest.approx({"up_to": 9 / 15, "confidence": 0.6, "accuracy": 1, "support": 1}),
        pytest.approx({"up_to": 14 / 15, "confidence": 0.9, "accuracy": 0.5, "support": 2}),
    ]


def test_the_bins_are_those_of_scikit_learn():
    rng = np.random.default_rng(4)
    confidence = np.concatenate([rng.uniform(0.1, 1, 300), np.arange(1, 16) / 15])  # the edges, too
    correct = rng.uniform(size=315) < confidence
    error, bins = calibration(confidence, correct)
    accuracy, mean = calibration_curve(correct, confidence, n_bins=15)
    np.testing.assert_allclose([row["accuracy"] for row in bins], accuracy)
    np.testing.assert_allclose([row["confidence"] for row in bins], mean)
    support = np.array([row["support"] for row in bins])
    assert support.sum() == 315 and error == pytest.approx(
        np.sum(support * abs(accuracy - mean)) / 315
    )


def test_a_sure_and_right_model_is_calibrated_and_makes_no_mistakes():
    figures = classification_figures(np.eye(3), np.arange(3), ["a", "b", "c"], top_k=1)
    assert figures["calibration_error"] == 0 and figures["mistakes"] == []
    wrong = classification_figures(np.eye(3), (np.arange(3) + 1) % 3, ["a", "b", "c"], top_k=1)
    assert wrong["calibration_error"] == 1 and len(wrong["mistakes"]) == 3


def test_the_worst_mistakes_come_first():
    rng = np.random.default_rng(5)
    probabilities, labels = rng.dirichlet(np.ones(5), 100), rng.integers(0, 5, 100)
    mistakes = classification_figures(probabilities, labels, NAMES, top_k=1)["mistakes"]
    wrong = [i for i in range(100) if probabilities[i].argmax() != labels[i]]
    worst = sorted(wrong, key=lambda i: probabilities[i, labels[i]])[:24]
    assert [mistake["index"] for mistake in mistakes] == worst
    for index, mistake in zip(worst, mistakes, strict=True):
        assert mistake["label"] == NAMES[labels[index]]
        assert mistake["probability"] == probabilities[index, labels[index]]
        best = np.argsort(-probabilities[index])[:3]
        assert mistake["answers"] == {NAMES[c]: probabilities[index, c] for c in best}


def test_a_source_is_read_in_parts(monkeypatch):
    class Parts(ArraySource):
        sizes = []

        def __getitem__(self, indices):
            self.sizes.append(len(indices))
            return super().__getitem__(indices)

    x = np.arange(20, dtype="float32").reshape(10, 2)
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.ops.sum(inputs, axis=-1))
    monkeypatch.setattr("deepapps.inference.predictor.READ", 4)
    outputs, targets, _ = Predictor(model).outputs(Parts(x, np.arange(10), np.ones(10)))
    assert Parts.sizes == [4, 4, 2]
    np.testing.assert_array_equal(outputs, x.sum(-1))
    np.testing.assert_array_equal(targets, np.arange(10))


@pytest.mark.parametrize("top_k", [5, 6, 1000])
def test_top_k_beyond_the_classes_is_clipped(top_k):
    figures = classification_figures(np.eye(5), np.array([1, 2, 3, 4, 0]), NAMES, top_k)
    assert figures["top_k_accuracy"] == 1 and figures["accuracy"] == 0


def test_json_holds_the_figures_and_numpy_types_are_taken():
    labels = np.array([0, 1], np.uint8)
    figures = classification_figures(
        np.eye(2, dtype=np.float32), labels, np.array(["x", "y"]), np.int64(1)
    )
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


@pytest.mark.filterwarnings("ignore:A single label was found")
def test_one_class_only():
    figures = classification_figures(np.ones((3, 1)), [0, 0, 0], ["all"], top_k=3)
    assert figures["accuracy"] == figures["f1"] == 1 and figures["confusion_matrix"] == [[3]]


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ((np.eye(3), [0, 1, 2], ["a", "b"], 1), "`probabilities` must be"),
        ((np.zeros((0, 2)), [], ["a", "b"], 1), "`probabilities` must be"),
        ((np.eye(2), [0], ["a", "b"], 1), "`labels` must be 2 integers"),
        ((np.eye(2), [0.0, 1.0], ["a", "b"], 1), "`labels` must be 2 integers"),
        ((np.eye(2), [0, 2], ["a", "b"], 1), "between 0 and 1. Received: 0 to 2"),
        ((np.eye(2), [-1, 0], ["a", "b"], 1), "Received: -1 to 0"),
        ((np.eye(2), [0, 1], ["a", "a"], 1), "'a' more than once"),
        ((np.eye(2), [0, 1], ["a", "b"], 0), "top_k=0"),
    ],
)
def test_what_does_not_fit_together_is_refused(arguments, rule):
    with pytest.raises(ValueError, match=rule):
        classification_figures(*arguments)


def test_parts_by_length():
    lengths, right = [1, 1, 1, 1, 2, 3, 4, 5, 9, 9], np.array([1, 1, 0, 1, 1, 1, 1, 1, 0, 0])

    def measure(part):
        return float(right[part].mean())

    assert parts_by_length(lengths, measure, parts=2) == [[1, 3, 6, 5 / 6], [4, 9, 4, 0.5]]
    assert parts_by_length([7, 7], len) == [[7, 7, 2, 2]]


def test_many_labels_by_hand():
    targets = [[1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0]]
    probabilities = [[0.9, 0.5, 0.2], [0.6, 0.7, 0.1], [0.1, 0.2, 0.3], [0.4, 0.1, 0.0]]
    figures = multi_label_figures(probabilities, targets, ["a", "b", "c"])
    assert figures["accuracy"] == 0.5
    assert figures["per_class"]["a"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}
    assert figures["per_class"]["b"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 2}
    assert figures["per_class"]["c"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
    assert figures["f1"] == pytest.approx(0.75)  # of the two that occur
    assert figures["micro_f1"] == pytest.approx(0.75)


@pytest.mark.parametrize(
    "probabilities, targets, figures, support",
    [
        ([0.9, 0.2], [1, 0], 1.0, 1),
        ([0.1, 0.2], [0, 0], 0.0, 0),
        ([0.9, 0.8], [1, 1], 1.0, 2),
    ],
    ids=["both", "never", "always"],
)
def test_a_single_label(probabilities, targets, figures, support):
    of_all = multi_label_figures(np.c_[probabilities], np.c_[targets], ["spam"])
    expected = dict.fromkeys(("precision", "recall", "f1"), figures)
    assert of_all["per_class"] == {"spam": expected | {"support": support}}
    assert of_all["f1"] == of_all["micro_f1"] == figures and of_all["accuracy"] == 1.0

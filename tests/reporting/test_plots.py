"""The figures are real PNG files of a sane size, for every shape of history and matrix."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from matplotlib import image

from deepapps.reporting.plots import (
    _panels,
    figure_name,
    plot_calibration,
    plot_confusion_matrix,
    plot_curves,
    plot_samples,
)


def history(epochs, validation=True):
    rows = []
    for epoch in range(1, epochs + 1):
        row = {"epoch": epoch, "loss": 1 / epoch, "accuracy": 1 - 0.5 / epoch}
        if validation:
            row |= {"val_loss": 1.1 / epoch, "val_accuracy": 1 - 0.6 / epoch}
        rows.append(row | {"learning_rate": 1e-3, "seconds": 2.5})
    return rows


def pixels(path):
    """The pixels of a PNG, `(height, width, channels)`, after checks every figure has to pass."""
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    shown = image.imread(path)
    assert 300 <= shown.shape[0] <= 4000 and 300 <= shown.shape[1] <= 4000
    assert 1000 < path.stat().st_size < 2_000_000
    assert shown[..., :3].std() > 0.01, "the figure is blank"
    assert [file.name for file in path.parent.iterdir()] == [path.name], "a temporary file was left"
    return shown


@pytest.mark.parametrize("epochs", [1, 150])
@pytest.mark.parametrize("validation", [True, False])
def test_curves(tmp_path, epochs, validation):
    plot_curves(history(epochs, validation), tmp_path / "curves.png")
    pixels(tmp_path / "curves.png")


def test_one_epoch_shows_a_mark_for_training_and_for_validation(tmp_path):
    plot_curves(history(1)[:1], tmp_path / "curves.png")
    shown = pixels(tmp_path / "curves.png")[..., :3]
    for color in ((0, 0x72, 0xB2), (0xD5, 0x5E, 0)):
        assert np.sum(np.all(np.abs(shown - np.array(color) / 255) < 0.01, axis=-1)) > 20


def test_values_that_are_missing_or_not_finite_leave_gaps(tmp_path):
    rows = history(4)
    rows[1]["loss"], rows[2]["val_loss"], rows[3]["accuracy"] = float("nan"), float("inf"), None
    del rows[0]["val_accuracy"]
    plot_curves([*rows, {"epoch": 5, "bleu": 12.5}], tmp_path / "curves.png")
    pixels(tmp_path / "curves.png")


def test_panels_pair_training_with_validation():
    rows = [
        {
            "epoch": 1,
            "learning_rate": 1,
            "accuracy": 1,
            "loss": 1,
            "val_bleu": 1,
            "val_loss": 1,
            "seconds": 1,
        }
    ]
    assert _panels(rows) == ["loss", "accuracy", "bleu", "learning_rate"]


def test_curves_without_a_figure_are_refused(tmp_path):
    for rows in ([], [{"epoch": 1, "seconds": 2.0}]):
        with pytest.raises(ValueError, match="at least one epoch with a figure"):
            plot_curves(rows, tmp_path / "curves.png")


@pytest.mark.parametrize("classes", [1, 10, 100])
def test_confusion_matrix(tmp_path, classes):
    rng = np.random.default_rng(0)
    matrix = rng.integers(0, 5, (classes, classes)) + 1000 * np.eye(classes, dtype=int)
    plot_confusion_matrix(
        matrix.tolist(), [f"class {c}" for c in range(classes)], tmp_path / "confusion.png"
    )
    pixels(tmp_path / "confusion.png")


def test_200_classes_and_empty_rows(tmp_path):
    matrix = np.diag(np.arange(200) % 3)
    plot_confusion_matrix(matrix, [str(c) for c in range(200)], tmp_path / "confusion.png")
    pixels(tmp_path / "confusion.png")


def test_odd_class_names_are_drawn_as_they_stand(tmp_path):
    names = ["$\\broken{", "_hidden", "two\nlines", "漢字", "", "long " * 20]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_confusion_matrix(np.eye(6, dtype=int), names, tmp_path / "confusion.png")
    pixels(tmp_path / "confusion.png")


def test_a_matrix_that_does_not_fit_its_names_is_refused(tmp_path):
    for matrix, names in ([[1, 2]], ["a"]), (np.eye(3), ["a", "b"]), (np.zeros((0, 0)), []):
        with pytest.raises(ValueError, match="`matrix` must be"):
            plot_confusion_matrix(matrix, names, tmp_path / "confusion.png")


@pytest.mark.parametrize("bins", [1, 15])
def test_calibration(tmp_path, bins):
    edges = (15 - np.arange(bins)[::-1]) / 15
    rows = [{"up_to": e, "confidence": e - 0.03, "accuracy": e / 2, "support": 3} for e in edges]
    plot_calibration(rows, tmp_path / "calibration.png", 15)
    pixels(tmp_path / "calibration.png")


def test_names_for_people():
    keys = [
        "loss",
        "val_loss",
        "learning_rate",
        "val_top_k_accuracy",
        "top_k_accuracy",
        "f1",
        "bleu",
        "chrf",
    ]
    assert [figure_name(key) for key in keys] == [
        "Loss",
        "Validation loss",
        "Learning rate",
        "Validation top-k accuracy",
        "Top-k accuracy",
        "F1",
        "BLEU",
        "chrF",
    ]


def test_neither_pyplot_nor_tensorflow_is_imported():
    code = (
        "import sys, deepapps.reporting.report, deepapps.metrics.classification;"
        "print(*({'tensorflow', 'keras', 'matplotlib.pyplot'} & {*sys.modules}))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == ""


@pytest.mark.parametrize("shape", [(28, 28, 1), (30, 20, 3)], ids=str)
def test_samples_show_every_image(tmp_path, shape):
    images = np.full((4, *shape), 40.0)
    images[3] = 300.0  # an augmentation may leave the range
    plot_samples(
        {"as it is": images, "changed": images}, ["a", "b", "$c$", "d" * 40], tmp_path / "a.png"
    )
    shown = pixels(tmp_path / "a.png")[..., :3]
    dark = np.isclose(shown, 40 / 255, atol=0.01).all(axis=-1)
    columns = dark.any(axis=0).sum() / dark.shape[1]
    assert dark.mean() > 0.1 and 0.4 < columns < 0.85, (
        "three of four columns are dark, the last is white"
    )

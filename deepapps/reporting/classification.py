"""The sections of a classifier's report: confusion matrix, classes, calibration, worst mistakes."""

import typing

from deepapps.metrics.classification import BINS
from deepapps.reporting.plots import plot_calibration, plot_confusion_matrix, plot_samples
from deepapps.reporting.sections import (
    Card,
    Gallery,
    Picture,
    Section,
    Table,
    figure_text,
    figures_table,
    image_uri,
    length_table,
)
from deepapps.typed_json import check_type, within

__all__ = [
    "classes_section",
    "classifier_sections",
    "length_section",
    "plot_samples",
    "with_pictures",
]

PAIRS = 10
FEW_CLASSES = 20

Count = typing.Annotated[int, within(0, 2**53)]
Share = typing.Annotated[float, within(0, 1)]
ByLength = list[tuple[int, int, int, float | None]]


class ClassRow(typing.TypedDict):
    """The metrics of a class, as metrics.json holds them."""

    precision: float
    recall: float
    f1: float
    support: float


class Bin(typing.TypedDict):
    """A bin of the calibration error, as metrics.json holds it."""

    up_to: Share
    confidence: Share
    accuracy: Share
    support: Count


class ClassifierFigures(typing.TypedDict):
    """What `classifier_sections` reads of metrics.json."""

    per_class: dict[str, ClassRow]
    confusion_matrix: list[list[Count]]
    calibration: typing.NotRequired[list[Bin]]
    calibration_error: typing.NotRequired[float | None]


def _is_embedded(text):
    """A check of `typed_json`: nothing is loaded from elsewhere when the page is opened."""
    return None if text.startswith("data:image/") else "a picture, data:image/..."


class Mistake(typing.TypedDict):
    """A wrong answer, as examples.json holds it."""

    label: str
    probability: float | None
    answers: dict[str, float | None]
    picture: typing.NotRequired[typing.Annotated[str, _is_embedded]]
    text: typing.NotRequired[str]


def classifier_sections(figures, examples, folder):
    """The sections that `Task.sections` of a classifier returns.

    Args:
        figures: What `classification_figures` returns.
        examples: `figures["mistakes"]`, each with a `picture`, a `data:` URI, or a `text`.
        folder: Where the pictures are drawn.
    """
    check_type(figures, ClassifierFigures, "metrics")
    check_type(examples, list[Mistake], "examples")
    sections = [_confusion(figures, folder), classes_section(figures["per_class"])]
    if figures.get("calibration"):
        sections.append(_calibration(figures, folder))
    if examples:
        sections.append(_worst(examples))
    return sections


def with_pictures(mistakes, images):
    """Mistakes with the `picture` of each, a `data:` URI."""
    return [m | {"picture": image_uri(image)} for m, image in zip(mistakes, images, strict=True)]


def _confusion(figures, folder):
    matrix, names = figures["confusion_matrix"], list(figures["per_class"])
    plot_confusion_matrix(matrix, names, folder / "confusion_matrix.png")
    picture = Picture(
        "confusion_matrix.png", "Confusion matrix; the table of classes has its main figures"
    )
    pairs = _confused_pairs(matrix, names)
    text = "Rows are true classes, columns the answers"
    if len(names) <= FEW_CLASSES:
        text += "; in each field are the examples and their share of the true class"
    return Section("Confusion matrix", [picture, *([pairs] if pairs.rows else [])], f"{text}.")


def _confused_pairs(matrix, names):
    """The table of the commonest mistakes, by count."""
    pairs = [
        (count, count / sum(row), true, answer)
        for true, row in enumerate(matrix)
        for answer, count in enumerate(row)
        if count and answer != true
    ]
    worst = sorted(pairs, key=lambda pair: (-pair[0], -pair[1], pair[2:]))[:PAIRS]
    rows = [
        (names[true], [names[answer], str(count), f"{share:.1%}"])
        for count, share, true, answer in worst
    ]
    return Table("True class", ["Taken for", "Examples", "Of the class"], rows)


def classes_section(per_class):
    """The figures of each class, `{name: {figure: value}}`, as a `Section`."""
    check_type(per_class, dict[str, ClassRow], "per_class")
    rows, text = list(per_class.items()), "Support is the number of examples of the class"
    if len(rows) > FEW_CLASSES:
        rows.sort(key=lambda row: row[1]["f1"])
        text += "; the classes with the lowest F1 first"
    return Section("Classes", [figures_table("Class", rows)], f"{text}.")


def length_section(by_length):
    """The accuracy for short and for long examples, as `parts_by_length` gives it, as a
    `Section`.
    """
    check_type(by_length, ByLength, "by_length")
    text = "Examples in five parts of about the same size, by their number of tokens or steps."
    return Section("Length", [length_table("Tokens or steps", "Accuracy", by_length)], text)


def _calibration(figures, folder):
    plot_calibration(figures["calibration"], folder / "calibration.png", BINS)
    text = (
        f"Expected calibration error {figure_text(figures['calibration_error'])}: how far the "
        "probability of an answer is from the share of right answers, a mean over the examples, "
        f"in {BINS} bins of that probability (Naeini et al. 2015; Guo et al. 2017)."
    )
    picture = Picture("calibration.png", "Share of right answers by the probability of the answer")
    return Section("Calibration", [picture], text)


def _worst(examples):
    text = "The wrong answers whose true class, marked, got the least probability."
    return Section("Worst mistakes", [Gallery([_card(example) for example in examples])], text)


def _card(example):
    label = example["label"]
    shares = example["answers"] | {label: example["probability"]}
    bars = [(name, share or 0.0, name == label) for name, share in shares.items()]
    title = f"{label} taken for {next(iter(shares))}"
    return Card(title, example.get("picture", ""), example.get("text", ""), bars)

"""The report: a well-formed page that holds everything in itself and escapes what it shows."""

import base64
import dataclasses
import html.parser
import io
import re
import types

import numpy as np
import pytest
from PIL import Image

from deepapps.metrics.classification import classification_figures
from deepapps.reporting.classification import classifier_sections
from deepapps.reporting.plots import plot_confusion_matrix
from deepapps.reporting.report import write_report
from deepapps.reporting.sections import (
    Card,
    Gallery,
    Picture,
    Section,
    Table,
    figure_text,
    image_uri,
)
from deepapps.settings import Settings, setting
from deepapps.task import Task

VOID = {"meta", "link", "img", "br", "hr"}
NAMES = ["<b>", 'O\'Brien & "co"']
PIXEL = image_uri(np.full((1, 1, 3), 200, np.uint8))


@dataclasses.dataclass(frozen=True, kw_only=True)
class BeeSettings(Settings):
    data: str = setting("<script>alert(1)</script>", "Examples.")
    dropout: float | None = setting(None, "Share of units dropped.")
    units: int = setting(37, "Width.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BeeTraining(Settings):
    learning_rate: float = setting(0.00123, "Learning rate.")
    deterministic: bool = setting(True, "Bit-identical.")
    monitor_mode: str | None = setting("max", "Direction.")


class Bees(Task):
    def sections(self, figures, examples, folder):
        plot_confusion_matrix([[3, 1], [0, 4]], NAMES, folder / "confusion.png")
        cards = [
            Card("<u>", PIXEL, "a <b>bee</b>", [("<i>", 0.25, True), ("wasp", 0.75, False)]),
            Card("bare", named=[("Source", "كلب <p>")]),
        ]
        return [
            Section("Confusion of <bees>", [Picture("confusion.png", "<alt>")], "Rows & columns"),
            Section("Classes", [Table("Class", ["F1"], [(name, ["0.8571"]) for name in NAMES])]),
            Section("Worst", [Gallery(cards), Gallery(cards[1:], wide=True)]),
        ]


class Page(html.parser.HTMLParser):
    """Collects tags and text; fails on tags that do not nest."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip() and self.open[-1] != "style":
            self.texts.append(data.strip())

    def attributes(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def figures(accuracy):
    per_class = {
        name: {"precision": 0.75, "recall": 1.0, "f1": 0.857142, "support": 4} for name in NAMES
    }
    scalars = {"loss": float("nan"), "accuracy": accuracy, "f1": 0.5}
    return scalars | {"per_class": per_class, "confusion_matrix": [[3, 1], [0, 4]]}


def bees(folder):
    """A finished run whose folder is `folder`."""
    epochs = [
        {"epoch": e, "loss": 1 / e, "val_loss": None, "learning_rate": 0.001, "seconds": 1.5}
        for e in (1, 2)
    ]
    return types.SimpleNamespace(
        path=folder,
        name="bees & wasps",
        examples=[],
        description=["<bees>: 12 bees", "train 8  test 4"],
        metrics={"validation": figures(0.8125), "test": figures(0.9375)},
        history=epochs,
        settings=BeeSettings(),
        training=BeeTraining(),
        versions={"keras": "3.15.0"},
        command="deepapps train bees --data 'a && b' --seed 0",
        task=Bees(),
    )


@pytest.fixture
def run(tmp_path):
    return bees(tmp_path)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return write_report(bees(tmp_path_factory.mktemp("bees")))


@pytest.fixture(scope="module")
def page(index):
    return Page(index.read_text(encoding="utf-8"))


def test_the_page_holds_its_pictures_and_points_nowhere_else(index, page):
    report = index.parent
    assert index.name == "index.html" and report.name == "report"
    assert {file.name for file in report.iterdir()} == {"index.html", "curves.png", "confusion.png"}
    sources = [image["src"] for image in page.attributes("img")]
    assert sources.pop() == PIXEL
    embedded = [
        base64.b64decode(source.removeprefix("data:image/png;base64,")) for source in sources
    ]
    assert embedded == [(report / name).read_bytes() for name in ("curves.png", "confusion.png")]
    links = [
        value
        for _, tag in page.tags
        for key, value in tag.items()
        if key in ("src", "href", "action")
    ]
    assert all(link.startswith("data:") for link in links)
    text = re.sub(r"data:image/png;base64,[^\"]*", "", index.read_text(encoding="utf-8"))
    assert (
        "//" not in text
        and "url(" not in text
        and "@import" not in text
        and not page.attributes("script")
    )


def test_figures_settings_versions_and_command_are_there(page):
    for text in (
        "0.9375",
        "0.8125",
        "0.8571",
        "Accuracy",
        "37",
        "0.00123",
        "yes",
        "keras",
        "3.15.0",
    ):
        assert text in page.texts
    assert "deepapps train bees --data 'a && b' --seed 0" in page.texts
    assert (
        "Learning curves" in page.texts
        and "Epochs" in page.texts
        and "Rows & columns" in page.texts
    )
    assert "2 epochs in 3 s." in page.texts  # no validation figure by name of the monitor
    # the monitored one
    assert page.texts[page.texts.index("Figures on the test examples") + 1] == "Accuracy"


def test_training_examples_are_shown_where_there_are_some(run, page):
    assert "Training examples" not in page.texts
    Image.new("L", (7, 5), 90).save(run.path / "samples.png")
    for _ in range(2):
        assert "Training examples" in Page(write_report(run).read_text(encoding="utf-8")).texts


def test_values_are_escaped(page):
    for text in (
        *NAMES,
        "<script>alert(1)</script>",
        "bees & wasps",
        "Confusion of <bees>",
        "a <b>bee</b>",
        "<i>",
    ):
        assert text in page.texts
    assert not {"b", "bees", "u", "i", "alt"} & {tag for tag, _ in page.tags}


def test_a_gallery_shows_bars_and_marks_one(page):
    bars = [tag["style"] for tag in page.attributes("span")]
    assert bars == ["width: 25.0%", "width: 75.0%"] and {"0.250", "0.750", "bare"} <= set(
        page.texts
    )
    assert sum(tag.get("class") == "marked" for tag in page.attributes("div")) == 1


def test_texts_of_any_script_find_their_direction(page):
    assert page.texts.count("كلب <p>") == 2 and [
        tag for tag in page.attributes("dd") if tag.get("dir") == "auto"
    ]
    assert [
        tag["class"] for tag in page.attributes("div") if "gallery" in tag.get("class", "")
    ] == [
        "gallery",
        "gallery wide",
    ]


def test_what_was_said_of_the_data_is_there(page):
    assert page.texts[page.texts.index("Data") + 1 :][:2] == ["<bees>: 12 bees", "train 8  test 4"]


def test_missing_and_infinite_values_show_as_a_dash(page):
    # losses, and one in the headline; epochs; a setting
    assert page.texts.count("–") == 2 + 1 + 2 + 1
    assert not {"nan", "None", "inf"} & set(page.texts)


def test_validation_stands_in_for_a_missing_test(run):
    del run.metrics["test"]
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert "Figures on the validation examples" in page.texts
    assert "0.8125" in page.texts and "Test" not in page.texts


def test_the_summary_names_the_best_epoch(run):
    for epoch, accuracy in zip(run.history, (0.75, 0.5), strict=True):
        epoch.update(val_accuracy=accuracy, seconds=4000)
    page = Page(write_report(run).read_text(encoding="utf-8"))
    best = "the weights are those of epoch 1, by validation accuracy (0.7500)."
    assert f"2 epochs in 2 h 13 min; {best}" in page.texts
    run.training = BeeTraining(monitor_mode="min")
    assert "epoch 2, by validation accuracy (0.5000)" in write_report(run).read_text(
        encoding="utf-8"
    )


def test_of_equal_epochs_the_last_one_is_named_whose_weights_are_kept(run):
    for epoch in run.history:
        epoch.update(val_accuracy=0.75)
    page = write_report(run).read_text(encoding="utf-8")
    assert f"the weights are those of epoch {run.history[-1]['epoch']}," in page


def test_a_bare_run_has_a_report(run):
    run.metrics, run.history, run.description, run.task = {}, [], [], Task()
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert not page.attributes("img") and "Epochs" not in page.texts and "Classes" not in page.texts
    assert run.command in page.texts


def test_writing_again_gives_the_same_bytes_and_leaves_nothing_behind(run):
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first
    assert [file.name for file in run.path.iterdir()] == ["report"]


def test_a_failure_keeps_the_earlier_report(run):
    def fail(figures, examples, folder):
        (folder / "half.png").write_bytes(b"half")
        raise RuntimeError("no figure")

    run.history = []
    first = write_report(run).read_bytes()
    run.task.sections = fail
    with pytest.raises(RuntimeError, match="no figure"):
        write_report(run)
    assert (run.path / "report" / "index.html").read_bytes() == first
    assert [file.name for file in run.path.iterdir()] == ["report"]
    assert not (run.path / "report" / "half.png").exists()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.98765, "0.9877"),
        (0, "0"),
        (0.0, "0.0000"),
        (1234, "1234"),
        (34.5678, "34.57"),
        (1e-5, "1e-05"),
        (None, "–"),
    ],
)
def test_figures_as_text(value, text):
    assert figure_text(value) == text


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_the_sections_of_a_classifier(classes, tmp_path):
    rng = np.random.default_rng(0)
    names = [f"class {index}" for index in range(classes)]
    probabilities = rng.dirichlet(np.ones(classes), 500)
    figures = classification_figures(probabilities, rng.integers(0, classes, 500), names, 3)
    confusion, table, calibration, worst = classifier_sections(
        figures, figures["mistakes"], tmp_path
    )
    assert {file.name for file in tmp_path.iterdir()} == {"confusion_matrix.png", "calibration.png"}
    counts = [int(cells[1]) for _, cells in confusion.contents[1].rows]
    wrong = np.array(figures["confusion_matrix"]) * (1 - np.eye(classes, dtype=int))
    assert counts == sorted(wrong[wrong > 0].tolist(), reverse=True)[:10]
    f1 = [float(cells[2]) for _, cells in table.contents[0].rows]
    assert len(f1) == classes
    if classes > 20:
        assert f1 == sorted(f1)
    else:
        assert [name for name, _ in table.contents[0].rows] == names
    assert figure_text(figures["calibration_error"]) in calibration.text
    assert len(worst.contents[0].cards) == 24
    for card, mistake in zip(worst.contents[0].cards, figures["mistakes"], strict=True):
        (marked,) = [(name, share) for name, share, marked in card.bars if marked]
        assert marked == (mistake["label"], mistake["probability"])
        assert [bar[:2] for bar in card.bars[:3]] == list(mistake["answers"].items())


def test_a_classifier_without_mistakes_or_calibration(tmp_path):
    figures = classification_figures(np.eye(3), np.arange(3), ["a", "b", "c"], 1)
    titles = [section.title for section in classifier_sections(figures, [], tmp_path)]
    assert titles == ["Confusion matrix", "Classes", "Calibration"]
    # not finite in the model
    unknown = [{"label": "a", "probability": None, "answers": {"b": None}}]
    assert classifier_sections(figures, unknown, tmp_path)[-1].contents[0].cards[0].bars[1] == (
        "a",
        0,
        True,
    )
    del figures["calibration"]  # as in a Run of an earlier version
    assert len(classifier_sections(figures, [], tmp_path)) == 2


@pytest.mark.parametrize(
    ("shape", "kind", "size"),
    [
        ((28, 28, 1), "PNG", (28, 28)),
        ((40, 300, 3), "JPEG", (128, 17)),
        ((128, 64, 3), "PNG", (64, 128)),
        ((200, 200, 4), "JPEG", (128, 128)),
    ],
)
def test_image_uri(shape, kind, size):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    start, _, content = image_uri(pixels).partition(",")
    image = Image.open(io.BytesIO(base64.b64decode(content)))
    assert start == f"data:image/{kind.lower()};base64" and (image.format, image.size) == (
        kind,
        size,
    )
    if kind == "PNG":
        np.testing.assert_array_equal(np.asarray(image).reshape(shape), pixels)

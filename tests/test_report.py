"""The report: a well-formed page that holds everything in itself and escapes what it shows."""

import base64
import dataclasses
import html.parser
import re
import types

import pytest

from deepapps.plots import plot_confusion_matrix
from deepapps.report import figure_text, write_report
from deepapps.settings import Settings, setting
from deepapps.tasks.task import Task

VOID = {"meta", "link", "img", "br", "hr"}
NAMES = ["<b>", 'O\'Brien & "co"']


@dataclasses.dataclass(frozen=True, kw_only=True)
class BeeSettings(Settings):
    data: str = setting("<script>alert(1)</script>", "Examples.")
    dropout: float | None = setting(None, "Share of units dropped.")
    units: int = setting(37, "Width.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BeeTraining(Settings):
    learning_rate: float = setting(0.00123, "Learning rate.")
    deterministic: bool = setting(True, "Bit-identical.")


class Bees(Task):
    def plot(self, run, folder):
        plot_confusion_matrix([[3, 1], [0, 4]], NAMES, folder / "confusion.png")
        return {"Confusion of <bees>": "confusion.png"}


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
    per_class = {name: {"precision": 0.75, "recall": 1.0, "f1": 0.857142, "support": 4} for name in NAMES}
    scalars = {"loss": float("nan"), "accuracy": accuracy, "f1": 0.5}
    return scalars | {"per_class": per_class, "confusion_matrix": [[3, 1], [0, 4]]}


def bees(folder):
    """A finished run whose folder is `folder`."""
    epochs = [
        {"epoch": e, "loss": 1 / e, "val_loss": None, "learning_rate": 0.001, "seconds": 1.5} for e in (1, 2)
    ]
    return types.SimpleNamespace(
        path=folder,
        name="bees & wasps",
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
    embedded = [base64.b64decode(source.removeprefix("data:image/png;base64,")) for source in sources]
    assert embedded == [(report / name).read_bytes() for name in ("curves.png", "confusion.png")]
    links = [value for _, tag in page.tags for key, value in tag.items() if key in ("src", "href", "action")]
    assert all(link.startswith("data:") for link in links)
    text = re.sub(r"data:image/png;base64,[^\"]*", "", index.read_text(encoding="utf-8"))
    assert "//" not in text and "url(" not in text and "@import" not in text and not page.attributes("script")


def test_figures_settings_versions_and_command_are_there(page):
    for text in ("0.9375", "0.8125", "0.8571", "Accuracy", "37", "0.00123", "yes", "keras", "3.15.0"):
        assert text in page.texts
    assert "deepapps train bees --data 'a && b' --seed 0" in page.texts
    assert "Learning curves" in page.texts and "Epochs" in page.texts
    assert page.texts[page.texts.index("Figures on the test examples") + 1] == "Accuracy"  # the monitored one


def test_values_are_escaped(page):
    for text in (*NAMES, "<script>alert(1)</script>", "bees & wasps", "Confusion of <bees>"):
        assert text in page.texts
    assert not page.attributes("b") and not page.attributes("bees")


def test_missing_and_infinite_values_show_as_a_dash(page):
    assert page.texts.count("–") == 2 + 1 + 2 + 1  # losses, and one in the headline; epochs; a setting
    assert not {"nan", "None", "inf"} & set(page.texts)


def test_validation_stands_in_for_a_missing_test(run):
    del run.metrics["test"]
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert "Figures on the validation examples" in page.texts
    assert "0.8125" in page.texts and "Test" not in page.texts


def test_a_bare_run_has_a_report(run):
    run.metrics, run.history, run.task = {}, [], Task()
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert not page.attributes("img") and "Epochs" not in page.texts and "Classes" not in page.texts
    assert run.command in page.texts


def test_writing_again_gives_the_same_bytes_and_leaves_nothing_behind(run):
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first
    assert [file.name for file in run.path.iterdir()] == ["report"]


def test_a_failure_keeps_the_earlier_report(run):
    def fail(run, folder):
        (folder / "half.png").write_bytes(b"half")
        raise RuntimeError("no figure")

    run.history = []
    first = write_report(run).read_bytes()
    run.task.plot = fail
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

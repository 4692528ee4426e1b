"""A Run: what it leaves on disk, that it comes back the same, and what is refused."""

import base64
import contextlib
import functools
import inspect
import io
import json
import math
import re
import shutil
import zipfile

import keras
import numpy as np
import pytest
from PIL import Image, ImageOps

import deepapps
from deepapps.data.images.load import load_images
from deepapps.files import remove_unfinished
from deepapps.runs.opening import open_run
from deepapps.settings import TrainingSettings, types_of
from deepapps.tasks import find_task

FIGURES = [
    "loss",
    "accuracy",
    "precision",
    "recall",
    "f1",
    "top_k_accuracy",
    "calibration_error",
    "per_class",
    "confusion_matrix",
    "calibration",
    "mistakes",
]
FILES = {
    "settings.json",
    "metrics.json",
    "examples.json",
    "history.jsonl",
    "labels.json",
    "model.keras",
    "checkpoints/*.npz",
    "report/index.html",
    "report/curves.png",
    "report/confusion_matrix.png",
    "report/calibration.png",
    "report/samples.png",
    "samples.png",
    ".lock",
    "data.json",
    "data.txt",
}
RUN = '{"task": "%s", "settings": %s, "training": %s, "versions": {"deepapps": "0.1.0"}}'


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small Run on the sample, as training returned it."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    return deepapps.mnist_classifier(
        network="mlp", units=32, epochs=2, output=folder, progress=False
    )


@pytest.fixture(scope="module")
def digits():
    """Test images of the sample, `(20, 28, 28, 1)`."""
    return load_images("sample")[0].test[np.arange(20)][0]


@pytest.fixture
def copied(trained, tmp_path):
    """A copy of the Run, to spoil."""
    return shutil.copytree(trained.path, tmp_path / "copy")


def fails(call, *words):
    """Expects a ValueError of one line with these words."""
    with pytest.raises(ValueError) as error:
        call()
    message = str(error.value)
    assert message and "\n" not in message
    for word in words:
        assert str(word) in message
    return message


def stored(folder, name="settings.json"):
    """A JSON file of a Run; NaN and infinities are no JSON."""
    return json.loads((folder / name).read_text(), parse_constant=pytest.fail)


def test_the_files_of_a_run(trained):
    files = {
        str(path.relative_to(trained.path)) for path in trained.path.rglob("*") if path.is_file()
    }
    assert {re.sub(r"[\d-]+\.npz", "*.npz", name) for name in files} == FILES
    assert stored(trained.path, "labels.json") == {
        "class_names": [str(digit) for digit in range(10)],
        "image_shape": [28, 28, 1],
        "invert_bright": True,
        "bits": 16,
    }


def test_settings_json(trained):
    settings = stored(trained.path)
    assert list(settings) == ["task", "settings", "training", "seed", "versions"]
    assert (settings["task"], settings["seed"]) == ("mnist", 0)
    assert settings["settings"] == trained.settings.as_dict()
    assert settings["training"] == trained.training.as_dict()
    assert settings["versions"] == trained.versions
    assert {"deepapps", "keras", "tensorflow", "numpy", "python"} == set(settings["versions"])


def test_metrics_json_holds_figures_alone(trained):
    metrics = stored(trained.path, "metrics.json")
    assert metrics == trained.metrics
    assert list(metrics) == ["validation", "test"]
    for figures in metrics.values():
        assert list(figures) == FIGURES
        assert list(figures["per_class"]) == [str(digit) for digit in range(10)]
        assert set(figures["per_class"]["7"]) == {"precision", "recall", "f1", "support"}
        assert all(0 <= figures[name] <= 1 for name in FIGURES[1:7])
        assert np.sum(figures["confusion_matrix"]) == sum(
            c["support"] for c in figures["per_class"].values()
        )
    text = (trained.path / "metrics.json").read_text()
    assert not re.search(r"time|seconds|version|date|/", text)


def test_examples_are_the_worst_mistakes_on_the_test_split_with_their_pictures(trained):
    source = trained.task.data().test
    mistakes = trained.metrics["test"]["mistakes"]
    assert len(mistakes) == 24
    assert [{k: v for k, v in e.items() if k != "picture"} for e in trained.examples] == mistakes
    for example in trained.examples:
        image, label = source[np.array([example["index"]])]
        assert str(label[0]) == example["label"] != next(iter(example["answers"]))
        content = base64.b64decode(example["picture"].removeprefix("data:image/png;base64,"))
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), image[0, ..., 0])
        probabilities = trained.predict(image, probabilities=True)[0]["probabilities"]
        assert probabilities[example["label"]] == pytest.approx(example["probability"], abs=1e-6)
        assert {k: probabilities[k] for k in example["answers"]} == pytest.approx(
            example["answers"], abs=1e-6
        )


def test_the_report_is_made_again_from_the_folder_alone(trained, copied):
    page = (copied / "report" / "index.html").read_text()
    shutil.rmtree(copied / "report")
    settings = stored(copied)
    settings["settings"]["data"] = "gone.npz"
    (copied / "settings.json").write_text(json.dumps(settings))
    again = deepapps.load_run(copied).report().read_text()
    pictures = re.compile(r"data:image/png;base64,[^\"]+")
    assert (
        pictures.findall(again) == pictures.findall(page) and len(pictures.findall(page)) == 4 + 24
    )


def test_history(trained):
    lines = [json.loads(line) for line in (trained.path / "history.jsonl").read_text().splitlines()]
    assert lines == trained.history
    assert [line["epoch"] for line in lines] == [1, 2]
    for line in lines:
        figures = {"loss", "accuracy", "val_loss", "val_accuracy"}
        assert set(line) == figures | {"epoch", "learning_rate", "seconds"}
        assert all(math.isfinite(value) for value in line.values())


def test_the_best_weights_are_those_of_the_validation_figure(trained):
    best = max(line["val_accuracy"] for line in trained.history)
    assert trained.metrics["validation"]["accuracy"] == pytest.approx(best)


def test_a_loaded_run_equals_the_trained_one(trained, digits):
    run = deepapps.load_run(trained.path)
    assert repr(run) == f"Run({str(trained.path)!r}, task='mnist')"
    for name in ("name", "settings", "training", "versions", "metrics", "history", "command"):
        assert getattr(run, name) == getattr(trained, name), name
    for weight, other in zip(trained.model.get_weights(), run.model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)
    assert run.predict(digits, probabilities=True) == trained.predict(digits, probabilities=True)


def test_a_run_moved_elsewhere_is_the_same(trained, copied, digits):
    assert deepapps.load_run(str(copied)).predict(digits) == trained.predict(digits)


def test_predict_takes_one_image_or_many(trained, digits):
    labels = trained.predict(digits)
    assert len(labels) == 20 and set(labels) <= {str(digit) for digit in range(10)}
    assert trained.predict(digits[..., 0]) == labels
    assert trained.predict(list(digits[..., 0])) == labels
    assert trained.predict(digits[0]) == trained.predict(digits[0, ..., 0]) == labels[:1]


def test_probabilities(trained, digits):
    answers = trained.predict(digits, probabilities=True)
    for answer, label in zip(answers, trained.predict(digits), strict=True):
        assert list(answer) == ["label", "probabilities"]
        assert (
            answer["label"]
            == label
            == max(answer["probabilities"], key=answer["probabilities"].get)
        )
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_predict_reads_images_however_they_are_drawn(trained, digits, tmp_path):
    """White on black, black on white, in colour, in ink on nothing, and wide: the same digits."""
    drawn = [Image.fromarray(digit) for digit in digits[..., 0]]
    ink = Image.new("RGBA", (28, 28))
    for index, image in enumerate(drawn):
        on_nothing = ink.copy()
        on_nothing.putalpha(image)
        image.save(tmp_path / f"plain-{index}.png")
        ImageOps.invert(image).save(tmp_path / f"inverted-{index}.png")
        ImageOps.invert(image).convert("RGB").save(tmp_path / f"colour-{index}.png")
        on_nothing.save(tmp_path / f"ink-{index}.png")
    labels = trained.predict(digits)
    for kind in ("plain", "inverted", "colour", "ink"):
        paths = [tmp_path / f"{kind}-{index}.png" for index in range(len(drawn))]
        assert trained.predict(paths) == labels, kind
    assert trained.predict(str(paths[0])) == labels[:1]
    wide = ImageOps.expand(drawn[0], (30, 0, 30, 0)).resize((352, 112))
    wide.save(tmp_path / "wide.png")
    assert len(trained.predict(tmp_path / "wide.png")) == 1


def test_predict_refuses_what_is_no_such_image(trained, digits, tmp_path):
    fails(lambda: trained.predict(digits.astype("float32")), "uint8", "float32")
    fails(lambda: trained.predict(np.zeros((3, 30, 28), "uint8")), (28, 28, 1), (3, 30, 28))
    fails(lambda: trained.predict(np.zeros(28, "uint8")), (28, 28, 1))
    assert trained.predict([]) == []
    fails(lambda: trained.predict(tmp_path / "none.png"), "none.png: no such file")
    (tmp_path / "text.png").write_text("no image")
    fails(lambda: trained.predict([tmp_path / "text.png"]), "text.png: is not an image")
    fails(lambda: trained.predict(tmp_path), "cannot be read as an image")


def test_evaluate_on_the_own_test_split_gives_the_metrics(trained):
    run = deepapps.load_run(trained.path)
    assert run.evaluate() == trained.metrics["test"]


def test_data_that_have_changed_since_the_training_are_refused(tmp_path):
    path, random = tmp_path / "data.npz", np.random.default_rng(0)
    images = random.integers(0, 256, (100, 8, 8), "uint8")

    def train(**options):
        return deepapps.mnist_classifier(
            data=path,
            network="mlp",
            units=4,
            batch_size=16,
            output=tmp_path / "run",
            progress=False,
            **options,
        )

    np.savez(path, x=images, y=np.arange(100) % 2)
    run = train(epochs=1)
    assert run.evaluate() == run.metrics["test"]
    before = {file: file.stat().st_mtime_ns for file in run.path.rglob("*") if file.name != ".lock"}
    answer = run.predict(images[:1])
    np.savez(path, x=255 - images, y=np.arange(100) % 2)
    run = deepapps.load_run(run.path)
    fails(run.evaluate, run.path, "the data have changed", "the test part was", "examples")
    fails(lambda: train(epochs=2, resume=True), "the data have changed", "the train part was")
    assert {
        file: file.stat().st_mtime_ns for file in run.path.rglob("*") if file.name != ".lock"
    } == before
    assert run.predict(images[:1]) == answer


def test_what_was_learned_is_not_learned_again(trained, monkeypatch):
    task = deepapps.load_run(trained.path).task
    monkeypatch.setattr(type(task), "learn", None)
    assert task.data().train.arrays[0].shape[1:] == (28, 28, 1)
    other = type(task)(task.settings, learned=task.learned)
    assert other.class_names == task.class_names and len(other.data().test) == 511


def test_replicas_evaluate_and_predict_the_same(trained, digits):
    run = deepapps.load_run(trained.path)
    figures, alone = run.evaluate(strategy="mirrored:2"), trained.metrics["test"]
    assert figures["confusion_matrix"] == alone["confusion_matrix"]
    assert [figures[name] for name in ("loss", "f1")] == pytest.approx(
        [alone[name] for name in ("loss", "f1")]
    )
    shared = run.predict(digits[:7], probabilities=True, strategy="mirrored:2")
    for one, two in zip(shared, run.predict(digits[:7], probabilities=True), strict=True):
        assert one["label"] == two["label"]
        assert one["probabilities"] == pytest.approx(two["probabilities"], abs=1e-5)


def test_evaluate_on_other_data(trained, digits, tmp_path):
    np.savez(tmp_path / "other.npz", x=digits, y=np.arange(20) % 10)
    figures = trained.evaluate(str(tmp_path / "other.npz"))
    assert list(figures) == FIGURES and np.sum(figures["confusion_matrix"]) == 20
    assert trained.evaluate(deepapps.ArraySource(digits, np.arange(20) % 10)) == figures
    fails(lambda: trained.evaluate("smaple"), "Did you mean 'sample'")


def test_the_command_repeats_the_run(trained):
    # into a new folder: its own holds a Run already
    assert trained.command == "deepapps train mnist --network mlp --units 32 --epochs 2"


def test_commands_give_every_kind_of_setting(tmp_path):
    task = find_task("mnist")
    training = TrainingSettings(
        **task.training
        | {
            "deterministic": False,
            "use_ema": True,
            "class_weight": {0: 2.0, 3: 0.5},
            "steps_per_execution": 7,
            "progress": False,
            "jit_compile": False,
        }
    )
    run = deepapps.Run(
        tmp_path / "two words", task(task.Settings(dropout=0.5, augment=False)), training, {}
    )
    for words in (
        "--dropout 0.5",
        "--no-augment",
        "--use-ema",
        "--class-weight 0=2.0,3=0.5",
        "--no-deterministic",
        "--no-jit-compile",
        "--steps-per-execution 7",
    ):
        assert words in run.command
    assert f"--output '{tmp_path}/two words' --resume" in run.resume_command
    assert "progress" not in run.command


@pytest.mark.parametrize(
    "changed",
    [
        {"optimizer": {"class_name": "SGD", "config": {}}},
        {"strategy": "MirroredStrategy"},
        {"global_clipnorm": None},
    ],
    ids=str,
)
def test_what_no_flag_can_say_is_repeated_in_python(changed, tmp_path):
    task = find_task("sequence")
    run = deepapps.Run(tmp_path, task(), TrainingSettings(**task.training | changed), {})
    assert run.command == f"deepapps.train(..., output={str(tmp_path)!r})"
    assert run.resume_command == f"deepapps.train(..., output={str(tmp_path)!r}, resume=True)"


def test_a_resume_needs_only_the_folder(trained):
    assert trained.resume_command == f"deepapps train mnist --output {trained.path} --resume"


def test_folders_that_nobody_named_are_never_shared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = [open_run(find_task("mnist")(), {}) for _ in range(3)]
    with contextlib.ExitStack() as stack:
        for run in runs:
            stack.enter_context(run.held())
    assert len({run.path for run in runs}) == 3


def test_two_processes_do_not_train_into_one_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("deepapps.runs.folders.PATIENCE", 0.0)
    one, other = (open_run(find_task("mnist")(), {}, tmp_path / "run") for _ in range(2))
    with one.held():
        fails(other.held().__enter__, tmp_path / "run", "another process is at work")
    with other.held():
        pass
    (tmp_path / "run" / "settings.json").write_text("{}")
    fails(other.held().__enter__, tmp_path / "run", "has been at work on this Run meanwhile")


@pytest.mark.parametrize("version", ["0.2.0", "1.0.0rc1", "12.34.dev5", "one", None])
def test_a_run_of_a_newer_version_is_refused(version, copied):
    settings = stored(copied)
    settings["versions"]["deepapps"] = version
    settings["settings"]["something_new"] = 1
    (copied / "settings.json").write_text(json.dumps(settings))
    fails(
        lambda: deepapps.load_run(copied),
        copied,
        f"was made by deepapps {version}",
        "Update deepapps",
    )
    fails(lambda: deepapps.mnist_classifier(output=copied, resume=True), "Update deepapps")


@pytest.mark.parametrize("version", ["0.0.9", "0.1.99", "0.1"])
def test_a_run_of_an_older_version_or_a_later_patch_is_loaded(version, copied):
    settings = stored(copied)
    settings["versions"]["deepapps"] = version
    (copied / "settings.json").write_text(json.dumps(settings))
    assert deepapps.load_run(copied).versions["deepapps"] == version


def test_a_folder_without_a_run(tmp_path):
    fails(lambda: deepapps.load_run(tmp_path), tmp_path, "holds no Run")
    fails(lambda: deepapps.load_run(tmp_path / "nowhere"), "nowhere: holds no Run")


@pytest.mark.parametrize(
    "content, words",
    [
        ("", "not valid JSON"),
        ('{"task": "mnist", ', "not valid JSON"),
        ("[]", "is damaged"),
        ("7", "is damaged"),
        ("{}", "is damaged"),
        (RUN % ("mnist", "1", "{}"), "is damaged"),
        (
            '{"task": 3, "settings": {}, "training": {}, "versions": {"deepapps": "0.1.0"}}',
            "is damaged",
        ),
        (RUN % ("mnist", '{"unit": 3}', "{}"), "'units'"),
        (RUN % ("mnist", "{}", '{"epochs": 0}'), "epochs"),
        (RUN % ("os:system", "{}", "{}"), "task=..."),
    ],
    ids=range(10),
)
def test_damaged_settings(content, words, copied):
    (copied / "settings.json").write_text(content)
    fails(lambda: deepapps.load_run(copied), copied, words)


def test_settings_that_are_no_text(copied):
    (copied / "settings.json").write_bytes(b"\xff\xfe\x00\x01")
    fails(lambda: deepapps.load_run(copied), copied / "settings.json", "not valid JSON")


@pytest.mark.parametrize(
    "content", [None, "{", "{}", "[1]", '{"class_names": ["a"], "image_shape": 3}']
)
def test_damaged_labels(content, copied):
    (copied / "labels.json").unlink()
    if content is not None:
        (copied / "labels.json").write_text(content)
    fails(lambda: deepapps.load_run(copied), copied / "labels.json")


def test_a_damaged_history_names_its_file(copied):
    (copied / "history.jsonl").write_text('{"epoch": 1}\n{"epo')
    fails(lambda: deepapps.load_run(copied).history, copied / "history.jsonl")


def spoil(path, how):
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    if how == "flipped":
        content[middle : middle + 8] = bytes(byte ^ 255 for byte in content[middle : middle + 8])
    contents = {
        "empty": b"",
        "cut short": content[:middle],
        "text": b"no model",
        "flipped": content,
    }
    path.write_bytes(contents[how])


@pytest.mark.parametrize("how", ["empty", "cut short", "text", "flipped"])
def test_a_damaged_model(how, copied, digits):
    spoil(copied / "model.keras", how)
    fails(
        lambda: deepapps.load_run(copied).predict(digits),
        copied / "model.keras",
        "cannot be loaded",
    )


def test_a_run_that_has_no_model_yet_says_how_to_go_on(copied, digits):
    (copied / "model.keras").unlink()
    fails(lambda: deepapps.load_run(copied).predict(digits), f"--output {copied} --resume")


def test_loading_runs_no_code_from_the_folder(copied, digits, tmp_path):
    marker = tmp_path / "ran"
    inputs = keras.Input((28, 28, 1))

    def mark(x, path=str(marker)):
        return (__import__("pathlib").Path(path).touch(), x[:, 0, :10, 0])[1]

    outputs = keras.layers.Lambda(mark)(inputs)
    keras.Model(inputs, outputs).save(copied / "model.keras")
    marker.unlink()
    fails(
        lambda: deepapps.load_run(copied).predict(digits),
        "cannot be loaded",
        "Lambda",
        "registered",
    )
    (copied / "checkpoints" / "99999-000000000.npz").write_bytes(b"\x80\x04cos\nsystem\n")
    (copied / "labels.py").write_text(f"open({str(marker)!r}, 'w')")
    deepapps.load_run(copied)
    assert not marker.exists()


def test_there_is_no_pickle_in_a_run(trained):
    for path in trained.path.rglob("*"):
        assert path.suffix not in (".pkl", ".pickle", ".joblib")
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                assert all(arrays[name].dtype != object for name in arrays.files)
        if path.suffix == ".keras":
            names = zipfile.ZipFile(path).namelist()
            assert set(names) == {"metadata.json", "config.json", "model.weights.h5"}


def train_again(folder, **arguments):
    return deepapps.mnist_classifier(
        **{"network": "mlp", "units": 16, "epochs": 1, "output": folder, "progress": False}
        | arguments
    )


def test_overwrite_leaves_foreign_files_alone(copied):
    foreign = [
        copied / name
        for name in ("notes.txt", ".hidden.d/file", "plots/mine.png", "labels.json.bak")
    ]
    for path in foreign:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    unfinished = copied / "checkpoints" / ".00001-000000000.npz.abc.writing"
    unfinished.mkdir()
    run = train_again(copied, overwrite=True)
    assert [path.read_text() for path in foreign] == ["mine"] * 4
    assert (run.settings.units, len(run.history), run.finished) == (16, 1, True)
    assert not unfinished.exists() and len(list((copied / "checkpoints").iterdir())) == 1


@pytest.mark.parametrize(
    "mistake", [{"data": "nowhere"}, {"batch_size": 100_000}, {"strategy": "miror"}], ids=str
)
def test_a_mistake_costs_no_run_that_was_to_be_overwritten(mistake, trained, copied):
    fails(lambda: train_again(copied, overwrite=True, **mistake))
    assert deepapps.load_run(copied).metrics == trained.metrics
    assert stored(copied) == stored(trained.path)


def test_a_run_is_not_put_into_a_folder_with_other_things(trained, tmp_path):
    fails(lambda: train_again(trained.path), "holds a Run already")
    (tmp_path / "thesis.tex").write_text("years of work")
    for arguments in ({}, {"overwrite": True}, {"resume": True}):
        fails(lambda arguments=arguments: train_again(tmp_path, **arguments), "holds no Run")
    fails(lambda: train_again(tmp_path / "thesis.tex"), "is a file")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_where_a_run_was_killed_before_it_began_is_free(tmp_path):
    (tmp_path / ".settings.json.x_1.writing").mkdir()
    run = open_run(find_task("mnist")(), {}, tmp_path, resume=True)
    assert run.path == tmp_path and not run.finished
    remove_unfinished(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_resume_of_a_finished_run_returns_it(trained, digits):
    modified = (trained.path / "metrics.json").stat().st_mtime_ns
    run = deepapps.mnist_classifier(output=trained.path, resume=True)
    assert run.predict(digits) == trained.predict(digits)
    assert (trained.path / "metrics.json").stat().st_mtime_ns == modified
    again = functools.partial(deepapps.mnist_classifier, output=trained.path, resume=True)
    fails(lambda: again(units=64), "`units` is 32", "64")
    fails(lambda: again(seed=1), "`seed` is 0")


def test_a_figure_of_evaluate_may_pick_the_weights(tmp_path):
    class ByF1(find_task("mnist")):
        monitor = "f1"

    settings = ByF1.Settings(network="mlp", units=16)
    run = deepapps.train(
        ByF1(settings), epochs=1, jit_compile=False, output=tmp_path, progress=False
    )
    assert run.history[0]["val_f1"] == pytest.approx(run.metrics["validation"]["f1"])
    assert all(isinstance(value, int | float) for value in run.history[0].values())
    assert "those of epoch 1, by validation F1" in run.report().read_text()


class Measured(find_task("mnist")):
    """Its own figures are NumPy's; the one it monitors comes first."""

    def measure(self, outputs, targets, source):
        own = {"gain": np.float32(0.5), "none": np.nan, "parts": np.arange(2)}
        return super().measure(outputs, targets, source) | own


def test_figures_of_numpy_are_stored_as_numbers(tmp_path):
    class ByGain(Measured):
        monitor, directions = "gain", {"gain": "max"}

    settings = ByGain.Settings(network="mlp", units=16)
    deepapps.train(ByGain(settings), epochs=1, jit_compile=False, output=tmp_path, progress=False)
    found = stored(tmp_path, "metrics.json")["test"]
    assert (found["gain"], found["none"], found["parts"]) == (0.5, None, [0, 1])
    assert stored(tmp_path, "history.jsonl")["val_gain"] == 0.5


def test_a_monitor_that_nothing_measures_is_named(tmp_path):
    class ByNothing(Measured):
        monitor, directions = "f7", {"f7": "max"}

    task = ByNothing(ByNothing.Settings(network="mlp", units=16))
    training = {"epochs": 1, "jit_compile": False, "output": tmp_path, "progress": False}
    fails(lambda: deepapps.train(task, **training), "monitors 'f7'", "loss, accuracy", "gain")


def test_a_report_of_a_run_that_has_not_ended(copied):
    for name in ("metrics.json", "report/confusion_matrix.png"):
        (copied / name).unlink()
    page = deepapps.load_run(copied).report()
    assert page == copied / "report" / "index.html" and "Learning curves" in page.read_text()
    assert not deepapps.load_run(copied).finished


def test_class_weights_and_an_optimizer_come_back_as_they_were(tmp_path):
    given = {"class_weight": {1: 2.0, 0: 0.5}, "optimizer": keras.optimizers.SGD(0.1, momentum=0.5)}
    run = train_again(tmp_path / "run", **given)
    training = deepapps.load_run(run.path).training
    assert training.class_weight == {1: 2.0, 0: 0.5}
    assert training.optimizer["config"]["momentum"] == 0.5
    weights = given["class_weight"]
    assert train_again(tmp_path / "run", class_weight=weights, resume=True).history == run.history


def test_the_signature_of_an_app_is_its_settings():
    task = find_task("mnist")
    parameters = inspect.signature(deepapps.mnist_classifier).parameters
    names = {*types_of(task.Settings), *types_of(TrainingSettings)}
    names |= {"output", "resume", "overwrite", "callbacks"}
    assert set(parameters) == names
    assert (
        parameters["epochs"].default == task.training["epochs"]
        and parameters["network"].default == "cnn"
    )
    for name in names:
        assert re.search(rf"\b{name}\b", deepapps.mnist_classifier.__doc__), name
    fails(lambda: deepapps.mnist_classifier(epoch=3), "Unknown setting 'epoch'", "'epochs'")
    fails(lambda: deepapps.mnist_classifier(networks="mlp"), "'network'")

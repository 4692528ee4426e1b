"""A Run from a stranger does nothing: whatever is put into its folder is refused in one line,
and nothing is written.
"""

import json
import os
import pathlib
import shutil
import zipfile

import commands
import h5py
import keras
import numpy as np
import processes
import pytest

import deepapps
from deepapps.networks import saved as saved_model

RUNS = pathlib.Path(__file__).parents[1] / "data" / "runs-0.1"
PICTURE = RUNS / "data" / "digits" / "0.png"


def no_network():
    """The process ends with status 97 when anything looks a host up or connects."""
    import socket

    def end(*unused, **options):
        os._exit(97)

    socket.socket.connect = socket.getaddrinfo = socket.create_connection = end


@pytest.fixture
def run(tmp_path):
    """A Run of digits, beside a file and a folder that are none of its business."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine.txt").write_text("mine")
    return pathlib.Path(shutil.copytree(RUNS / "mnist", tmp_path / "run"))


def parts_of(run):
    with zipfile.ZipFile(run / "model.keras") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_parts(run, parts, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(run / "model.keras", "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def change_config(change):
    """A craft that changes the config of the model, a dict."""

    def craft(run):
        parts = parts_of(run)
        config = json.loads(parts["config.json"])
        write_parts(run, {**parts, "config.json": json.dumps(change(config) or config)})

    return craft


def layer_of(config, class_name):
    return next(layer for layer in config["config"]["layers"] if layer["class_name"] == class_name)


def put(**values):
    """A craft that puts values into the config of the first dense layer."""
    return change_config(lambda config: layer_of(config, "Dense")["config"].update(values))


def swap(class_name, module="keras.layers", **config):
    """A craft that makes the first dense layer another object."""

    def change(whole):
        layer = layer_of(whole, "Dense")
        layer.update(class_name=class_name, module=module, registered_name=None)
        layer["config"] = {"name": layer["config"]["name"], **config}

    return change_config(change)


def function(name, module):
    return {"class_name": "function", "config": name, "module": module, "registered_name": name}


def change_weights(change):
    """A craft that changes the HDF5 file of the weights."""

    def craft(run):
        parts, path = parts_of(run), run.parent / "changed.h5"
        path.write_bytes(parts["model.weights.h5"])
        with h5py.File(path, "a") as file:
            change(file)
        write_parts(run, {**parts, "model.weights.h5": path.read_bytes()})
        path.unlink()

    return craft


def first_data_set(file):
    names = []
    file.visititems(
        lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None
    )
    return names[0]


def replace_data_set(make):
    def change(file):
        name = first_data_set(file)
        shape = file[name].shape
        del file[name]
        make(file, name, shape)

    return change_weights(change)


def link(name, target="elsewhere"):
    """A craft that makes an entry of the Run a link to what lies beside it."""

    def craft(run):
        path = run / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        path.symlink_to(run.parent / target)

    return craft


def pipe(run):
    (run / "labels.json").unlink()
    os.mkfifo(run / "labels.json")


def nested(run):
    write_parts(run, {**parts_of(run), "config.json": "[" * 200_000 + "]" * 200_000})


def bomb(run):
    parts = {**parts_of(run), "model.weights.h5": bytes(2**26)}
    write_parts(run, parts, zipfile.ZIP_DEFLATED)


def not_a_model(run):
    (run / "model.keras").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))


def lambda_of_bytes(run):
    code = {
        "class_name": "__lambda__",
        "config": {"value": "4wEAAAA=", "defaults": None, "closure": None},
    }
    swap("Lambda", function=code)(run)


GET_FILE = function("get_file", "keras.utils")
CRAFTS = {
    "a Lambda layer": lambda_of_bytes,
    "a Lambda layer of a Keras function": swap("Lambda", function=GET_FILE),
    "a Lambda layer by its module": swap(
        "Lambda", "keras.src.layers.core.lambda_layer", function="relu"
    ),
    "a SavedModel layer": swap("TFSMLayer", filepath="../elsewhere"),
    "a pickled layer": swap("TorchModuleWrapper", module="gAR9lC4="),
    "a function as activation": put(activation=function("save_img", "keras.utils")),
    "a data set as initializer": put(
        kernel_initializer=function("load_data", "keras.datasets.mnist")
    ),
    "a function of another module": put(bias_initializer=function("system", "os")),
    "a function among the activations": put(activation=function("deserialize", "builtins")),
    "a function deep in a list": put(units_unknown=[{"a": [function("get_file", "keras.utils")]}]),
    "a class that is no layer": swap("PyDataset", "keras.utils"),
    "a class of another module": swap("Popen", "subprocess", args=["touch", "pwned"]),
    "a typespec": put(
        activation={"class_name": "__typespec__", "config": [], "spec_name": "X", "module": "os"}
    ),
    "a vocabulary in a file": swap("StringLookup", vocabulary="../elsewhere/mine.txt"),
    "a layer too large": put(units=10**12),
    "a constant too large": put(
        activation={"class_name": "__numpy__", "config": {"value": "", "dtype": "S999999999"}}
    ),
    "a config nested too deeply": nested,
    "a config that is no model": change_config(lambda config: [config]),
    "a zip bomb": bomb,
    "a part outside": lambda run: write_parts(
        run, {**parts_of(run), "../elsewhere/new.txt": b"new"}
    ),
    "assets": lambda run: write_parts(run, {**parts_of(run), "assets/words.txt": b"new"}),
    "another format": not_a_model,
    "weights in another file": replace_data_set(
        lambda file, name, shape: file.create_dataset(
            name, shape, "f4", external=[("/etc/passwd", 0, 10**9)]
        )
    ),
    "weights through a link": replace_data_set(
        lambda file, name, shape: file.__setitem__(name, h5py.ExternalLink("/etc/passwd", "x"))
    ),
    "weights that are not there": replace_data_set(
        lambda file, name, shape: file.create_dataset(name, (10**9, *shape), "f4", chunks=True)
    ),
    "a report that is a link": link("report"),
    "checkpoints that are a link": link("checkpoints"),
    "labels that are a link": link("labels.json", "elsewhere/mine.txt"),
    "a dangling link": link("report", "elsewhere/new"),
    "a pipe": pipe,
}


def contents(folder):
    """Every entry below a folder, and what is in it."""
    paths = sorted(folder.rglob("*"))
    return {
        path: path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in paths
    }


@pytest.mark.parametrize("craft", CRAFTS.values(), ids=CRAFTS)
def test_is_refused_in_one_line_and_nothing_is_written(craft, run):
    craft(run)
    before = contents(run.parent)
    line = commands.fails(2, "predict", run, PICTURE, before=no_network)
    assert str(run) in line
    assert contents(run.parent) == before


def test_links_are_refused_before_a_report_or_a_training_writes_through_them(run):
    link("report")(run)
    before = contents(run.parent)
    commands.fails(2, "report", run, words=["report", "link"])
    for how in ("--overwrite", "--resume"):
        commands.fails(
            2, "train", "mnist", "--epochs", 1, "--output", run, how, words=["report", "link"]
        )
    assert contents(run.parent) == before


def test_a_link_to_the_run_is_the_users_own(run, tmp_path):
    (tmp_path / "link").symlink_to(run)
    assert processes.deepapps("predict", tmp_path / "link", PICTURE).status == 0


def change_settings(run, **values):
    stored = json.loads((run / "settings.json").read_text())
    stored["settings"].update(values)
    (run / "settings.json").write_text(json.dumps(stored))


def test_evaluate_says_which_data_it_reads(run):
    ended = processes.deepapps("evaluate", run, "--json", before=no_network)
    assert ended.status == 0 and json.loads(ended.out)["accuracy"] > 0.5
    assert ended.err == f"{run}: evaluates on its own data: data sample\n"


@pytest.mark.parametrize(
    "data", ["pipe", "folder", "/dev/zero", "/proc/self/environ", "tfds:mnist"]
)
def test_evaluate_opens_files_alone_and_downloads_nothing(run, tmp_path, data):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder" / "a").mkdir(parents=True)
    os.mkfifo(tmp_path / "folder" / "a" / "x.png")
    change_settings(run, data=str(tmp_path / data) if data in ("pipe", "folder") else data)
    ended = processes.deepapps("evaluate", run, before=no_network)
    named, error = ended.err.splitlines()
    assert (ended.status, ended.out) == (2, "") and "evaluates on its own data" in named
    assert str(run) in error and (
        "is not opened" in error or "nothing is downloaded" in error.lower()
    )


def test_what_the_caller_registered_is_loaded(tmp_path):
    @keras.saving.register_keras_serializable("tests_stranger")
    class Twice(keras.layers.Layer):
        def call(self, inputs):
            return 2 * inputs

    @keras.saving.register_keras_serializable("tests_stranger")
    def cubed(x):
        return x**3

    model = keras.Sequential([keras.Input((3,)), Twice(), keras.layers.Dense(2, activation=cubed)])
    model.save(tmp_path / "model.keras")
    inputs = np.ones((1, 3), "float32")
    loaded = saved_model.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(inputs), model(inputs))
    keras.saving.get_custom_objects().pop("tests_stranger>Twice")
    with pytest.raises(ValueError, match="names .*Twice.*registered"):
        saved_model.load_model(tmp_path / "model.keras")


def test_an_optimizer_of_a_stranger_is_refused(run):
    stored = json.loads((run / "settings.json").read_text())
    rate = {**GET_FILE, "class_name": "function"}
    adam = keras.optimizers.serialize(keras.optimizers.Adam())
    stored["training"]["optimizer"] = {**adam, "config": {**adam["config"], "learning_rate": rate}}
    (run / "settings.json").write_text(json.dumps(stored))
    (run / "metrics.json").unlink()
    line = ["train", "mnist", "--output", run, "--resume"]
    commands.fails(2, *line, before=no_network, words=["get_file", "registered"])


def test_labels_of_a_stranger_are_text_in_the_report(run):
    labels = json.loads((run / "labels.json").read_text())
    text = (run / "labels.json").read_text().replace('"7"', '"<script>7</script>"')
    assert labels and text != (run / "labels.json").read_text()
    (run / "labels.json").write_text(text)
    page = deepapps.load_run(run).report().read_text()
    assert "<script>7" not in page


def put_json(name, change):
    """A craft that changes what a JSON file of the Run holds; of a .jsonl the last line."""

    def craft(run):
        *lines, text = (run / name).read_text().splitlines() if name.endswith("l") else ["", ""]
        value = json.loads(text or (run / name).read_text())
        value = change(value) or value
        (run / name).write_text("\n".join([*lines, json.dumps(value)]) + "\n")

    return craft


def at(*keys, value):
    """A change of a part of a JSON value."""

    def change(whole):
        for key in keys[:-1]:
            whole = whole[key]
        whole[keys[-1]] = value

    return change


TEST = "test", "per_class", "7"
DAMAGED = {  # of which Run, how, and the words of the line
    "labels as an object": ("mnist", "labels.json", at("class_names", value={}), "class_names"),
    "a label as a number": (
        "mnist",
        "labels.json",
        at("class_names", 3, value=3),
        "class_names[3]",
    ),
    "a label twice": ("mnist", "labels.json", at("class_names", 3, value="4"), "different names"),
    "labels nested": ("mnist", "labels.json", lambda value: [[value]], "must be an object"),
    "a shape of two": ("mnist", "labels.json", at("image_shape", value=[28, 28]), "a list of 3"),
    "a shape too large": ("mnist", "labels.json", at("image_shape", 0, value=10**9), "to 4096"),
    "fewer labels than outputs": (
        "mnist",
        "labels.json",
        lambda value: value["class_names"].pop() and None,
        "model.keras",
    ),
    "another shape than the model's": (
        "mnist",
        "labels.json",
        at("image_shape", value=[8, 8, 1]),
        "model.keras",
    ),
    "settings as a list": ("mnist", "settings.json", at("settings", value=[]), "settings must be"),
    "a version as a number": ("mnist", "settings.json", at("versions", "keras", value=3), "text"),
    "no training": (
        "mnist",
        "settings.json",
        lambda value: value.pop("training") and None,
        "has no",
    ),
    "an integer of 100 digits": (
        "mnist",
        "settings.json",
        at("training", "epochs", value=10**100),
        "64 bits",
    ),
    "a setting out of range": (
        "mnist",
        "settings.json",
        at("settings", "units", value=10**9),
        "at most 16384",
    ),
    "half a character": ("words", "labels.json", at("class_names", 0, value="\ud800"), "UTF-8"),
    "a tokenizer of nothing": ("words", "encoder.json", at("tokenizer", value={}), "'tokenizer'"),
    "a tokenizer as text": ("words", "encoder.json", at("tokenizer", value="x"), "an object"),
    "a length below 1": ("words", "encoder.json", at("max_length", value=0), "max_length"),
    "a kind of inputs": ("words", "encoder.json", at("inputs", value="sound"), "text, series"),
    "a token left out": (
        "words",
        "encoder.json",
        lambda value: value["tokenizer"]["model"]["vocab"].pop("the") and None,
        "encoder.json",
    ),
    "a scale of 0": ("series", "encoder.json", at("scale", 0, value=0), "'scale'"),
    "a mean of NaN": ("series", "encoder.json", at("mean", 0, value=float("nan")), "mean[0]"),
    "more features": ("series", "encoder.json", at("mean", value=[0.0]), "'mean' and 'scale'"),
    "no target": (
        "summarizer",
        "encoder.json",
        lambda value: {"source": value["source"]},
        "target",
    ),
    "an epoch as text": ("mnist", "history.jsonl", at("loss", value="low"), "history.jsonl: line"),
    "an epoch without number": (
        "mnist",
        "history.jsonl",
        lambda value: value.pop("epoch") and None,
        "number of its epoch",
    ),
    "metrics as a list": ("mnist", "metrics.json", at("test", value=[1]), "test must be an object"),
    "a class without f1": ("mnist", "metrics.json", at(*TEST, value={}), "per_class.7"),
    "a matrix of text": (
        "mnist",
        "metrics.json",
        at("test", "confusion_matrix", 0, 0, value="9"),
        "confusion_matrix[0][0]",
    ),
    "a matrix of fewer classes": (
        "mnist",
        "metrics.json",
        at("test", "confusion_matrix", value=[[1]]),
        "metrics.json",
    ),
    "a picture elsewhere": (
        "mnist",
        "examples.json",
        at(0, "picture", value="http://example.org/1.png"),
        "data:image",
    ),
    "a mistake without label": (
        "mnist",
        "examples.json",
        lambda value: value[0].pop("label") and None,
        "examples[0] has no 'label'",
    ),
    "weights of no words": (
        "summarizer",
        "examples.json",
        at(-1, "weights", value=[[1.0]]),
        "alignment",
    ),
}


@pytest.mark.parametrize("name, file, change, words", DAMAGED.values(), ids=DAMAGED)
def test_what_a_file_holds_is_checked_where_it_is_read(name, file, change, words, tmp_path):
    run = shutil.copytree(RUNS / name, tmp_path / "run")
    put_json(file, change)(run)
    with pytest.raises(ValueError) as error:
        loaded = deepapps.load_run(run)
        loaded.report() if file in ("history.jsonl", "metrics.json", "examples.json") else None
        assert loaded.model
    message = str(error.value)
    assert words in message and "\n" not in message and str(run) in message
    assert file in message or "model.keras" in message


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[" * 10**6, b'{"a": ', bytes(999)])
@pytest.mark.parametrize("file", ["settings.json", "labels.json", "metrics.json"])
def test_a_file_that_is_no_json(run, file, content):
    (run / file).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{run}/{file}: (is|cannot)"):
        assert deepapps.load_run(run).metrics


def test_a_half_written_report_of_a_killed_process_is_removed(run):
    left = run / ".report.abc.writing"
    left.mkdir()
    (left / "curves.png").write_bytes(b"half")
    deepapps.load_run(run).report()
    assert not left.exists()

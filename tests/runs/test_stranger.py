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

"""Sets of TensorFlow Datasets: prepared ones are read, others fail at once with what to do."""

import logging
import time

import numpy as np
import pytest

from deepapps.data.images import store as image_store
from deepapps.data.images.files import Reading, fit_pixels
from deepapps.data.images.load import load_evaluation_images, load_images
from deepapps.data.tfds import prepared_set

SIZES = {"train": 120, "validation": 7, "test": 9, "extra": 2}
NAMES = ["plus", "minus", "times"]


def picture(split, index):
    seed = list(SIZES).index(split)
    return np.random.default_rng([seed, index]).integers(0, 256, (5, 3, 1), "uint8")


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A folder in which three tiny sets are prepared, as a user would prepare them."""
    import tensorflow_datasets as tfds

    class SignsOfSums(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = tmp_path_factory.mktemp("code")
        picture_shape = (5, 3, 1)

        def _info(self):
            kind = tfds.features.ClassLabel(names=NAMES)
            shape = tfds.features.Image(shape=self.picture_shape)
            features = {"id": tfds.features.Text(), "picture": shape, "kind": kind}
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(split) for split in SIZES}

        def _generate_examples(self, split):
            for index in range(SIZES[split]):
                yield (
                    index,
                    {"id": f"{index}", "picture": self.draw(split, index), "kind": index % 3},
                )

        def draw(self, split, index):
            return picture(split, index)

    class SignsOfSizes(SignsOfSums):
        picture_shape = (None, None, 1)

        def draw(self, split, index):
            return picture(split, index)[: 4 + (index != 1)]

    class SignsOfNothing(SignsOfSums):
        def _info(self):
            features = tfds.features.FeaturesDict({"id": tfds.features.Text()})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            return {"train": iter([(0, {"id": "a"})])}

    folder = tmp_path_factory.mktemp("tfds")
    for builder in (SignsOfSums, SignsOfSizes, SignsOfNothing):
        builder(data_dir=folder).download_and_prepare()
    return folder


@pytest.fixture
def prepared(data_dir, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
    return data_dir


@pytest.fixture
def no_network(tmp_path, monkeypatch):
    """An empty folder of sets, and a proxy that nobody listens at."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")
    return tmp_path


def fails(data, *words):
    with pytest.raises(ValueError) as caught:
        load_images(data)
    assert "\n" not in str(caught.value)
    for word in words:
        assert str(word) in str(caught.value)


def test_prepared_set_is_read_by_the_types_of_its_features(prepared, caplog):
    with caplog.at_level(logging.WARNING):
        data = load_images("tfds:signs_of_sums")
    assert data[1].class_names == NAMES and data[1].image_shape == (5, 3, 1)
    assert "not used: the splits extra" in caplog.text
    for part, source in (("train", data[0].train), ("validation", data[0].validation)):
        expected = sorted(
            (picture(part, index).tobytes(), index % 3) for index in range(SIZES[part])
        )
        images, labels = source.arrays
        assert (
            sorted((i.tobytes(), int(t)) for i, t in zip(images, labels, strict=True)) == expected
        )
    assert len(data[0].test) == 9


def test_test_part_of_a_set_is_evaluated_by_name(prepared):
    source = load_evaluation_images("tfds:signs_of_sums", ["minus", "plus", "times"], (5, 3, 1))
    images, labels = source.arrays
    expected = {picture("test", index).tobytes(): [1, 0, 2][index % 3] for index in range(9)}
    assert {
        image.tobytes(): int(label) for image, label in zip(images, labels, strict=True)
    } == expected


def test_set_that_does_not_fit(prepared):
    fails("tfds:signs_of_nothing", "no feature of type Image", "Features: id")


@pytest.mark.parametrize("beyond_memory", [False, True])
def test_images_of_several_sizes_are_fitted_and_may_be_kept_on_disk(
    prepared, tmp_path, monkeypatch, beyond_memory
):
    reading = Reading(cache=str(tmp_path) if beyond_memory else None)
    if beyond_memory:
        monkeypatch.setattr(image_store, "IN_MEMORY_BYTES", 1000)
        fails("tfds:signs_of_sizes", "do not fit into memory", "--cache")
    for _ in range(2):
        data = load_images("tfds:signs_of_sizes", reading=reading)
        assert (
            data[1].image_shape == (64, 64, 1) and "(of 4x3 to 5x3 pixels)" in data[0].description
        )
        assert isinstance(data[0].train, image_store.ImageSource) == beyond_memory
        images, labels = data[0].validation[np.arange(7)]
        expected = [
            fit_pixels(picture("validation", i)[: 4 + (i != 1)], (64, 64, 1)) for i in range(7)
        ]
        assert sorted(
            (image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)
        ) == sorted((image.tobytes(), index % 3) for index, image in enumerate(expected))


def test_damaged_set(prepared):
    file = next((prepared / "signs_of_sums").glob("1.0.0/*-test.tfrecord*"))
    content = file.read_bytes()
    file.write_bytes(content[:100])
    try:
        fails("tfds:signs_of_sums", "the split 'test' cannot be read from", prepared)
    finally:
        file.write_bytes(content)


def test_set_that_is_not_prepared_says_what_to_do_at_once(no_network):
    prepared_set_line = (
        f"tfds:mnist: is not prepared in {no_network}, and https://storage.googleapis.com"
    )
    load_tfds()
    start = time.perf_counter()
    fails("tfds:mnist", prepared_set_line, "t.load('mnist')", "copy", "TFDS_DATA_DIR")
    assert time.perf_counter() - start < 2.5


def test_server_that_never_answers_is_given_up(no_network, monkeypatch):
    import socket

    load_tfds()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.perf_counter()
        fails("tfds:mnist", "cannot be reached")
        assert 1 < time.perf_counter() - start < 2.5


def load_tfds():
    """Imports TensorFlow Datasets, so that its import is not timed."""
    import tensorflow_datasets as tfds

    tfds.list_builders(with_community_datasets=False)


def test_names_that_are_unknown(no_network):
    fails("tfds:mnst", "no set 'mnst'", "'mnist'")
    fails("tfds:emnist/leters", "emnist has no config 'leters'", "'letters'")
    fails("tfds:mnist/foo", "mnist has no config 'foo'. It has none.")
    fails("tfds:mnist:9.9.9", "3.0.1")
    fails("tfds:", "must be tfds:NAME[/CONFIG]")
    fails("tfds:huggingface:mnist", "must be tfds:NAME[/CONFIG]")


def test_set_without_download_is_prepared_without_network(data_dir, no_network):
    assert prepared_set("signs_of_sums").info.splits["train"].num_examples == 120
    assert (no_network / "signs_of_sums" / "1.0.0" / "dataset_info.json").exists()

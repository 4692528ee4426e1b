"""Texts of TensorFlow Datasets: features found by their types; parts without labels are none."""

import pytest

from deepapps.data.sequences.load import load_sequences
from deepapps.tasks.sequence_classification import SequenceSettings

SIZES = {"train": 60, "validation": 6, "test": 5, "unsupervised": 4}


@pytest.fixture(scope="module", autouse=True)
def data_dir(tmp_path_factory):
    """A folder in which two tiny sets are prepared, as a user would prepare them."""
    import tensorflow_datasets as tfds

    class TinyReviews(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = tmp_path_factory.mktemp("code")
        texts = ("review",)

        def _info(self):
            texts = {name: tfds.features.Text() for name in self.texts}
            features = {**texts, "mood": tfds.features.ClassLabel(names=["bad", "good"])}
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(split) for split in SIZES}

        def _generate_examples(self, split):
            for index in range(SIZES[split]):
                texts = {name: f"{name} {index} of {split} ünd so" for name in self.texts}
                yield (
                    index,
                    {**texts, "mood": index % 2 if split in ("train", "validation") else -1},
                )

    class TinyPairs(TinyReviews):
        texts = ("one", "other")

    folder = tmp_path_factory.mktemp("tfds")
    for builder in (TinyReviews, TinyPairs):
        builder(data_dir=folder).download_and_prepare()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(folder))
        yield folder


def load(data, **settings):
    return load_sequences(SequenceSettings(data=data, minimum_count=1, **settings))


def test_the_text_and_the_label_are_found(caplog):
    data = load("tfds:tiny_reviews")
    assert data[1].class_names == ["bad", "good"] and len(data[0].validation) == 6
    assert len(data[0].train) + len(data[0].test) == 60, (
        "the test part has no labels, so it is split off"
    )
    assert "review 3 of train ünd so" in data[0].train.raw + data[0].test.raw
    assert (
        "not used: the splits unsupervised" in caplog.text
        and "5 examples have no label" in caplog.text
    )


def test_pairs_are_named():
    data = load("tfds:tiny_pairs", text_column="one", second_text_column="other")
    assert ("one 0 of validation ünd so", "other 0 of validation ünd so") in data[0].validation.raw


@pytest.mark.parametrize(
    "name, settings, fault",
    [
        (
            "tiny_pairs",
            {},
            "has 2 features of type Text, so it does not fit a sequence classifier; --text-column",
        ),
        ("tiny_reviews", {"text_column": "text"}, "has no feature 'text'. Found: "),
        ("tiny_reviews", {"test": "tfds:tiny_reviews"}, "its test part has no labels"),
    ],
)
def test_what_is_refused(name, settings, fault):
    with pytest.raises(ValueError) as error:
        load(f"tfds:{name}", **settings)
    assert fault in str(error.value)

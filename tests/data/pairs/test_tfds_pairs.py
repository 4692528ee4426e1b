"""Pairs of a prepared set of TensorFlow Datasets, found by the types of its features."""

import pytest

from deepapps.data.pairs.load import find_parts, load_pairs
from deepapps.tasks.translation import TranslatorSettings


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    import tensorflow_datasets as tfds

    class NumbersAndSigns(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = tmp_path_factory.mktemp("code")

        def _info(self):
            features = tfds.features.Translation(languages=("de", "en"))
            return tfds.core.DatasetInfo(
                builder=self, features=features, supervised_keys=("en", "de")
            )

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(90), "test": self._generate_examples(5)}

        def _generate_examples(self, count):
            for index in range(count):
                yield index, {"en": f"the {index}", "de": f"die {index} größer"}

    folder = tmp_path_factory.mktemp("tfds")
    NumbersAndSigns(data_dir=folder).download_and_prepare()
    return folder


def test_source_and_target_are_in_the_order_of_supervision(data_dir, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
    settings = TranslatorSettings(data="tfds:numbers_and_signs", vocabulary_size=300)
    splits = load_pairs(settings)[0]
    assert len(splits.test) == 5 and len(splits.train) + len(splits.validation) == 90
    assert ("the 3", "die 3 größer") in splits.test.raw
    turned = find_parts("tfds:numbers_and_signs", TranslatorSettings(reverse=True))["test"]()
    assert ("die 3 größer", "the 3") in turned.inputs

"""The networks for translation: step by step they compute what they compute at once; padding
changes nothing.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from deepapps.networks import TRANSLATION_NETWORKS as NETWORKS
from deepapps.tasks.translation import TranslatorSettings

FORMS = [("attention-lstm", "bahdanau"), ("attention-lstm", "luong"), ("transformer", "bahdanau")]
SHAPES = {"sources": (3, 7), "targets": (3, 5)}


def network(
    name="attention-lstm", attention="bahdanau", vocabularies=(50, 61), shared=False, **settings
):
    settings = TranslatorSettings(network=name, attention=attention, units=12, depth=2, **settings)
    return NETWORKS[name](settings, vocabularies, shared)


def numbers(part, last=50):
    return np.random.default_rng(len(part)).integers(1, last, SHAPES[part]).astype("int32")


def test_every_network_is_a_choice():
    assert set(NETWORKS) == set(
        TranslatorSettings.__dataclass_fields__["network"].metadata["choices"]
    )


@pytest.mark.parametrize("name, attention", FORMS)
def test_step_by_step_is_what_the_call_computes(name, attention, tmp_path):
    model, sources, targets = network(name, attention), numbers("sources"), numbers("targets")
    sources[1, 4:] = 0
    logits = np.asarray(model((sources, targets)))
    assert logits.shape == (3, 5, 61) and logits.dtype == "float32"
    state = model.start(tf.constant(sources))
    for position in range(5):
        step, weights, state = model.step(tf.constant(targets[:, position]), state)
        np.testing.assert_allclose(step, logits[:, position], atol=1e-5)
        np.testing.assert_allclose(np.asarray(weights).sum(1), 1, atol=1e-5)
        assert not np.asarray(weights)[1, 4:].any()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_array_equal(loaded((sources, targets)), logits)


@pytest.mark.parametrize("name, attention", FORMS)
def test_neither_padding_nor_what_comes_later_changes_anything(name, attention):
    model, sources, targets = network(name, attention), numbers("sources"), numbers("targets")
    logits = np.asarray(model((sources, targets)))
    padded = model((np.pad(sources, ((0, 0), (0, 4))), np.pad(targets, ((0, 0), (0, 3)))))
    np.testing.assert_allclose(np.asarray(padded)[:, :5], logits, atol=1e-5)
    later = targets.copy()
    later[:, 3:] = 7
    np.testing.assert_allclose(np.asarray(model((sources, later)))[:, :3], logits[:, :3], atol=1e-5)
    sources[:, 2] = 9
    assert np.abs(np.asarray(model((sources, targets))) - logits).max() > 1e-4


def test_one_vocabulary_is_one_embedding():
    separate, joint = (
        network("transformer", vocabularies=(61, 61)),
        network("transformer", vocabularies=(61, 61), shared=True),
    )
    assert separate.count_params() - joint.count_params() == 61 * 12
    assert joint.source_embedding is joint.target_embedding


def test_a_model_trains_in_keras_fit():
    model = network(dropout=0.5)
    model.compile(
        "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False
    )
    targets = numbers("targets")
    history = model.fit((numbers("sources"), targets), targets, epochs=2, verbose=0)
    assert history.history["loss"][1] < history.history["loss"][0]

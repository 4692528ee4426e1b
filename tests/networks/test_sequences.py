"""The networks for sequences: any length, pairs, series; padding changes nothing."""

import keras
import numpy as np
import pytest

from deepapps.networks.sequences import ENCODERS, sequence_network
from deepapps.tasks.sequence_classification import SequenceSettings

SMALL = {"embedding_size": 6, "units": 8, "word_dropout": 0.5}


def network(name="attention-lstm", outputs=3, **form):
    settings = SequenceSettings(network=name, **SMALL)
    return sequence_network(settings, outputs, **(form or {"vocabulary": 50}))


def tokens(*shape):
    return np.random.default_rng(0).integers(2, 50, shape).astype("int32")


def test_every_network_is_a_choice():
    assert set(ENCODERS) == set(
        SequenceSettings.__dataclass_fields__["network"].metadata["choices"]
    )


@pytest.mark.parametrize("name", ENCODERS)
def test_padding_changes_nothing(name, tmp_path):
    model, sequences = network(name), tokens(4, 7)
    outputs = np.asarray(model(sequences))
    assert outputs.shape == (4, 3) and model.output_shape == (None, 3)
    padded = np.pad(sequences, ((0, 0), (0, 5)))
    np.testing.assert_allclose(model(padded), outputs, atol=1e-5)
    assert (
        np.abs(
            np.asarray(model(np.pad(sequences, ((0, 0), (0, 1)), constant_values=9))) - outputs
        ).max()
        > 1e-6
    )
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        keras.models.load_model(tmp_path / "model.keras")(sequences), outputs
    )


@pytest.mark.parametrize("name", ENCODERS)
def test_series(name):
    model = network(name, features=3)
    series = np.random.default_rng(0).normal(size=(4, 6, 3)).astype("float32")
    series[..., 0] = 1.0
    outputs = model(series)
    np.testing.assert_allclose(model(np.pad(series, ((0, 0), (0, 3), (0, 0)))), outputs, atol=1e-5)


def test_pairs_are_read_by_one_encoder():
    model, pairs = network(vocabulary=50, pairs=True), tokens(4, 2, 7)
    assert model(pairs).shape == (4, 3)
    single = network(vocabulary=50).get_layer("embedding").count_params()
    assert model.get_layer("encoder").get_layer("embedding").count_params() == single
    assert np.abs(np.asarray(model(pairs)) - np.asarray(model(pairs[:, ::-1]))).max() > 1e-6


@pytest.mark.parametrize("name", ["attention-lstm", "transformer"])
def test_the_weights_of_attention_can_be_had(name):
    model, sequences = network(name), tokens(2, 5)
    sequences[1, 3:] = 0
    layer = model.get_layer("attention")
    steps, mask = keras.Model(model.input, layer.input)(sequences)
    found = np.asarray(layer(steps, mask=mask, return_attention_scores=True)[1])
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    assert (found[1, 3:] == 0).all()


@pytest.mark.parametrize("pairs", [False, True])
def test_given_vectors_stay_and_learnt_ones_begin_with_them(pairs):
    vectors = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
    model = network(vocabulary=50, pairs=pairs, vectors=vectors)
    model = model.get_layer("encoder") if pairs else model
    learnt, given = (model.get_layer(name) for name in ("embedding", "given"))
    np.testing.assert_array_equal(learnt.get_weights()[0], vectors[:50])
    assert learnt.trainable_weights and not given.trainable_weights
    learnt.set_weights([vectors[:50] + 1])
    found = keras.Model(model.input, model.get_layer("embedded").output)(
        np.array([[2, 49, 50, 59]])
    )
    expected = np.concatenate([vectors, vectors], axis=1)[[2, 49, 50, 59]]
    expected[:2, :4] += 1
    np.testing.assert_array_equal(found[0], expected)

"""Outputs for many inputs, and what classifiers make of them."""

import keras
import numpy as np
import pytest
from scipy.special import expit, softmax

from deepapps.data.ragged import Ragged
from deepapps.inference.predictor import Predictor
from deepapps.tasks.answers import class_answers, label_answers


@pytest.mark.parametrize("count", [1, 256, 700])
def test_outputs_come_in_the_order_of_the_inputs(count):
    inputs = keras.Input((None,), dtype="int32")
    mask = keras.ops.cast(inputs > 0, "float32")
    model = keras.Model(
        inputs, keras.ops.stack([keras.ops.sum(mask, 1), keras.ops.sum(inputs, 1)], axis=1)
    )
    lengths = np.random.default_rng(0).integers(1, 40, count)
    values = np.random.default_rng(1).integers(1, 9, lengths.sum()).astype("int32")
    outputs = Predictor(model).predict(Ragged(values, lengths))
    np.testing.assert_array_equal(outputs[:, 0], lengths)
    ends = np.cumsum(lengths)
    np.testing.assert_array_equal(
        outputs[:, 1], [values[e - n : e].sum() for e, n in zip(ends, lengths, strict=True)]
    )


def test_arrays_are_predicted_as_keras_does():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    arrays = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    np.testing.assert_allclose(Predictor(model).predict(arrays), model(arrays), atol=1e-6)


def test_answers():
    probabilities = softmax(np.array([[1000.0, 0.0], [0.0, np.log(3.0)]]), axis=-1)
    np.testing.assert_allclose(probabilities, [[1, 0], [0.25, 0.75]])
    assert [answer["label"] for answer in class_answers(probabilities, ["a", "b"])] == ["a", "b"]
    assert class_answers(probabilities, ["a", "b"])[0]["probabilities"] == {"a": 1.0, "b": 0.0}
    probabilities = expit(np.array([[2.0, -2.0], [-1000.0, -1.0], [0.0, 1000.0]]))
    assert [answer["labels"] for answer in label_answers(probabilities, ["a", "b"])] == [
        ["a"],
        [],
        ["a", "b"],
    ]


def test_outputs_of_each_step_are_padded_to_the_longest():
    inputs = keras.Input((None,), dtype="int32")
    model = keras.Model(inputs, keras.ops.cast(inputs, "float32")[..., None] * 2)
    lengths = np.array([3, 40, 1] * 200)
    values = np.arange(1, lengths.sum() + 1, dtype="int32")
    outputs = Predictor(model).predict(Ragged(values, lengths))
    assert outputs.shape == (600, 40, 1)
    np.testing.assert_array_equal(outputs[0, :, 0], [2, 4, 6] + [0] * 37)
    np.testing.assert_array_equal(outputs[1, :, 0], 2 * np.arange(4, 44))


def test_inputs_and_outputs_may_be_several():
    one, two = keras.Input((2,)), keras.Input((2,))
    model = keras.Model([one, two], {"sum": one + two, "product": one * two})
    arrays = [np.arange(600.0).reshape(300, 2).astype("float32"), np.full((300, 2), 3, "float32")]
    outputs = Predictor(model).predict(arrays)
    np.testing.assert_allclose(outputs["sum"], arrays[0] + 3)
    np.testing.assert_allclose(outputs["product"], arrays[0] * 3)


def test_only_the_last_compiled_functions_are_kept():
    predictor = Predictor(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))
    batch = np.ones((2, 1), "float32")
    first = predictor.compiled("first", lambda batch: batch)
    for number in range(20):
        predictor.compiled(number, lambda batch, number=number: batch * number)
        assert predictor.compiled("first", None) is first  # used again and again
    np.testing.assert_array_equal(predictor.compiled(19, None)(batch), batch * 19)
    np.testing.assert_array_equal(predictor.compiled(0, lambda batch: batch * 7)(batch), batch * 7)

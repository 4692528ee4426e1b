"""Every exported layer passes the same checks; the odd cases are in the tests beside this one."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from layers.cases import CASES, Case

import deepapps
from deepapps.distribution.strategies import make_strategy

every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_layer = pytest.mark.parametrize("case", [case for case in CASES if not case.name], ids=str)


@pytest.fixture(scope="module", autouse=True)
def graphs_as_they_are():
    """TensorFlow takes longer to optimize these small graphs than to run them."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


def project(outputs):
    """A scalar that everything in the outputs matters to; a sum over the batch."""
    total = 0.0
    for output in outputs:
        size = tf.reduce_prod(tf.shape(output)[1:])
        total += tf.reduce_sum(
            tf.reshape(output, (-1, size)) * tf.cos(tf.cast(tf.range(size), output.dtype) + 1)
        )
    return total


def outputs_and_gradients(case, layer, arrays):
    """Outputs, gradients of the weights, gradients of the inputs, of `project`."""
    inputs = {name: tf.convert_to_tensor(array) for name, array in arrays.items()}
    sources = [inputs[name] for name in case.tensors]
    weights = [variable.value for variable in layer.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        found = case.run(layer, inputs)
        loss = project(found)
    gradients = [tf.convert_to_tensor(one) for one in tape.gradient(loss, [*weights, *sources])]
    return found, gradients[: len(weights)], gradients[len(weights) :]


@functools.cache
def expected(case):
    return outputs_and_gradients(case, case.layer(), case.arrays())


@functools.cache
def functional(case, layer=None):
    axes = case.axes()
    inputs = {
        name: keras.Input(
            batch_shape=[
                None if letter in "BQTV" else size for letter, size in case.sized(letters)
            ],
            dtype="bool" if name in case.masks else "float32",
            name=name,
        )
        for name, letters in axes.items()
    }
    return keras.Model(inputs, case.run(layer or case.layer(), inputs))


def assert_close(found, wanted, tolerance=1e-5):
    found, wanted = tf.nest.flatten(found), tf.nest.flatten(wanted)
    for one, other in zip(found, wanted, strict=True):
        one, other = (np.asarray(tf.cast(tensor, "float64")) for tensor in (one, other))
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def test_every_exported_layer_stands_in_the_table():
    exported = {getattr(deepapps.layers, name) for name in deepapps.layers.__all__}
    exported = {one for one in exported if isinstance(one, type) and issubclass(one, keras.Layer)}
    # tested in test_tokens.py
    on_tokens = {deepapps.layers.NGramEmbedding, deepapps.layers.TokenDropout}
    assert {layer for case in CASES for layer in case.covers} == exported - on_tokens


@every_case
@pytest.mark.parametrize("masked", [True, False], ids=["masked", "whole"])
def test_equals_the_reference(case: Case, masked):
    layer, arrays = case.layer(), case.arrays(masked=masked)
    doubles = {
        name: array if array.dtype == bool else array.astype("float64")
        for name, array in arrays.items()
    }
    assert_close(case.run(layer, arrays), case.expected(layer.get_weights(), doubles))


@every_case
def test_without_masks_equals_masks_that_are_true_everywhere(case):
    arrays = case.arrays(masked=False)
    bare = {name: array for name, array in arrays.items() if name in case.tensors}
    assert_close(case.run(case.layer(), bare), case.run(case.layer(), arrays))


@every_case
def test_what_stands_under_a_mask_changes_nothing(case):
    arrays = case.arrays()
    for name, (letters, covered) in case.masks.items():
        for tensor in covered:
            assert len(letters) == 2
            arrays[tensor] = np.where(arrays[name][..., None], arrays[tensor], np.nan).astype(
                "float32"
            )
    found = outputs_and_gradients(case, case.layer(), arrays)
    assert all(np.isfinite(tensor).all() for tensor in tf.nest.flatten(found))
    assert_close(found, expected(case), 1e-6)


@every_case
def test_a_row_that_is_masked_everywhere_gives_zeros(case):
    for name, zeros in case.zeros.items():
        arrays = case.arrays()
        arrays[name][1] = False
        layer = case.layer()
        outputs, *gradients = outputs_and_gradients(case, layer, arrays)
        for index in zeros:
            assert not np.any(outputs[index][1]), name
        assert all(np.isfinite(tensor).all() for tensor in tf.nest.flatten(gradients))
        assert_close(outputs, case.expected(layer.get_weights(), arrays))


@every_case
def test_symbolic_shapes_and_dtypes_are_those_of_the_call(case):
    symbolic, outputs = functional(case).outputs, expected(case)[0]
    sizes = [size for letter, size in case.sized("BQTV")]
    for tensor, output in zip(symbolic, outputs, strict=True):
        assert tensor.dtype == keras.backend.standardize_dtype(output.dtype)
        assert len(tensor.shape) == len(output.shape)
        for size, eager in zip(tensor.shape, output.shape, strict=True):
            assert size == eager or (size is None and eager in sizes)
    inputs = {
        name: keras.KerasTensor(array.shape, str(array.dtype))
        for name, array in case.arrays().items()
    }
    whole = case.run(case.make(), inputs)
    assert [tensor.shape for tensor in whole] == [tuple(output.shape) for output in outputs]


@every_case
def test_compute_output_shape_is_the_shape_of_the_call(case):
    layer = case.layer()
    arrays = [array for name, array in case.arrays().items() if name in case.tensors]
    shapes = layer.compute_output_shape(*[array.shape for array in arrays])
    first = shapes[0] if isinstance(shapes, list) or isinstance(shapes[0], tuple) else shapes
    assert tuple(first) == tuple(expected(case)[0][0].shape)


@pytest.mark.parametrize(
    "case", [case for case in CASES if len(case.tensors) == 1 and not case.name], ids=str
)
def test_runs_at_every_step_of_a_longer_sequence(case):
    """Inside `keras.layers.TimeDistributed`, which asks for the shape."""
    (name,) = case.tensors
    inputs = np.stack([case.arrays(seed=seed)[name] for seed in range(3)], axis=1)
    layer = case.make()
    for option in ("return_sequences", "return_state", "return_attention_scores"):
        if hasattr(layer, option):
            setattr(layer, option, False)
    steps = keras.layers.TimeDistributed(layer)
    found = steps(inputs)
    assert steps.compute_output_shape(inputs.shape) == tuple(found.shape)
    for step in range(3):
        assert_close(found[:, step], layer(inputs[:, step]))


@every_case
def test_frozen_stays_frozen(case, tmp_path):
    layer = case.layer.__wrapped__(case)
    layer.trainable = False
    copies = [type(layer).from_config(layer.get_config())]
    case.run(copies[0], case.arrays())
    model = functional.__wrapped__(case, layer)
    model.save(tmp_path / "model.keras")
    copies += [keras.models.clone_model(model), keras.models.load_model(tmp_path / "model.keras")]
    assert [copy.trainable_weights for copy in copies] == [[], [], []]
    copies[0].trainable = True
    assert len(copies[0].trainable_weights) == len(case.layer().trainable_weights)


@every_case
def test_comes_back_from_a_keras_file(case, tmp_path):
    functional(case).save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_close(loaded(case.arrays()), expected(case)[0], 1e-6)


@every_case
def test_comes_back_from_its_config(case):
    layer = case.layer()
    copy = type(layer).from_config(layer.get_config())
    case.run(copy, case.arrays())
    copy.set_weights(layer.get_weights())
    assert_close(case.run(copy, case.arrays()), expected(case)[0], 1e-6)
    assert copy.get_config() == layer.get_config()


@every_layer
def test_exported_model_takes_any_batch_and_length(case, tmp_path):
    functional(case).export(tmp_path / "model", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "model")
    for sizes in ({}, {"B": 3, "Q": 4, "T": 2, "V": 7}):
        arrays = case.arrays(**sizes)
        assert_close(loaded.serve(arrays), case.run(case.layer(), arrays))


@every_case
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_computes_in_half_and_keeps_variables_whole(case, policy):
    layer = case.layer(dtype=policy)
    outputs, gradients, _ = outputs_and_gradients(case, layer, case.arrays())
    assert {output.dtype.name for output in outputs} == {policy.removeprefix("mixed_")}
    assert {tensor.dtype for tensor in layer.weights} <= {"float32"}
    assert all(np.isfinite(tensor).all() for tensor in gradients)
    assert_close(outputs, expected(case)[0], case.half)
    if case.weights is not None:
        sums = np.sum(np.float32(outputs[case.weights]), axis=-1)
        some = np.sum(expected(case)[0][case.weights], axis=-1) > 0
        np.testing.assert_allclose(sums, some, atol=0.02)


@every_case
def test_two_replicas_equal_one(case):
    strategy = make_strategy("mirrored:2")
    with strategy.scope():
        layer = case.layer.__wrapped__(case)

    def replica():
        index = tf.distribute.get_replica_context().replica_id_in_sync_group
        own = {
            name: tf.convert_to_tensor(array)[index : index + 1]
            for name, array in case.arrays().items()
        }
        return outputs_and_gradients(case, layer, own)

    outputs, gradients, _ = strategy.run(replica)
    outputs = [tf.concat(strategy.experimental_local_results(output), 0) for output in outputs]
    gradients = [strategy.reduce("SUM", gradient, axis=None) for gradient in gradients]
    assert_close([outputs, gradients], expected(case)[:2])

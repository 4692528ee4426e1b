"""Keras's LSTM, with a loop of our own where Keras has none made for the machine: on TensorFlow
without a GPU.
"""

import keras
from keras import ops

from deepapps.layers.backend import tf
from deepapps.layers.gradients import with_gradient
from deepapps.layers.initializers import drawn_wide
from deepapps.layers.masks import keep


@keras.saving.register_keras_serializable("deepapps")
class LSTM(keras.layers.LSTM):
    """Keras's LSTM (Hochreiter & Schmidhuber 1997), faster in `Bidirectional` on CPU: same
    arguments, weights, results.

    On TensorFlow without a GPU a step is one matrix product instead of two, and in training the
    gradient is written
    by hand: it gathers the gradients of the weights after the loop. With dropout inside, another
    activation, without bias or unrolled the loop is Keras's own, as it is elsewhere.

    Args: those of `keras.layers.LSTM`.
    Call arguments:
        sequences: `(B, T, D)`.
        initial_state: h and c, `(B, U)` each. Defaults to zeros.
        mask: Boolean `(B, T)`. A step that is False leaves the state as it is; what stands there
            changes nothing.
        training: Whether dropout is on, and the gradient the one by hand.
    Returns: as `keras.layers.LSTM`.
    """

    def build(self, sequences_shape, initial_state_shape=None):
        self.supports_masking = True  # to pass the mask on, which Keras 3.16 does not
        initializer = self.cell.recurrent_initializer
        self.cell.recurrent_initializer = drawn_wide(initializer)
        super().build(sequences_shape, initial_state_shape)
        self.cell.recurrent_initializer = initializer

    def inner_loop(self, sequences, initial_state, mask, training=False):
        mask = mask[0] if keras.tree.is_nested(mask) else mask
        sequences = keep(ops.cast(sequences, self.compute_dtype), mask)
        if not self._is_plain(training):
            return super().inner_loop(sequences, initial_state, mask, training)
        steps = tf.transpose(sequences, (1, 0, 2))
        mask = None if mask is None else tf.transpose(tf.cast(mask, "bool"))[..., None]
        loop, cell = _trained_loop if training else _loop, self.cell
        weights = (
            tf.convert_to_tensor(weight)
            for weight in (cell.kernel, cell.recurrent_kernel, cell.bias)
        )
        outputs, last_c, *_ = loop(self.go_backwards, mask, steps, *initial_state, *weights)
        state = [outputs[-1], last_c]
        if mask is not None:
            mask = tf.reverse(mask, [0]) if self.go_backwards else mask
            # the output of the step before, of which the first has none
            if not self.zero_output_for_mask:
                mask = tf.cumsum(tf.cast(mask, "int32")) > 0
            outputs = tf.where(mask, outputs, tf.zeros_like(outputs))
        return outputs[-1], tf.transpose(outputs, (1, 0, 2)), state

    def _is_plain(self, training):
        """Whether the loop here does what the layer is to do, and faster than any other."""
        if keras.backend.backend() != "tensorflow":
            return False
        cell = self.cell
        return (
            not tf.config.list_physical_devices("GPU")
            and cell.activation is keras.activations.tanh
            and cell.recurrent_activation is keras.activations.sigmoid
            and cell.use_bias
            and not (training and (cell.dropout or cell.recurrent_dropout))
            and not self.unroll
            and self.use_cudnn is not True
        )


def gated(sums, c):
    """An LSTM's new h and c from the sums `(B, 4U)` of its gates, in Keras's order i, f, candidate,
    o, and its c.

    Returns: h, c, and what `gated_gradient` takes: i, f, candidate, o and tanh of the new c; all
        `(B, U)`.
    """
    i, f, candidate, o = tf.split(sums, 4, 1)
    i, f, candidate, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(candidate), tf.sigmoid(o)
    c = f * c + i * candidate
    squashed = tf.tanh(c)
    return o * squashed, c, i, f, candidate, o, squashed


def gated_gradient(d_h, d_c, c, i, f, candidate, o, squashed):
    """The gradients of c and of the sums that `gated` took, from those of the h and the c that
    it gave.
    """
    d_c = d_c + d_h * o * (1 - squashed * squashed)
    d_sums = [
        d_c * candidate * i * (1 - i),
        d_c * c * f * (1 - f),
        d_c * i * (1 - candidate * candidate),
        d_h * squashed * o * (1 - o),
    ]
    return d_c * f, tf.concat(d_sums, 1)


def _loop(backwards, mask, steps, h, c, kernel, recurrent, bias, training=False):
    """Runs over all steps.

    Args:
        backwards: Whether to read from the last step to the first.
        mask: `(T, B, 1)` or None.
        steps: The inputs, `(T, B, D)`.
        h, c: The state before the first step, `(B, U)`.
        kernel, recurrent, bias: `(D, 4U)`, `(U, 4U)` and `(4U,)`.
        training: Whether to keep what `_gradient` takes.
    Returns: all h `(T, B, U)`, in the order of the loop; the last c; and what is kept,
        `TensorArray`s of `(B, U)`.
    """
    length, weights = tf.shape(steps)[0], tf.concat([kernel, recurrent], 0)

    def body(index, h, c, arrays):
        place = length - 1 - index if backwards else index
        joined = tf.concat([tf.gather(steps, place), h], 1)
        new_h, new_c, *factors = gated(tf.nn.bias_add(tf.matmul(joined, weights), bias), c)
        if mask is not None:
            real = tf.gather(mask, place)
            new_h, new_c = tf.where(real, new_h, h), tf.where(real, new_c, c)
        results = (new_h, c, *factors)
        arrays = [
            array.write(index, result) for array, result in zip(arrays, results, strict=False)
        ]
        return index + 1, new_h, new_c, arrays

    arrays = [_array(steps, recurrent.shape[0]) for _ in range(7 if training else 1)]
    _, _, c, (outputs, *kept) = tf.while_loop(
        lambda index, *_: index < length,
        body,
        (0, h, c, arrays),
        parallel_iterations=1,
        maximum_iterations=length,  # XLA needs the bound
    )
    return outputs.stack(), c, kept


def _trained_loop(backwards, mask, *tensors):
    """As `_loop`, with its gradient by hand."""

    def loop(*tensors):
        outputs, c, kept = _loop(backwards, mask, *tensors, training=True)
        return (outputs, c), lambda *upstream: _gradient(
            backwards, mask, tensors, outputs, kept, *upstream
        )

    return with_gradient(loop, *tensors)


def _gradient(backwards, mask, tensors, outputs, kept, d_outputs, d_c):
    """The gradients of all `tensors`, from those of the results; `d_x` is the gradient of x."""
    steps, h, _, kernel, recurrent, _ = tensors
    length, zero = tf.shape(steps)[0], tf.constant(0, h.dtype)
    turned = tf.transpose(recurrent)  # once: slow in a loop

    def body(index, d_h, d_c, d_gates):
        c, *factors = (array.read(index) for array in kept)
        d_h, rest_h, rest_c = d_h + tf.gather(d_outputs, index), zero, zero
        if mask is not None:  # a padding step hands its gradient on
            real = tf.gather(mask, length - 1 - index if backwards else index)
            rest_h, rest_c = tf.where(real, zero, d_h), tf.where(real, zero, d_c)
            d_h, d_c = tf.where(real, d_h, zero), tf.where(real, d_c, zero)
        d_c, part = gated_gradient(d_h, d_c, c, *factors)
        return index - 1, tf.matmul(part, turned) + rest_h, d_c + rest_c, d_gates.write(index, part)

    _, d_h, d_c, d_gates = tf.while_loop(
        lambda index, *_: index >= 0,
        body,
        (length - 1, tf.zeros_like(h), d_c, _array(steps, recurrent.shape[1])),
        parallel_iterations=1,
    )

    def flat(tensor, width):
        return tf.reshape(tensor, (-1, width))

    d_gates = flat(d_gates.stack(), recurrent.shape[1])
    ordered = tf.reverse(steps, [0]) if backwards else steps
    earlier_h = tf.concat([h[None], outputs[:-1]], 0)
    d_kernel = tf.matmul(flat(ordered, kernel.shape[0]), d_gates, transpose_a=True)
    d_recurrent = tf.matmul(flat(earlier_h, recurrent.shape[0]), d_gates, transpose_a=True)
    # a sum of halves would lose the small ones
    d_bias = tf.raw_ops.BiasAddGrad(out_backprop=d_gates)
    d_steps = tf.reshape(tf.matmul(d_gates, kernel, transpose_b=True), tf.shape(steps))
    return (
        tf.reverse(d_steps, [0]) if backwards else d_steps,
        d_h,
        d_c,
        d_kernel,
        d_recurrent,
        d_bias,
    )


def _array(steps, width):
    """An array for `(B, width)` of each step."""
    shape = (steps.shape[1], width)
    return tf.TensorArray(
        steps.dtype, tf.shape(steps)[0], element_shape=shape, clear_after_read=False
    )

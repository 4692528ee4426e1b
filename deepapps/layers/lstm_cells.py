"""One step of recurrences that attend: Bahdanau's LSTM, Luong's, a GRU, and the LSTMN."""

import keras
from keras import ops

from deepapps.layers.cells import AttentionCell
from deepapps.layers.initializers import drawn_wide
from deepapps.layers.shapes import clone


@keras.saving.register_keras_serializable("deepapps")
class AttentionLSTMCell(AttentionCell):
    """An LSTM that attends with its last output and takes what it read as a second input (Bahdanau
    et al. 2015).

    `context_t = attend(h_{t-1}, memory)`, then the gates of Keras's LSTM, in its order i, f, c, o,
    from `[x_t; context_t] kernel + h_{t-1} recurrent_kernel + bias`. State: h and c.

    Args:
        units, attention: As in `AttentionCell`, which also documents hooks, state and steps.
        activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer,
            bias_initializer, unit_forget_bias, kernel_regularizer, recurrent_regularizer,
            bias_regularizer: As in `keras.layers.LSTM`.
        kwargs: Those of `keras.Layer`.
    """

    gates = 4

    def __init__(
        self,
        units,
        attention=None,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        unit_forget_bias=True,
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        **kwargs,
    ):
        super().__init__(units, attention, **kwargs)
        self.state_size = [units, units]
        self.activation = keras.activations.get(activation)
        self.recurrent_activation = keras.activations.get(recurrent_activation)
        self.use_bias, self.unit_forget_bias = use_bias, unit_forget_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = keras.regularizers.get(recurrent_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)

    def build(self, inputs_shape, memory_shape=None):
        super().build(inputs_shape, memory_shape)
        width = inputs_shape[-1] + self._second_width()
        self.kernel = self.add_weight(
            name="kernel",
            shape=(width, self.gates * self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
        )
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel",
            shape=(self.units, self.gates * self.units),
            initializer=drawn_wide(self.recurrent_initializer),
            regularizer=self.recurrent_regularizer,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.gates * self.units,),
                initializer=self._initial_bias,
                regularizer=self.bias_regularizer,
            )

    def _second_width(self):
        """Width of what is joined to the inputs."""
        return self.context_width

    def _initial_bias(self, shape, dtype=None):
        bias = self.bias_initializer(shape, dtype)
        if not self.unit_forget_bias:
            return bias
        ones = ops.ones((self.units,), dtype)
        return ops.concatenate([bias[: self.units], ones, bias[2 * self.units :]])

    def update(self, inputs, context, state):
        return self._lstm(ops.concatenate([inputs, context], axis=-1), *state)

    def _lstm(self, inputs, h, c):
        """The gates, on whole inputs `(B, D)`."""
        gates = ops.matmul(inputs, self.kernel) + ops.matmul(h, self.recurrent_kernel)
        if self.use_bias:
            gates = gates + self.bias
        i, f, candidate, o = ops.split(gates, 4, axis=-1)
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(
            candidate
        )
        return self.recurrent_activation(o) * self.activation(c), c

    def get_config(self):
        names = (
            "activation",
            "recurrent_activation",
            "kernel_initializer",
            "recurrent_initializer",
            "bias_initializer",
            "kernel_regularizer",
            "recurrent_regularizer",
            "bias_regularizer",
        )
        objects = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in names}
        return {
            **super().get_config(),
            **objects,
            "use_bias": self.use_bias,
            "unit_forget_bias": self.unit_forget_bias,
        }


@keras.saving.register_keras_serializable("deepapps")
class LuongLSTMCell(AttentionLSTMCell):
    """Steps, then attends with the new output, and feeds what comes of it back (Luong et al. 2015,
    3.3).

    `h, c = LSTM([x_t; a_{t-1}], h, c)`, `a_t = tanh([attend(h, memory); h] W)`. The output is
    `a_t`, the attentional vector. State: h, c and a.

    Args: those of `AttentionLSTMCell`.
    """

    def __init__(self, units, attention=None, **kwargs):
        super().__init__(units, attention, **kwargs)
        self.state_size = [units, units, units]

    def build(self, inputs_shape, memory_shape=None):
        super().build(inputs_shape, memory_shape)
        self.attentional_kernel = self.add_weight(
            name="attentional_kernel",
            shape=(self.context_width + self.units, self.units),
            initializer=clone(self.kernel_initializer),
            regularizer=self.kernel_regularizer,
        )

    def _second_width(self):
        return self.units

    def advance(self, inputs, state, memory):
        h, c, attentional = state
        h, c = self.update(inputs, attentional, (h, c))
        context, weights = self.read(h, memory)
        joined = ops.concatenate([context, h], axis=-1)
        attentional = self.activation(ops.matmul(joined, self.attentional_kernel))
        return attentional, (h, c, attentional), weights


@keras.saving.register_keras_serializable("deepapps")
class LSTMNCell(AttentionLSTMCell):
    """The LSTM whose memory is all of its past (Cheng et al. 2016, "Long short-term
    memory-networks").

    With the input and its last summary it attends to its earlier outputs h; their weighted sum, and
    that of the cells c, take the place of `h_{t-1}` and `c_{t-1}` in an LSTM. State: h, c, and the
    summary.

    Args: those of `AttentionLSTMCell`.
    """

    attends_to_past, takes_initial_state = True, False  # h and c are read through the past

    def __init__(self, units, attention=None, **kwargs):
        super().__init__(units, attention, **kwargs)
        self.state_size = [units, units, units]

    def _second_width(self):
        return 0

    def make_query(self, inputs, state):
        return ops.concatenate([inputs, state[2]], axis=-1)

    def remember(self, state):
        return ops.concatenate([state[0], state[1]], axis=-1), state[0]

    def update(self, inputs, context, state):
        summary, cells = ops.split(context, 2, axis=-1)
        return (*self._lstm(inputs, summary, cells), summary)


@keras.saving.register_keras_serializable("deepapps")
class AttentionGRUCell(AttentionLSTMCell):
    """A GRU that attends with its last output, as in the decoder of Bahdanau et al. (2015). State:
    h.

    Args: those of `AttentionLSTMCell`; there is no forget gate whose bias could be 1.
    """

    gates = 3

    def __init__(self, units, attention=None, unit_forget_bias=False, **kwargs):
        if unit_forget_bias:
            raise ValueError(
                "`unit_forget_bias` must be False: a GRU has no forget gate. Received: True"
            )
        super().__init__(units, attention, unit_forget_bias=False, **kwargs)
        self.state_size = [units]

    def update(self, inputs, context, state):
        (h,) = state
        ahead = ops.matmul(ops.concatenate([inputs, context], axis=-1), self.kernel)
        if self.use_bias:
            ahead = ahead + self.bias
        kernel, width = ops.convert_to_tensor(self.recurrent_kernel), 2 * self.units
        gates = self.recurrent_activation(ahead[:, :width] + ops.matmul(h, kernel[:, :width]))
        keep, reset = ops.split(gates, 2, axis=-1)
        candidate = self.activation(ahead[:, width:] + ops.matmul(reset * h, kernel[:, width:]))
        return (keep * h + (1 - keep) * candidate,)

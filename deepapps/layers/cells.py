"""One step of a recurrence that attends: Bahdanau's LSTM, Luong's, a GRU, and the LSTMN."""

import keras
from keras import ops

from deepapps.layers.attention import Attention, Memory
from deepapps.layers.initializers import drawn_wide
from deepapps.layers.multi_head import MultiHeadAttention
from deepapps.layers.pooling import AttentionPooling
from deepapps.layers.precision import in_compute_dtype
from deepapps.layers.scores import AdditiveAttention
from deepapps.layers.shapes import built_sizes, check_masks, check_positive, check_shapes, clone


class AttentionCell(keras.Layer):
    """One step that attends: the base of the cells here and of a user's own.

    A step makes a query, attends, and updates the state with what was read (Bahdanau et al. 2015).
    The state begins with the tensors of `state_size`. After them come, where they are needed, the
    past (for a cell that attends to it), the sum of the weights so far (for a score with coverage)
    and the number of the step.

    Hooks:
        update(inputs, context, state): The new state, a tuple as `state`. The only one that must be
        written. attend(query, memory): `(context, weights)`, `(B, Dm)` and `(B, Tm)`. Defaults to
        reading by `attention`. make_query(inputs, state): The query, `(B, Dq)`. Defaults to the
        first tensor of the state. remember(state): What is put into the past, a pair of value and
        key. Defaults to the same, twice. advance(inputs, state, memory): `(output, state,
        weights)`: the order of the above. Luong's is another.

    `build` calls `make_query`: build the layers that it uses before `super().build(...)`.

    Args:
        units: Width `U` of the output.
        attention: An `Attention`. Defaults to `AdditiveAttention(units)`.
        kwargs: Those of `keras.Layer`.
    """

    # to the cell's own earlier states, instead of a memory given in the call
    attends_to_past = False
    takes_initial_state = True  # whether `initial_state` in the call of a layer makes sense

    def __init__(self, units, attention=None, **kwargs):
        super().__init__(**kwargs)
        check_positive(units=units)
        if attention is not None and not isinstance(attention, Attention):
            raise ValueError(
                f"`attention` must be an `Attention` layer. Received: attention={attention!r}"
            )
        if isinstance(attention, MultiHeadAttention | AttentionPooling):
            raise ValueError(
                "`attention` must read single queries from a memory. Received: "
                f"{type(attention).__name__}"
            )
        if attention is None:
            attention = AdditiveAttention(units, dtype=self.dtype_policy, trainable=self.trainable)
        self.attention, self.units, self.state_size, self.output_size = (
            attention,
            units,
            [units],
            units,
        )

    @property
    def counts_steps(self):
        """Whether the state ends with the number of the step, padding included."""
        return self.attends_to_past or self.attention.uses_positions

    def update(self, inputs, context, state):
        raise NotImplementedError(
            f"{type(self).__name__} must have a method `update(inputs, context, state)`."
        )

    def attend(self, query, memory):
        context, weights = self.attention.attend(query[:, None], memory)
        return tuple(ops.cast(part[:, 0], self.compute_dtype) for part in (context, weights))

    def make_query(self, inputs, state):
        return state[0]

    def remember(self, state):
        return state[0], state[0]

    def advance(self, inputs, state, memory):
        context, weights = self.read(self.make_query(inputs, state), memory)
        state = self.update(inputs, context, state)
        return state[0], state, weights

    def read(self, query, memory):
        """What `attend` returns, checked."""
        found = self.attend(query, memory)
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise ValueError(
                f"`attend` of {type(self).__name__} must return context and weights. Received: "
                f"{type(found).__name__}"
            )
        return found

    def build(self, inputs_shape, memory_shape=None):
        if self.attends_to_past == (memory_shape is not None):
            rule = (
                "takes no `memory`: it attends to its own past"
                if memory_shape
                else "needs a `memory`"
            )
            raise ValueError(f"{type(self).__name__} {rule}. Received: memory shape {memory_shape}")
        inputs = keras.KerasTensor((None, inputs_shape[-1]))
        state = [keras.KerasTensor((None, size)) for size in self.state_size]
        shapes = {
            "query_shape": (None, 1, self.make_query(inputs, state).shape[-1]),
            "value_shape": memory_shape,
        }
        if self.attends_to_past:
            value, key = ((None, None, part.shape[-1]) for part in self.remember(state))
            shapes |= {"value_shape": value, "key_shape": key}
        if not self.attention.built:  # one that was loaded, or is in use elsewhere, comes built
            self.attention.build(**shapes)
        for name, width in built_sizes(self.attention, query="query", value="value").items():
            if width != shapes[f"{name}_shape"][-1]:
                raise ValueError(
                    f"`attention` was built for a {name} of width {width}. Received: width "
                    f"{shapes[f'{name}_shape'][-1]}"
                )
        self.context_width = shapes["value_shape"][-1]

    @in_compute_dtype
    def prepare_memory(self, memory=None, mask=None, training=False):
        """`Memory`, made ready once, for any number of steps.

        Args:
            memory: `(B, Tm, Dm)`; None for a cell that attends to its past.
            mask: Boolean `(B, Tm)`.
            training: Whether dropout and hard samples of the attention are on.
        """
        if self.attends_to_past:
            return Memory(None, None, seed=self.attention.draw_seed(training))
        if memory is None:
            raise ValueError(
                f"`memory` must be given: {type(self).__name__} attends to it. Received: None"
            )
        check_masks(mask=mask)
        check_shapes(memory=(memory, "B Tm Dm"), mask=(mask, "B Tm"))
        return self.attention.prepare(memory, mask=mask, training=training)

    @in_compute_dtype
    def initial_state(self, batch_size, memory, length=None):
        """The state before the first step, zeros; see the class for what is in it.

        Args:
            batch_size: `B`.
            memory: What `prepare_memory` returned.
            length: Steps that the past has room for, in a cell that attends to it.
        """
        state = [ops.zeros((batch_size, size), self.compute_dtype) for size in self.state_size]
        tapes = {}
        if self.attends_to_past:
            if length is None:
                raise ValueError(
                    f"`length` must be given: {type(self).__name__} attends to its past."
                )
            value, key = self.remember(state)
            key = self.attention.project_key(key[:, None])[:, 0]
            for name, part in (("values", value), ("keys", key)):
                tapes[name] = ops.zeros((batch_size, length, part.shape[-1]), part.dtype)
            tapes["seen"] = ops.zeros((batch_size, length), "bool")
        if self.attention.uses_coverage:
            places = ops.shape(tapes["values"] if tapes else memory.value)[1]
            tapes["coverage"] = ops.zeros((batch_size, places), self.compute_dtype)
        if self.counts_steps:
            tapes["step"] = ops.zeros((batch_size, 1), "int32")
        return [*state, *tapes.values()]

    @in_compute_dtype
    def step(self, inputs, state, memory):
        """One step: training, greedy and beam search all take it.

        Args:
            inputs: `(B, D)`.
            state: From `initial_state` or the last step.
            memory: What `prepare_memory` returned.
        Returns: output `(B, U)`, the new state, and the weights `(B, Tm)`.
        """
        size = len(self.state_size)
        tapes = dict(zip(self._tapes(), state[size:], strict=True))
        output, new, weights = self.advance(inputs, tuple(state[:size]), self._view(memory, tapes))
        widths = [part.shape[-1] for part in new] if isinstance(new, (tuple, list)) else None
        if widths != self.state_size:
            raise ValueError(
                f"`update` of {type(self).__name__} must return tensors of the widths "
                f"{self.state_size}, as `state`. "
                f"Received: {type(new).__name__ if widths is None else widths}"
            )
        return output, [*new, *self._follow(tapes, new, weights).values()], weights

    def _tapes(self):
        """Names of what the state holds beyond `state_size`."""
        past = ["values", "keys", "seen"] if self.attends_to_past else []
        return [
            *past,
            *["coverage"] * self.attention.uses_coverage,
            *["step"] * self.counts_steps,
        ]

    def _view(self, memory, tapes):
        """The memory as this step sees it."""
        if self.attends_to_past:
            memory = memory._replace(value=tapes["values"], key=tapes["keys"], mask=tapes["seen"])
        # the same in all rows
        position = ops.max(tapes["step"], initial=0) if self.counts_steps else 0
        return memory._replace(coverage=tapes.get("coverage"), position=position)

    def _follow(self, tapes, state, weights):
        """The tapes after a step."""
        new = dict(tapes)
        if self.attends_to_past:
            value, key = self.remember(state)
            key = self.attention.project_key(key[:, None])[:, 0]
            now = ops.arange(ops.shape(tapes["seen"])[1]) == ops.max(tapes["step"], initial=0)
            new["values"] = ops.where(now[:, None], value[:, None], tapes["values"])
            new["keys"] = ops.where(now[:, None], key[:, None], tapes["keys"])
            new["seen"] = ops.logical_or(tapes["seen"], now)
        if "coverage" in new:
            new["coverage"] = tapes["coverage"] + weights
        if "step" in new:
            new["step"] = tapes["step"] + 1
        return new

    def get_config(self):
        attention = keras.saving.serialize_keras_object(self.attention)
        return {**super().get_config(), "units": self.units, "attention": attention}

    @classmethod
    def from_config(cls, config):
        return cls(
            **{**config, "attention": keras.saving.deserialize_keras_object(config["attention"])}
        )


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

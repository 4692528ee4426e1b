"""One step of a recurrence that attends: the template."""

import keras
from keras import ops

from deepapps.layers.attention import Attention, Memory
from deepapps.layers.multi_head import MultiHeadAttention
from deepapps.layers.pooling import AttentionPooling
from deepapps.layers.precision import in_compute_dtype
from deepapps.layers.scores import AdditiveAttention
from deepapps.layers.shapes import built_sizes, check_masks, check_positive, check_shapes


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
        self.attention = attention
        self.units = units
        self.state_size = [units]
        self.output_size = units

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
                f"{self.state_size}, as `state`. Received: "
                f"{type(new).__name__ if widths is None else widths}"
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

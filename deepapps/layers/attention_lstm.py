"""Recurrent layers that attend at every step."""

import keras
from keras import ops

from deepapps.keras_internals import attached_mask
from deepapps.layers import fused
from deepapps.layers.cells import AttentionCell
from deepapps.layers.lstm_cells import AttentionGRUCell, AttentionLSTMCell, LSTMNCell, LuongLSTMCell
from deepapps.layers.masks import keep
from deepapps.layers.recurrence import scan
from deepapps.layers.shapes import built_sizes, check_masks, check_rate, check_shapes


@keras.saving.register_keras_serializable("deepapps")
class AttentionRNN(keras.Layer):
    """Runs an `AttentionCell` over a sequence, as `keras.layers.RNN` runs a cell, with a memory to
    attend to.

    A step that `mask` calls padding changes nothing: state and output are carried on, its weights
    are zero, and what stands there may be NaN.

    Args:
        cell: An `AttentionCell`, ready-made or a user's own.
        return_sequences: Return all outputs, and not the last alone. Defaults to False.
        return_state: Also return the last state, the tensors of the cell's `state_size`. Defaults
            to False.
        return_attention_scores: Also return the weights. Defaults to False.
        go_backwards: Go from the last step to the first; sequences come out in that order. Defaults
            to False.
        dropout: Rate of dropout on the inputs, the same units at all steps (Gal & Ghahramani 2016).
            Defaults to 0.
        seed: Seed of dropout.
    Call arguments:
        inputs: `(B, T, D)`.
        memory: `(B, Tm, Dm)`; None for a cell that attends to its own past.
        mask: Boolean `(B, T)`. Defaults to the mask that the inputs carry.
        memory_mask: Boolean `(B, Tm)`. Defaults to the mask that the memory carries.
        initial_state: Tensors `(B, units)` for the state's beginning; the rest starts at zero.
            Defaults to none.
        training: Whether dropout is on.
    Returns: the last output `(B, U)` or all, `(B, T, U)`; then, as asked, the state; then, as
        asked, the weights `(B, Tm)` or `(B, T, Tm)`, where an own past has `Tm = T`.
    Raises: ValueError where a memory is missing or too many, or shapes do not fit.
    """

    stateful, states = False, None  # Keras's Bidirectional asks

    def __init__(
        self,
        cell,
        return_sequences=False,
        return_state=False,
        return_attention_scores=False,
        go_backwards=False,
        dropout=0.0,
        seed=None,
        **kwargs,
    ):
        if not isinstance(cell, AttentionCell):
            raise ValueError(f"`cell` must be an `AttentionCell`. Received: cell={cell!r}")
        super().__init__(**{"dtype": cell.dtype_policy, **kwargs})
        if self.compute_dtype != cell.compute_dtype:
            raise ValueError(
                f"`dtype` must be that of the cell, {cell.dtype_policy.name}. Received: "
                f"{self.dtype_policy.name}"
            )
        check_rate(dropout=dropout)
        self.cell, self.return_sequences, self.return_state = cell, return_sequences, return_state
        self.return_attention_scores, self.go_backwards = return_attention_scores, go_backwards
        self.dropout, self.seed = dropout, seed
        self.supports_masking = True
        self.seed_generator = keras.random.SeedGenerator(seed) if dropout else None

    def build(self, inputs_shape, memory_shape=None):
        if not self.cell.built:  # one that was loaded comes built
            self.cell.build(inputs_shape, memory_shape)

    def call(
        self, inputs, memory=None, mask=None, memory_mask=None, initial_state=None, training=None
    ):
        mask = attached_mask(inputs) if mask is None else mask
        self._check(inputs, memory, mask, memory_mask, initial_state)
        inputs = keep(inputs, mask)
        if training and self.dropout:
            noise_shape = (ops.shape(inputs)[0], 1, inputs.shape[-1])
            inputs = keras.random.dropout(inputs, self.dropout, noise_shape, self.seed_generator)
        if self.go_backwards:
            inputs, mask = ops.flip(inputs, 1), None if mask is None else ops.flip(mask, 1)
        mask = None if mask is None else ops.cast(mask, "bool")
        memory = self.prepare_memory(memory, memory_mask, training)
        state = self.initial_state(ops.shape(inputs)[0], memory, ops.shape(inputs)[1])
        given = list(initial_state or [])
        state = [*(ops.cast(tensor, self.compute_dtype) for tensor in given), *state[len(given) :]]
        run = fused.run if fused.fits(self.cell, memory) else run_steps
        outputs, state, weights = run(self.cell, inputs, state, memory, mask, training)
        results = [outputs if self.return_sequences else outputs[:, -1]]
        if self.return_state:
            results.extend(state[: len(self.cell.state_size)])
        if self.return_attention_scores:
            results.append(weights if self.return_sequences else last_step(weights, mask))
        return tuple(results) if self._many else results[0]

    @property
    def _many(self):
        """Whether the call returns a tuple."""
        return self.return_state or self.return_attention_scores

    def prepare_memory(self, memory=None, memory_mask=None, training=False):
        """The memory made ready once, for `initial_state` and any number of `step`s; see the
        cell.
        """
        memory_mask = attached_mask(memory) if memory_mask is None else memory_mask
        return self.cell.prepare_memory(memory, memory_mask, training)

    def initial_state(self, batch_size, memory, length=None):
        """The state before the first step; see the cell."""
        return self.cell.initial_state(batch_size, memory, length)

    def step(self, inputs, state, memory):
        """One step, `(output, state, weights)`: what the call does at each; see the cell."""
        return self.cell.step(inputs, state, memory)

    def compute_mask(self, inputs, mask=None):
        return mask if self.return_sequences else None

    def compute_output_shape(self, inputs_shape, memory_shape=None):
        batch, steps = inputs_shape[:2]
        sequence = (steps,) if self.return_sequences else ()
        places = steps if self.cell.attends_to_past else memory_shape[1]
        shapes = [(batch, *sequence, self.cell.output_size)]
        if self.return_state:
            shapes.extend((batch, size) for size in self.cell.state_size)
        if self.return_attention_scores:
            shapes.append((batch, *sequence, places))
        return tuple(shapes) if self._many else shapes[0]

    def compute_output_spec(
        self, inputs, memory=None, mask=None, memory_mask=None, initial_state=None, training=None
    ):
        self._check(inputs, memory, mask, memory_mask, initial_state)
        shapes = self.compute_output_shape(inputs.shape, None if memory is None else memory.shape)
        specs = [
            keras.KerasTensor(shape, self.compute_dtype)
            for shape in (shapes if self._many else [shapes])
        ]
        return tuple(specs) if self._many else specs[0]

    def _check(self, inputs, memory, mask, memory_mask, initial_state):
        if not self.cell.attends_to_past and memory is None:
            raise ValueError(
                f"`memory` must be given: {type(self.cell).__name__} attends to it. Received: None"
            )
        if self.cell.attends_to_past and memory is not None:
            raise ValueError(
                f"`memory` must not be given: {type(self.cell).__name__} attends to its own past. "
                f"Received: shape {tuple(memory.shape)}"
            )
        check_masks(mask=mask, memory_mask=memory_mask)
        state = [] if initial_state is None else list(initial_state)
        check_shapes(
            built_sizes(self, inputs="D", memory="Dm"),
            inputs=(inputs, "B T D"),
            memory=(memory, "B Tm Dm"),
            mask=(mask, "B T"),
            memory_mask=(memory_mask, "B Tm"),
            **{
                f"initial_state[{number}]": (tensor, f"B U{number}")
                for number, tensor in enumerate(state)
            },
        )
        if state and not self.cell.takes_initial_state:
            raise ValueError(
                f"`initial_state` must not be given: {type(self.cell).__name__} starts without a "
                f"past. Received: {len(state)} tensors"
            )
        sizes = self.cell.state_size
        if [tensor.shape[-1] for tensor in state] != sizes[: len(state)]:
            shapes = [tuple(tensor.shape) for tensor in state]
            raise ValueError(
                f"`initial_state` must hold at most tensors of the widths {sizes}. Received: "
                f"shapes {shapes}"
            )

    def get_config(self):
        names = (
            "return_sequences",
            "return_state",
            "return_attention_scores",
            "go_backwards",
            "dropout",
            "seed",
        )
        config = {name: getattr(self, name) for name in names}
        return {
            **super().get_config(),
            "cell": keras.saving.serialize_keras_object(self.cell),
            **config,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "cell": keras.saving.deserialize_keras_object(config["cell"])})


@keras.saving.register_keras_serializable("deepapps")
class AttentionLSTM(AttentionRNN):
    """An LSTM that attends to a memory at every step (Bahdanau et al. 2015); see
    `AttentionLSTMCell`.

    Args:
        units: Width `U` of state and output.
        attention: Any `Attention`. Defaults to `AdditiveAttention(units)`.
        return_sequences, return_state, return_attention_scores, go_backwards, dropout, seed: As in
            `AttentionRNN`, which documents the call, too.
        kwargs: Those of the cell (activation, initializers, regularizers), and of `keras.Layer`.
    """

    Cell = AttentionLSTMCell

    def __init__(
        self,
        units,
        attention=None,
        return_sequences=False,
        return_state=False,
        return_attention_scores=False,
        go_backwards=False,
        dropout=0.0,
        seed=None,
        name=None,
        dtype=None,
        trainable=True,
        **kwargs,
    ):
        super().__init__(
            self.Cell(units, attention, dtype=dtype, trainable=trainable, **kwargs),
            return_sequences,
            return_state,
            return_attention_scores,
            go_backwards,
            dropout,
            seed,
            name=name,
            dtype=dtype,
            trainable=trainable,
        )

    @property
    def units(self):
        return self.cell.units

    @property
    def attention(self):
        return self.cell.attention

    def get_config(self):
        config, cell = super().get_config(), self.cell.get_config()
        del config["cell"]
        return {**cell, **config}

    @classmethod
    def from_config(cls, config):
        return cls(
            **{**config, "attention": keras.saving.deserialize_keras_object(config["attention"])}
        )


@keras.saving.register_keras_serializable("deepapps")
class LuongLSTM(AttentionLSTM):
    """An LSTM that steps, then attends, and feeds the attentional vector back (Luong et al. 2015);
    see `LuongLSTMCell`. Arguments and call are those of `AttentionLSTM`.
    """

    Cell = LuongLSTMCell


@keras.saving.register_keras_serializable("deepapps")
class LSTMN(AttentionLSTM):
    """An LSTM that attends to its own past and takes no memory (Cheng et al. 2016); see
    `LSTMNCell`. Arguments and call are those of `AttentionLSTM`; works inside
    `keras.layers.Bidirectional`.
    """

    Cell = LSTMNCell


@keras.saving.register_keras_serializable("deepapps")
class AttentionGRU(AttentionLSTM):
    """A GRU that attends to a memory at every step (Bahdanau et al. 2015); see `AttentionGRUCell`.
    Arguments and call are those of `AttentionLSTM`."""

    Cell = AttentionGRUCell


def run_steps(cell, inputs, state, memory, mask, training):
    """All steps of any cell: outputs `(B, T, U)`, the last state, weights `(B, T, Tm)`."""

    def step(carried, now):
        output, *state = carried
        new_output, new_state, weights = cell.step(now[0], state, memory)
        new = [
            ops.cast(after, before.dtype)
            for after, before in zip([new_output, *new_state], carried, strict=True)
        ]
        if mask is not None:
            kept = [
                choose_rows(now[1], after, before)
                for after, before in zip(new, carried, strict=True)
            ]
            new = [*kept[:-1], new[-1]] if cell.counts_steps else kept
            weights = choose_rows(now[1], weights, ops.zeros_like(weights))
        return new, [new[0], ops.cast(weights, new[0].dtype)]

    sequences = [ops.swapaxes(inputs, 0, 1), *([] if mask is None else [ops.swapaxes(mask, 0, 1)])]
    output = ops.zeros((ops.shape(inputs)[0], cell.output_size), cell.compute_dtype)
    (_, *state), (outputs, weights) = scan(step, [output, *state], sequences, [output.dtype] * 2)
    return ops.swapaxes(outputs, 0, 1), state, ops.swapaxes(weights, 0, 1)


def choose_rows(rows, tensor, other):
    """The tensor `(B, ...)` in the rows where `(B,)` is True, the other elsewhere."""
    rows = ops.reshape(rows, (-1, *[1] * (len(tensor.shape) - 1)))
    return ops.where(rows, tensor, other)


def last_step(sequence, mask):
    """`(B, T, n)` at the last step that the mask `(B, T)` leaves."""
    if mask is None:
        return sequence[:, -1]
    steps = ops.arange(ops.shape(mask)[1])
    last = ops.max(ops.where(mask, steps, 0), axis=1)
    here = ops.cast(steps == last[:, None], sequence.dtype)
    return ops.sum(here[..., None] * sequence, axis=1)

"""Random layers of random sizes, called in random ways, for Hypothesis."""

import functools

from hypothesis import strategies as st
from layers import references
from layers.cases import ATTENTION, CASES, SAME_WIDTH, case
from layers.scenarios import MODES, Scenario, factors

from deepapps import layers


@st.composite
def scenarios(draw, modes=MODES, policies=None):
    """A `Scenario` of a layer with random arguments, or of one of the table, with random sizes.

    Args:
        modes: Those to draw from; one that stands there more often comes more often.
        policies: Those to draw from. None: all.
    """
    row = draw(st.one_of(_attention(), _heads(), st.sampled_from(CASES)))
    choices = factors(row) | {"mode": modes} | ({} if policies is None else {"policy": policies})
    choice = {name: draw(st.sampled_from(values)) for name, values in choices.items()}
    sizes = {letter: draw(st.integers(1, 6)) for letter in "BQTVDEK"}
    return Scenario(row, **choice, sizes=tuple(sizes.items()))


@st.composite
def _attention(draw):
    """A layer on the template, with a window or none."""
    window, units = draw(st.none() | st.integers(1, 4)), draw(st.integers(1, 6))
    make, reference, parts = draw(
        st.sampled_from(
            [
                (
                    functools.partial(layers.AdditiveAttention, units),
                    references.additive,
                    ATTENTION,
                ),
                (functools.partial(layers.ConcatAttention, units), references.concat, ATTENTION),
                (layers.DotProductAttention, references.dot_product, SAME_WIDTH),
                (layers.ScaledDotProductAttention, references.scaled_dot_product, SAME_WIDTH),
            ]
        )
    )
    return _row(make, reference, parts, sliding_window=window)


@st.composite
def _heads(draw):
    heads, width, value_width = (draw(st.integers(1, 4)) for _ in range(3))
    make = functools.partial(layers.MultiHeadAttention, heads, width, value_width)
    options = {
        "sliding_window": draw(st.none() | st.integers(1, 4)),
        "use_gate": draw(st.booleans()),
    }
    return _row(make, references.multi_head, ATTENTION, **options)


def _row(make, reference, parts, **options):
    covered = make.func if isinstance(make, functools.partial) else make
    arguments = ",".join(map(str, [*getattr(make, "args", ()), *options.values()]))
    return case(
        covered,
        functools.partial(make, **options),
        functools.partial(reference, **options),
        parts,
        blocks=True,
        name=f"{covered.__name__}({arguments})",
    )

"""The layers on Keras's JAX backend, in a process of its own that `conftest.py` starts."""

import pytest
from layers.cases import CASES


def test_every_layer_runs_on_jax(jax_process):
    pytest.importorskip("jax")
    output, errors = jax_process.communicate(timeout=300)
    assert jax_process.returncode == 0, errors[-3000:]
    assert output.split() == [str(case) for case in CASES]

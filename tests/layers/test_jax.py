"""The layers on Keras's JAX backend, in a process of its own."""

import os
import pathlib
import subprocess
import sys

import pytest
from layers.cases import CASES

FLAGS = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


@pytest.mark.parametrize("which", ["some", pytest.param("all", marks=pytest.mark.slow)])
def test_every_layer_runs_on_jax(which):
    pytest.importorskip("jax")
    folder = pathlib.Path(__file__).parent
    paths = [str(folder.parent), str(folder.parent.parent), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": FLAGS,
        "PYTHONPATH": os.pathsep.join(paths),
    }
    command = [sys.executable, str(folder / "check_on_jax.py"), which]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert ended.stdout.split() == [str(case) for case in CASES]

"""The process on JAX, started first, so that it runs beside the other tests."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest


@pytest.fixture(scope="session", autouse=True)
def jax_process(request):
    """A running `check_on_jax.py`; None where no test asks for it or JAX is missing."""
    asked = any(item.path.name == "test_jax.py" for item in request.session.items)
    if not asked or importlib.util.find_spec("jax") is None:
        yield None
        return
    folder = pathlib.Path(__file__).parent
    paths = [str(folder.parent), str(folder.parent.parent), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
        "PYTHONPATH": os.pathsep.join(paths),
    }
    command = [sys.executable, str(folder / "check_on_jax.py")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, text=True, **pipes) as process:
        yield process
        process.kill()

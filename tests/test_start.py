"""How a program starts: which library Keras runs on, greetings, and programs that are imported."""

import json
import os
import subprocess
import sys

import pytest

PLAIN = {
    name: value
    for name, value in os.environ.items()
    if name not in ("KERAS_BACKEND", "KERAS_HOME", "TF_CPP_MIN_LOG_LEVEL")
}


def python(program, **variables):
    """The end of a program of Python in a process of its own."""
    words = [sys.executable, "-c", program] if isinstance(program, str) else program
    return subprocess.run(words, capture_output=True, text=True, env=PLAIN | variables)


@pytest.mark.parametrize("backend", ["torch", "jax", "theano"])
def test_another_backend_is_refused_before_anything_is_imported(backend, tmp_path):
    program = "import sys, deepapps\ntry: deepapps.train\nfinally: print('keras' in sys.modules)"
    ended = python(program, KERAS_BACKEND=backend)
    assert (ended.returncode, ended.stdout) == (1, "False\n")
    assert f"Keras is set to '{backend}' by KERAS_BACKEND: unset" in ended.stderr.splitlines()[-1]


def test_another_backend_in_the_file_of_keras_is_refused(tmp_path):
    (tmp_path / "keras.json").write_text(json.dumps({"backend": "jax"}))
    words = [sys.executable, "-m", "deepapps", "train", "mnist", "--output", tmp_path / "run"]
    ended = python(words, KERAS_HOME=str(tmp_path))
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert f"by {tmp_path / 'keras.json'}: set" in ended.stderr
    assert not (tmp_path / "run").exists()


def test_greetings_stay_off_and_logging_as_it_was():
    program = """
import logging, sys
import deepapps
print(logging.getLogger().level, len(logging.getLogger().handlers))
deepapps.train
print(logging.getLogger().level, len(logging.getLogger().handlers))
import tensorflow
tensorflow.constant(1) + 1
print("mine", file=sys.stderr)
"""
    ended = python(program)
    assert ended.stderr == "mine\n"
    before, after = ended.stdout.splitlines()
    assert before == after


SEARCH = """
from deepapps.distribution.pool import check_program
def main():
    check_program("A search")
    print("searched")
{}
"""


@pytest.mark.parametrize(
    "call, fits",
    [
        ("main()", False),
        ("try:\n    main()\nfinally:\n    pass", False),
        ("if __name__ == '__main__':\n    main()", True),
        ("try:\n    if __name__ == '__main__': main()\nfinally:\n    pass", True),
    ],
)
def test_a_program_that_would_search_again_in_each_process_is_refused(call, fits, tmp_path):
    file = tmp_path / "program.py"
    file.write_text(SEARCH.format(call))
    ended = python([sys.executable, file])
    assert (ended.stdout == "searched\n") is fits
    assert fits or 'below `if __name__ == "__main__":`' in ended.stderr.splitlines()[-1]
    assert python(SEARCH.format(call)).stdout == "searched\n"  # no file that could be imported

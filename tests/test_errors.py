"""An error in one line: the innermost cause, whoever put words around it."""

import keras
import pytest
import tensorflow as tf

from deepapps.errors import one_line


class Failing(keras.layers.Layer):
    """Raises what it is given."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def call(self, inputs):
        raise self.error


def caught(function, *arguments):
    with pytest.raises(Exception) as info:
        function(*arguments)
    return one_line(info.value)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(
    "error, start",
    [
        (ValueError("the cause"), "the cause (in "),
        (KeyError(0), "KeyError: 0 (test_errors.py, line "),
        (TypeError(), "TypeError (test_errors.py, line "),
        (ValueError(""), "ValueError ("),
    ],
)
def test_the_cause_in_a_layer_is_told(error, start, nested):
    layer = keras.Sequential([Failing(error)]) if nested else Failing(error)
    line = caught(layer, tf.zeros((1, 2)))
    assert line.startswith(start) and "\n" not in line and "\x1b" not in line
    assert "Exception encountered" not in line


def test_a_fault_names_the_line_of_the_program():
    def look_up():
        return {"a": 1}[0]

    line = caught(look_up)
    assert line.startswith("KeyError: 0 (test_errors.py, line ")
    assert line.endswith('`return {"a": 1}[0]`)')


@pytest.mark.parametrize("is_autograph", [False, True])
def test_the_cause_in_a_graph_is_told(is_autograph):
    def add(size):
        return tf.zeros(size) + tf.zeros(size + 1)

    def fail(size):
        raise ValueError("the cause")

    run = tf.function(add, autograph=is_autograph)
    line = caught(run, tf.constant(3))
    assert "ncompatible shapes" in line and "[3]" in line and "Graph execution" not in line
    assert "the cause" in caught(tf.function(fail, autograph=is_autograph), tf.constant(3))


def test_what_an_error_was_raised_for_is_told():
    def chained():
        try:
            {}["units"]
        except KeyError as error:
            raise RuntimeError("The callback failed") from error

    def hidden():
        try:
            {}["units"]
        except KeyError:
            raise RuntimeError("Complete in itself.") from None

    assert caught(chained).startswith("The callback failed (KeyError: 'units' (test_errors.py")
    assert caught(hidden) == "Complete in itself."


def test_files_and_lists_of_lines(tmp_path):
    assert caught(open, tmp_path / "x") == f"No such file or directory: {tmp_path / 'x'}"
    assert one_line(ValueError("Two shapes do not fit:\n  (1, 2)\n  (3,)")) == (
        "Two shapes do not fit: (1, 2)"
    )
    assert one_line(KeyboardInterrupt()) == "KeyboardInterrupt"

"""Imported first by the process that trials are forked from: TensorFlow without its greetings."""

from deepapps.tensorflow_start import starting_tensorflow

with starting_tensorflow():
    import tensorflow  # noqa: F401

"""Images have their channels last here, whatever Keras is set to."""

import contextlib

import keras


@contextlib.contextmanager
def channels_last():
    """Layers made in the block, or in a function that this decorates, have channels last.

    A `keras.json` may say `channels_first`, left there by another program.
    """
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_image_data_format(before)

"""Mixed precision for what is called beside a layer's `__call__`."""

import functools

import keras

from deepapps.keras_internals import AutocastScope
from deepapps.layers.shapes import check_built


def in_compute_dtype(method):
    """A method of a layer that, as `__call__` does, sees inputs and weights in the layer's
    compute dtype.
    """

    @functools.wraps(method)
    def wrapped(self, *args, **kwargs):
        check_built(self, method.__name__)

        def convert(leaf):
            return self.dtype_policy.convert_input(leaf, True, self.compute_dtype)

        args, kwargs = keras.tree.map_structure(convert, (args, kwargs))
        with AutocastScope(self.compute_dtype):
            return method(self, *args, **kwargs)

    return wrapped

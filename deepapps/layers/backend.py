"""The library that Keras runs on: `tf` is TensorFlow and `jax` is JAX, the other one None."""

import keras

tf = jax = None
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
elif keras.backend.backend() == "jax":
    import jax
__all__ = ["jax", "tf"]

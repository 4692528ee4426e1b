"""The encoders of raw sequences by their kind, to and from JSON. Imports no TensorFlow."""

from deepapps.data.sequences.series import SeriesEncoder
from deepapps.data.sequences.texts import TextEncoder

_ENCODERS = {"text": TextEncoder, "series": SeriesEncoder}


def stored_encoder(encoder):
    """An encoder as a dict that JSON can hold."""
    kind = next(kind for kind, made in _ENCODERS.items() if isinstance(encoder, made))
    return {"inputs": kind, **encoder.stored()}


def loaded_encoder(stored):
    """Brings back what `stored_encoder` gave."""
    stored = dict(stored)
    kind = _ENCODERS[stored.pop("inputs")]
    return getattr(kind, "loaded", kind)(**stored)

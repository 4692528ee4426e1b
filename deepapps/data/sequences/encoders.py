"""The encoders of raw sequences by their kind, to and from JSON. Imports no TensorFlow."""

import typing

from deepapps.data.sequences.series import SeriesEncoder, StoredSeries
from deepapps.data.sequences.texts import StoredTexts, TextEncoder
from deepapps.typed_json import check_type, one_of

_ENCODERS = {"text": TextEncoder, "series": SeriesEncoder}
_STORED = {"text": StoredTexts, "series": StoredSeries}


class StoredEncoder(typing.TypedDict):
    """An encoder as JSON holds it; what stands beside depends on `inputs`."""

    inputs: typing.Annotated[str, one_of(*_ENCODERS)]


def stored_encoder(encoder):
    """An encoder as a dict that JSON can hold."""
    kind = next(kind for kind, made in _ENCODERS.items() if isinstance(encoder, made))
    return {"inputs": kind, **encoder.stored()}


def loaded_encoder(stored):
    """Brings back what `stored_encoder` gave."""
    kind = stored["inputs"]
    check_type(stored, _STORED[kind])
    return _ENCODERS[kind].loaded(stored)

"""Outputs of a model for raw inputs, and what classifiers make of them."""

import functools
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from deepapps.data.ragged import Ragged

BATCH = 128  # examples of a fixed size
SEQUENCES = 256  # of varied lengths: a step of a loop costs little more for more of them
AT_ONCE = 2  # batches: while one waits for a product that all cores share, the other has work


def outputs_of(model, inputs, progress=False):
    """What a model puts out for many inputs.

    Args:
        model: The `keras.Model`.
        inputs: Arrays that the model takes, of N examples; or `Ragged`, of which those of like length make a batch.
        progress: Show a bar on stderr, where that is a terminal.
    Returns: `(N, ...)`, in the order of the inputs.
    """
    if not isinstance(inputs, Ragged):
        return model.predict(inputs, batch_size=BATCH, verbose=0)
    from deepapps.inference.sharing import sharing
    from deepapps.training.progress import progress_bar

    order = np.argsort(inputs.sizes, kind="stable")
    chunks = [order[start : start + SEQUENCES] for start in range(0, len(order), SEQUENCES)]
    shared = sharing(model)
    call = (lambda batch: model.predict(batch, SEQUENCES)) if shared else _compiled(model)
    pool = ThreadPoolExecutor(1 if shared else AT_ONCE)  # replicas must take the batches in the same order
    try:
        waiting = [
            pool.submit(lambda chunk: np.asarray(call(inputs.padded(chunk))), chunk) for chunk in chunks
        ]
        outputs = [one.result() for one in progress_bar(waiting, "predict", shown=progress)]
    finally:
        pool.shutdown(cancel_futures=True)
    return np.concatenate(outputs)[np.argsort(order, kind="stable")]


@functools.lru_cache(maxsize=1)
def _compiled(model):
    """The call of a model on batches of any length, traced once."""
    import tensorflow as tf

    shape, dtype = model.inputs[0].shape, model.inputs[0].dtype
    signature = [tf.TensorSpec(shape, dtype)]
    return tf.function(lambda x: model(x, training=False), input_signature=signature, autograph=False)


def softmax(logits):
    """Probabilities of logits `(B, classes)`."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def sigmoid(logits):
    """Probabilities of logits, each by itself."""
    return 1 / (1 + np.exp(-np.clip(logits, -60, 60)))


def class_answers(probabilities, class_names):
    """The likeliest class of each row `(B, classes)`, and all probabilities."""
    return [
        {
            "label": class_names[row.argmax()],
            "probabilities": dict(zip(class_names, row.tolist(), strict=True)),
        }
        for row in probabilities
    ]


def label_answers(probabilities, class_names, threshold=0.5):
    """All labels of each row whose probability is at least the threshold."""
    return [
        {
            "labels": [name for name, value in zip(class_names, row, strict=True) if value >= threshold],
            "probabilities": dict(zip(class_names, row.tolist(), strict=True)),
        }
        for row in probabilities
    ]

"""What goes into a model and comes out: of several outputs, one answers."""


def main_output(outputs):
    """The output that answers: the first one of a model with auxiliary heads."""
    return outputs[0] if isinstance(outputs, list) else outputs


def check_model(model, inputs, outputs):
    """Raises ValueError for a functional model that takes or puts out something else.

    Args:
        model: The `keras.Model`.
        inputs, outputs: The shapes of an example, and of its output that answers; None in them is
            any size.
    """
    ends = {"takes": (model.inputs or (), inputs), "puts out": (model.outputs or (), outputs)}
    for verb, (tensors, wanted) in ends.items():
        shapes = [tuple(tensor.shape[1:]) for tensor in tensors]
        if shapes[:1] != [tuple(wanted)]:
            raise ValueError(f"its model {verb} {shapes}, and the Run needs {tuple(wanted)}")

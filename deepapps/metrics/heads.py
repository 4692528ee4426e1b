"""Models with several outputs, of which one answers."""


def main_output(outputs):
    """The output that answers: the first one of a model with auxiliary heads."""
    return outputs[0] if isinstance(outputs, list) else outputs

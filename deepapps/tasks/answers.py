"""The answers of classifiers, from probabilities. Imports neither Keras nor TensorFlow."""


def probabilities_of(logits, multi_label=False):
    """The probabilities of logits `(B, classes)`: together 1, or each by itself where an example
    has many labels.
    """
    from scipy.special import expit, softmax  # takes as long to import as the whole command

    return expit(logits) if multi_label else softmax(logits, axis=-1)


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
    """All labels of each row whose probability is at least the threshold, and all probabilities."""
    return [
        {
            "labels": [
                name for name, value in zip(class_names, row, strict=True) if value >= threshold
            ],
            "probabilities": dict(zip(class_names, row.tolist(), strict=True)),
        }
        for row in probabilities
    ]

"""What the classifiers of images and of sequences share."""

from deepapps.task import Task


class Classifier(Task):
    """A task whose outputs are logits of named classes; `learned` has their `class_names`."""

    @property
    def class_names(self):
        """The names of the classes, in the order of the model's outputs."""
        return self.learned.class_names

    @property
    def _losses(self):
        from deepapps.metrics import losses  # Keras

        return losses

    @property
    def _pages(self):
        from deepapps.reporting import classification  # Matplotlib

        return classification

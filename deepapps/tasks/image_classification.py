"""Image classification: settings and task. `mnist` is this with the defaults below."""

import dataclasses

import numpy as np

from deepapps.files import read_json, write_json
from deepapps.settings import Settings, setting
from deepapps.tasks.task import Task


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageSettings(Settings):
    """What an image classifier learns from, and with which network."""

    data: str = setting(
        "sample", "Training images: `sample`, `tfds:NAME`, a folder of idx files, or an .npz file."
    )
    validation: str | None = setting(None, "Validation images; default: 10 % of the training images.")
    test: str | None = setting(None, "Test images; default: those that come with the data, else 10 %.")
    network: str = setting(
        "cnn", "Network to train.", choices=("cnn", "mlp", "lenet", "alexnet", "vgg", "resnet")
    )
    top_k: int = setting(3, "The k of `top_k_accuracy`, in classes.", minimum=1)
    units: int | None = setting(
        None,
        "Width of the dense layers of `mlp`, `lenet`, `alexnet`, `vgg`; default: the network's own.",
        minimum=1,
    )
    filters: int | None = setting(
        None,
        "Width of the first convolutions; later ones keep their ratio. Default: the network's own.",
        minimum=1,
    )
    depth: int | None = setting(
        None,
        "Convolutions of a block of `cnn`, `vgg`; blocks of a stage of `resnet`. Default: the network's own.",
        minimum=1,
    )
    dropout: float | None = setting(
        None, "Share of activations dropped in training; default: the network's own.", minimum=0, maximum=0.9
    )
    augment: bool | None = setting(
        None, "Shift and turn the training images a little; default: not for `mlp`."
    )


class ImageClassification(Task):
    """Which class does an image belong to?

    Inputs are uint8 images `(B, H, W, C)`, targets int32 class indices `(B,)`, outputs logits `(B, classes)`.
    """

    Settings = ImageSettings
    name = "image"

    def data(self):
        from deepapps.data.images import load_images

        images = load_images(self.settings.data, self.settings.validation, self.settings.test)
        self.class_names, self.image_shape = images.class_names, images.image_shape
        return images.splits

    def network(self):
        from deepapps.networks.images import NETWORKS

        return NETWORKS[self.settings.network](self.settings, self.image_shape, len(self.class_names))

    def loss(self):
        import keras

        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def metrics(self):
        import keras

        return [keras.metrics.SparseCategoricalAccuracy("accuracy")]

    def augmentation(self):
        from deepapps.networks.images import small_changes

        augment = self.settings.network != "mlp" if self.settings.augment is None else self.settings.augment
        return small_changes() if augment else None

    def encode(self, raw):
        """Images as `(B, H, W, C)`: takes arrays of one or many images, or names of image files."""
        from deepapps.data.image_files import encode_images

        return encode_images(raw, self.image_shape)

    def decode(self, outputs):
        """The label and the probabilities of each row of logits."""
        from deepapps.answers import class_answers, softmax

        return class_answers(softmax(outputs), self.class_names)

    def evaluate(self, model, source):
        from deepapps.answers import softmax
        from deepapps.evaluation import classification_figures

        inputs, labels, *_ = source[np.arange(len(source))]
        probabilities = softmax(model.predict(inputs, batch_size=256, verbose=0))
        return classification_figures(probabilities, labels, self.class_names, self.settings.top_k)

    def evaluation_source(self, data):
        from deepapps.data.images import load_evaluation_images

        return load_evaluation_images(data, self.class_names, self.image_shape)

    def plot(self, run, folder):
        """The confusion matrix on the test split."""
        from deepapps.plots import plot_confusion_matrix

        figures = run.metrics.get("test") or run.metrics.get("validation")
        if not figures:  # training has not ended
            return {}
        plot_confusion_matrix(figures["confusion_matrix"], self.class_names, folder / "confusion_matrix.png")
        return {"Confusion matrix": "confusion_matrix.png"}

    def save(self, folder):
        write_json(folder / "labels.json", {"class_names": self.class_names, "image_shape": self.image_shape})

    def load(self, folder):
        path = folder / "labels.json"
        try:
            stored = read_json(path)
            self.class_names, self.image_shape = stored["class_names"], tuple(stored["image_shape"])
        except (KeyError, TypeError):
            raise ValueError(f"{path}: is damaged: it must hold class_names and image_shape.") from None


class Mnist(ImageClassification):
    """Digits, or any other small images in ten classes or so, with defaults that suit them."""

    name = "mnist"
    training = {
        "epochs": 16,
        "batch_size": 64,
        "learning_rate": 4e-3,
        "learning_rate_schedule": "CosineDecay",
        "warmup": 0.1,
        "final_learning_rate": 0.01,
    }

"""Image classification: settings and task. `mnist` is this with the defaults below."""

import dataclasses

import numpy as np

from deepapps.data.images.files import FULL_BITS, LARGEST_SIDE, Reading, encode_images
from deepapps.data.images.load import (
    LearnedImages,
    StoredImages,
    learn_images,
    load_evaluation_images,
    read_images,
    split_images,
)
from deepapps.data.source import targets_in
from deepapps.files import PICTURE, read_json, write_json
from deepapps.metrics.heads import check_model, main_output
from deepapps.networks import AUGMENTATIONS, IMAGE_NETWORKS
from deepapps.settings import DEEPEST, WARMED_UP_COSINE, WIDEST, Settings, setting
from deepapps.tasks.answers import class_answers, probabilities_of
from deepapps.tasks.classifier import Classifier


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageSettings(Settings):
    """What an image classifier learns from, and with which network."""

    data: str | None = setting(
        None,
        "Training images: a folder with one sub-folder for each class, a folder of idx files, an "
        ".npz file, a .csv of files and labels or of pixels, `tfds:NAME`, or `sample`.",
    )
    validation: str | None = setting(
        None, "Validation images; default: 10 % of the training images."
    )
    test: str | None = setting(
        None, "Test images; default: those that come with the data, else 10 %."
    )
    image_size: int | None = setting(
        None,
        "Side of the square that images are fitted into, in pixels; default: their own size where "
        "all have one (of files: up to 128), else 64.",
        minimum=1,
        maximum=LARGEST_SIDE,
    )
    resize: str = setting(
        "pad",
        "How: the whole image, filled up with the color of its border; its middle; or with other "
        "proportions.",
        choices=("pad", "crop", "stretch"),
    )
    image_column: str | None = setting(
        None, "Column of a table that names the files, by name or number from 1; default: found."
    )
    label_column: str | None = setting(None, "Column of a table with the label; default: found.")
    skip_bad_files: bool = setting(False, "Leave out files that cannot be read, and count them.")
    cache: str | None = setting(
        None,
        "Folder to keep decoded images in, for files that together take more than 1 GiB; default: "
        "none.",
    )
    network: str = setting(
        "cnn",
        "Network to train.",
        choices=tuple(IMAGE_NETWORKS),
    )
    top_k: int = setting(3, "The k of `top_k_accuracy`, in classes.", minimum=1)
    units: int | None = setting(
        None,
        "Width of the dense layers of `mlp`, `lenet`, `alexnet`, `vgg`; default: the network's "
        "own.",
        minimum=1,
        maximum=WIDEST,
    )
    filters: int | None = setting(
        None,
        "Width of the first convolutions; later ones keep their ratio. Default: the network's own.",
        minimum=1,
        maximum=WIDEST,
    )
    depth: int | None = setting(
        None,
        "Convolutions of a block of `cnn`, `vgg`; blocks of a stage of `resnet`. Default: the "
        "network's own.",
        minimum=1,
        maximum=DEEPEST,
    )
    auxiliary: bool = setting(False, "Train `googlenet` with two more heads in its middle.")
    dropout: float | None = setting(
        None,
        "Share of activations dropped in training; default: the network's own.",
        minimum=0,
        maximum=0.9,
    )
    augment: bool | None = setting(
        None, "Change the training images a little, each time anew; default: not for `mlp`."
    )
    augmentation: str | None = setting(
        None,
        "How: `light` shifts, turns and zooms; `digits` also bends and cuts out; `photos` also "
        "mirrors and mixes. Default: `photos` for images in color, else `light`.",
        choices=tuple(AUGMENTATIONS),
    )


class ImageClassification(Classifier):
    """Which class does an image belong to?

    Inputs are uint8 images `(B, H, W, C)`, targets int32 class indices `(B,)`, outputs logits `(B,
    classes)`.
    """

    Settings = ImageSettings
    input_kind = "image"
    explanations = PICTURE
    files = ("labels.json", "samples.png")

    @staticmethod
    def space(hp):
        """Network, its width, dropout, augmentation, and how it is trained: for minutes on a
        laptop.
        """
        found = {
            "network": hp.Choice("network", ["cnn", "lenet", "mlp"]),
            "learning_rate": hp.Float("learning_rate", 5e-4, 2e-2, sampling="log", default=4e-3),
            "batch_size": hp.Choice("batch_size", [32, 64, 128], default=64),
            "optimizer": hp.Choice("optimizer", ["adam", "adamw", "nadam"]),
            "dropout": hp.Float("dropout", 0.0, 0.5, step=0.1, default=0.3),
            "augment": hp.Boolean("augment", default=True),
        }
        with hp.conditional_scope("network", ["mlp"]):
            found["units"] = hp.Int("units", 64, 512, step=64, default=128)
        with hp.conditional_scope("network", ["cnn", "lenet"]):
            found["filters"] = hp.Choice("filters", [8, 16, 32, 48])
        return found

    @property
    def image_shape(self):
        """`(H, W, C)` of the images that the model takes."""
        return self.learned.image_shape

    def read(self):
        settings = self.settings
        return read_images(settings.data, settings.validation, settings.test, self._reading())

    def learn(self, raw):
        return learn_images(raw)

    def split(self, raw):
        return split_images(raw, self.learned)

    def network(self):
        network = IMAGE_NETWORKS[self.settings.network]
        return network(self.settings, self.image_shape, len(self.class_names))

    def loss(self):
        return self._losses.cross_entropy

    def metrics(self):
        return [self._losses.accuracy()]

    def augmentation(self):
        settings, color = self.settings, self.image_shape[-1] == 3
        wanted = settings.network != "mlp" or settings.augmentation is not None
        if not (wanted if settings.augment is None else settings.augment):
            return None
        preset = settings.augmentation or ("photos" if color else "light")
        return AUGMENTATIONS[preset](len(self.class_names))

    def example_input(self):
        return np.zeros(self.image_shape, "uint8")

    def check_model(self, model):
        check_model(model, self.image_shape, (len(self.class_names),))

    def encode(self, raw):
        """Images as `(B, H, W, C)`: takes arrays of one or many images, or names of image files."""
        return encode_images(
            raw,
            self.image_shape,
            self.settings.resize,
            self.learned.invert_bright,
            self.learned.bits,
        )

    def decode(self, outputs):
        """The label and the probabilities of each row of logits."""
        return class_answers(probabilities_of(main_output(outputs)), self.class_names)

    def explain(self, predictor, raw, target=None):
        """Integrated gradients and Grad-CAM, an `ImageExplanation`."""
        from deepapps.inference.image_explanation import explain_image

        images = self.encode(raw)
        if len(images) != 1:
            raise ValueError(f"One image is explained at a time. Received: {len(images)}")
        return explain_image(predictor.model, images[0], self.class_names, target)

    def measure(self, outputs, targets, source):
        from deepapps.metrics.classification import classification_figures  # scikit-learn

        probabilities = probabilities_of(main_output(outputs))
        return classification_figures(probabilities, targets, self.class_names, self.settings.top_k)

    def evaluation_source(self, data):
        return load_evaluation_images(data, self.class_names, self.image_shape, self._reading())

    def examples(self, predictor, source, figures):
        """The worst mistakes, with their pictures."""
        mistakes = figures["mistakes"]
        images = source[np.array([mistake["index"] for mistake in mistakes])][0] if mistakes else ()
        return self._pages.with_pictures(mistakes, images)

    def sections(self, figures, examples, folder):
        return self._pages.classifier_sections(figures, examples, folder)

    def save(self, folder):
        write_json(folder / "labels.json", dataclasses.asdict(self.learned))

    def load(self, folder):
        stored = read_json(folder / "labels.json", StoredImages)
        shape, bits = tuple(stored["image_shape"]), stored.get("bits", FULL_BITS)
        self.learned = LearnedImages(stored["class_names"], shape, stored["invert_bright"], bits)

    def illustrate(self, folder, splits, columns=10):
        """An image of each class, as it is and as training sees it, as samples.png."""
        from deepapps.networks.augmentation import augmented

        classes, first = np.unique(targets_in(splits.train), return_index=True)
        chosen = np.linspace(0, len(first) - 1, min(len(first), columns)).astype(int)
        images, targets = splits.train[first[chosen]]
        names = [self.class_names[target] for target in targets]
        rows = augmented(images, targets, self.augmentation())
        self._pages.plot_samples(rows, names, folder / "samples.png")

    def _reading(self):
        """How image files are read."""
        settings, learned = self.settings, self.learned
        return Reading(
            settings.image_size,
            settings.resize,
            learned and learned.image_shape,
            settings.skip_bad_files,
            settings.cache,
            learned and learned.bits,
            settings.image_column,
            settings.label_column,
        )


class Image(ImageClassification):
    """Any images in classes, such as photos in one folder for each class."""

    name = "image"
    training = WARMED_UP_COSINE | {"epochs": 20, "batch_size": 32, "learning_rate": 2e-3}

    def __init__(self, settings=None, learned=None):
        super().__init__(settings, learned)
        if self.settings.data is None:
            raise ValueError(
                "`data` must name images, such as a folder with one sub-folder for each class "
                "(--data FOLDER)."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class MnistSettings(ImageSettings):
    """The settings of `mnist`: those of any images, and the sample of digits by default."""

    data: str = setting("sample", ImageSettings.__dataclass_fields__["data"].metadata["help"])


class Mnist(ImageClassification):
    """Digits, or any other small images in ten classes or so, with defaults that suit them."""

    Settings = MnistSettings
    name = "mnist"
    training = WARMED_UP_COSINE | {"epochs": 16, "batch_size": 64, "learning_rate": 4e-3}

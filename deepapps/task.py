"""The contract of a task: what to learn. Subclass `Task` to make an app of your own.

Everything else comes with it: the loop, exact resume, strategies, the Run and its report.
"""

from deepapps.settings import Settings

_HIGHER = (
    "accuracy precision recall f1 auc bleu chrf rouge match kappa correlation similarity r2 iou "
    "dice"
)
_LOWER = (
    "loss error mae mse rmse mape msle perplexity crossentropy entropy divergence hinge distance "
    "latency parameters seconds"
)


def direction_of(name: str, directions: dict | None = None) -> str | None:
    """Which way a metric is better: as `directions` say, else by the words of its name; "max",
    "min", or None where nothing tells.
    """
    if direction := (directions or {}).get(name):
        return direction
    words = set(name.lower().split("_"))
    higher, lower = (bool(words.intersection(names.split())) for names in (_HIGHER, _LOWER))
    return {(True, False): "max", (False, True): "min"}.get((higher, lower))


def monitored_direction(task, training):
    """Which way the monitored metric is better, "max" or "min", as training settings or a task
    say.

    Raises: ValueError where neither does.
    """
    return training.monitor_mode or task.direction


class Task:
    """What to learn: data, network, loss, metrics, and how raw inputs become answers.

    A subclass names its settings and writes `data`, `network` and `loss`; the rest has defaults:

        class Spam(Task):
            Settings = SpamSettings
            def data(self): return Splits(train=ArraySource(texts, labels))
            def network(self): return keras.Sequential([...])
            def loss(self): return keras.losses.BinaryCrossentropy(reduction=None)

    Args:
        settings: An instance of the class's `Settings`. None takes the defaults.
        learned: What another task of the class has learned from its data. None: it is learned from
            the data.

    Class attributes:
        Settings: The frozen dataclass of the task's settings.
        Answering: The frozen dataclass of what can be set in `predict` and `evaluate`: the size of
            a beam, say.
        training: Defaults of the task for training settings, `{"epochs": 20, ...}`.
        monitor: The validation figure that picks the best weights, named without `val_`.
        directions: `{metric: "max" or "min"}`: which way metrics are better whose names do not
            tell, as `accuracy` and `mae` do.
        input_kind: What one raw input is: "image", "text", "pair" of texts, "series" `(T, F)`, or
            None, where nothing is known of it.
        explanations: Endings of the files that an explanation can be plotted to; none: `plot`
            itself sees to that.
        files: Names of the files that `save` and `illustrate` write into a Run's folder.

    Attributes:
        settings: The settings.
        learned: What was learned from the data (classes, a vocabulary); None before that.
    """

    Settings = Settings
    Answering = Settings
    training = {}
    monitor = "accuracy"
    directions = {}
    input_kind = None
    explanations = ()
    files = ()
    learned = None

    def __new__(cls, *args, **keywords):
        for name in keywords.keys() & {*cls.Settings.names()}:
            raise ValueError(
                f"Settings are given as one object: {cls.__name__}({cls.__name__}.Settings({name}="
                f"{keywords[name]!r}))."
            )
        return super().__new__(cls)

    def __init__(self, settings=None, learned=None):
        self.settings = self.Settings() if settings is None else settings
        self.learned = learned

    @property
    def name(self):
        """The name the Run is stored under."""
        return type(self).__name__

    @property
    def direction(self):
        """Which way `monitor` is better, "max" or "min". ValueError where nothing tells."""
        return self.direction_of(self.monitor)

    def direction_of(self, metric):
        """Which way a metric is better, "max" or "min"; named without `val_`.

        Raises: ValueError where neither its name nor `directions` tells.
        """
        direction = direction_of(metric, self.directions)
        if direction is None:
            raise ValueError(
                f"Which way is {metric!r} better? Say so, monitor_mode='max' or 'min'; or in the "
                f"task, directions = {{{metric!r}: 'max'}}."
            )
        return direction

    def data(self):
        """Returns the `Splits`. Called once, before everything below.

        A task that learns something from its data writes three methods in its place: `read`,
        `learn` and `split`. What was learned before, or comes from another Run, is then not learned
        again.
        """
        raw = self.read()
        if self.learned is None:
            self.learned = self.learn(raw)
        return self.split(raw)

    def read(self):
        """Returns the data as they are."""
        raise NotImplementedError(f"{self.name} must define `data()`.")

    def learn(self, raw):
        """Returns what is to be learned from data that `read` returned: classes, a vocabulary."""
        return None

    def split(self, raw):
        """Returns the `Splits` of data that `read` returned, encoded by what was learned."""
        raise NotImplementedError(
            f"{self.name} must define `data()`, or `read()` and `split(raw)`."
        )

    @staticmethod
    def space(hp):
        """Returns the settings of a trial of a search, `{name: value}`; None in it means the
        default.

        Args:
            hp: A `keras_tuner.HyperParameters`, whose `Int`, `Float`, `Choice` and `Boolean` give
                its values.
        """
        raise ValueError(
            "The task has no space of its own to search: give one, `space=`, or `--space FILE`."
        )

    def network(self):
        """Returns the `keras.Model`. Called in the scope of the strategy."""
        raise NotImplementedError(f"{self.name} must define `network()`.")

    def loss(self):
        """Returns `loss(targets, outputs)`, one value per example or token, unreduced.

        A loss that also has an argument `inputs` gets the inputs of the model. For a model with a
        dict of outputs it may be a dict: `{"topic": loss, "mood": (loss, 0.5)}`, with weights.
        """
        raise NotImplementedError(f"{self.name} must define `loss()`.")

    def metrics(self):
        """Returns the Keras metrics that the loop follows."""
        return []

    def augmentation(self):
        """Returns a callable on a batch of inputs, such as a Keras layer, for training only; or
        None.

        One that also takes `targets` changes both, and returns both.
        """
        return None

    def example_input(self):
        """Returns a raw input such as `encode` takes, to try a model on."""
        raise ValueError(f"A task of kind {self.name!r} knows no example of its inputs.")

    def check_model(self, model):
        """Raises ValueError for a model from a file that does not fit what was learned."""

    def encode(self, raw):
        """Turns raw inputs into a batch of tensors for the model."""
        return raw

    def decode(self, outputs):
        """Turns the model's outputs into answers, one dict an example, the answer itself first."""
        return [{"output": output} for output in outputs]

    def answer(self, predictor, raw, progress=False):
        """Returns the answers to raw inputs, as `decode` does.

        Args:
            predictor: The `Predictor` of the model: `predictor.predict(inputs)` gives its outputs,
                `predictor.model` is the `keras.Model` itself.
            raw: Raw inputs.
            progress: Show a bar on stderr, where that is a terminal.
        A task with `Answering` settings takes them here and in `evaluate`, as further keywords.
        """
        return self.decode(predictor.predict(self.encode(raw), progress))

    def measure(self, outputs, targets, source):
        """Returns further metrics from the outputs of the model, `{name: value}`; `monitor` may be
        one of them.

        Args:
            outputs: The model's outputs for a source.
            targets: The targets of the source.
            source: The source itself.
        """
        return {}

    def evaluate(self, predictor, source):
        """Returns further metrics of a model on a source; defaults to those of `measure`.

        For a task that must ask its model in another way than for its outputs.
        """
        if type(self).measure is Task.measure:
            return {}
        outputs, targets, _ = predictor.outputs(source)
        return self.measure(outputs, targets, source)

    def validate(self, predictor, source):
        """Returns the metrics of `evaluate` to follow after each epoch, where `monitor` is no Keras
        metric.

        Defaults to all of them.
        """
        return self.evaluate(predictor, source)

    def evaluation_source(self, data):
        """Returns the source that `data`, in the task's own grammar, names for an evaluation."""
        return data

    def explain(self, predictor, raw, target=None):
        """Returns why the model answers one raw input as it does: an object with arrays and
        `plot(path)`.

        Args:
            predictor: The `Predictor` of the model.
            raw: One raw input.
            target: The answer to explain. Defaults to the model's own.
        """
        raise ValueError(
            f"A task of kind {self.name!r} cannot explain its answers: it defines no `explain`."
        )

    def examples(self, predictor, source, figures):
        """Returns what the report shows of single examples, a list that JSON can hold; kept in
        examples.json.

        Args:
            predictor: The `Predictor` of the model with the best weights.
            source: The test split, or where there is none the validation split.
            figures: What was measured on it, the values of `evaluate` among them.
        """
        return []

    def sections(self, figures, examples, folder):
        """Returns the task's own part of the report, a list of
        `deepapps.reporting.sections.Section`.

        Args:
            figures: As in metrics.json, of the test split or else of the validation split.
            examples: What `examples` returned for it.
            folder: Where PNG files are drawn, for `deepapps.reporting.sections.Picture`.
        """
        return []

    def illustrate(self, folder, splits):
        """Draws what the report shows of the training data into the Run's folder.

        Args:
            folder: The folder.
            splits: The `Splits`.
        """

    def save(self, folder):
        """Writes `learned` into the Run's folder."""

    def load(self, folder):
        """Reads back into `learned` what `save` wrote."""

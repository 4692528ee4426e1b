"""TensorFlow Datasets: prepared sets are read offline; one that is not there says so at once."""

import contextlib
import errno
import functools
import hashlib
import logging
import os
import queue
import re
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request

import numpy as np

from deepapps.data.images.class_folder import SIDE
from deepapps.data.images.files import fit_pixels, range_of_sizes
from deepapps.data.images.store import cached, fits_memory, image_array, opened
from deepapps.settings import close_names

NAME = re.compile(r"(\w+)(?:/([\w.\-]+))?(?::[\d.*]+)?")
PROBE_SECONDS = 1.5
READ_BATCH = 2048
DEFAULT_HOST = "https://storage.googleapis.com"


def tfds_image_parts(name):
    """Finds the images and labels of a TensorFlow Datasets set, by the types of its features.

    Args:
        name: `NAME[/CONFIG]`, as `tfds.load` takes it.
    Returns: `{"train": read, "validation": read, "test": read}`, of these what the set has;
        `read(reading)` returns the images, labels `(N,)` and the class names; where the images are
        not of one size, or too many for memory, also for each the bytes that stand for it and a
        note on their sizes. `reading` is a `Reading`. A set of one split has it as "train", unless
        it is called otherwise here.
    Raises: ValueError as `prepared_set` does, and when the set has no image or no label.
    """
    builder = prepared_set(name)
    image = feature_of(builder, name, "Image", "an image classifier")
    label = feature_of(builder, name, "ClassLabel", "an image classifier")
    read = functools.partial(_read, builder, name, image, label)
    return {
        part: functools.partial(read, split) for part, split in splits_of(builder, name).items()
    }


def splits_of(builder, name):
    """The splits of a set by their part, `{"train": "train", ...}`; of one split alone, that is
    the training part.
    """
    splits = {split: split for split in builder.info.splits}
    known = {"train", "validation", "test"}
    if len(splits) == 1 and not known & set(splits):
        splits = {"train": next(iter(splits))}
    unused = sorted(set(splits) - known)
    if unused:
        logging.getLogger(__name__).warning(
            "tfds:%s: not used: the splits %s", name, ", ".join(unused)
        )
    return {part: split for part, split in splits.items() if part in known}


def prepared_set(name):
    """Returns the builder of a set that is prepared, after download where there is a network.

    Args:
        name: `NAME[/CONFIG]`, as `tfds.load` takes it. It is looked for in `TFDS_DATA_DIR`, or
            `~/tensorflow_datasets` where that is not set.
    Raises: ValueError when the name is unknown, when the set is not prepared and its server cannot
        be reached (within about two seconds), or when it cannot be prepared.
    """
    builder = _builder(name, data_folder())
    if builder.data_path.exists():
        return builder
    server = _server(builder)
    if server and not _reachable(server):
        raise ValueError(
            f"tfds:{name}: is not prepared in {data_folder()}, and {server} cannot be reached. On "
            "a machine "
            'with a network run `python -c "import tensorflow_datasets as t; '
            f"t.load('{name}')\"`, copy ~/tensorflow_datasets/{builder.name} from there into "
            f"{data_folder()}, or set TFDS_DATA_DIR to the folder that holds {builder.name}."
        )
    with in_one_line(f"tfds:{name}: cannot be prepared"):
        builder.download_and_prepare()
    return builder


def is_prepared(name):
    """Whether a set is on this machine; ValueError as in `prepared_set` for an unknown name."""
    return _builder(name, data_folder()).data_path.exists()


def data_folder():
    """The folder of prepared sets: `TFDS_DATA_DIR`, or `~/tensorflow_datasets`."""
    return os.path.expanduser(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")


def _builder(name, folder):
    form = NAME.fullmatch(name)
    if not form:
        raise ValueError(f"tfds:{name}: must be tfds:NAME[/CONFIG], for example tfds:mnist.")
    tfds = _import(name)
    known = tfds.list_builders(with_community_datasets=False)
    try:
        return tfds.builder(name, data_dir=folder)
    except tfds.core.DatasetNotFoundError:
        hint = close_names(form[1], known)
        raise ValueError(
            f"tfds:{name}: TensorFlow Datasets has no set {form[1]!r}.{hint}"
        ) from None
    except Exception as error:
        configs = tfds.builder_cls(form[1]).builder_configs if form[1] in known else {}
        if form[2] and form[2] not in configs:
            hint = close_names(form[2], configs) if configs else " It has none."
            raise ValueError(f"tfds:{name}: {form[1]} has no config {form[2]!r}.{hint}") from None
        raise ValueError(f"tfds:{name}: cannot be opened ({_line(error)}).") from None


def _import(name):
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise ValueError(
            f"tfds:{name}: needs `pip install tensorflow-datasets importlib_resources` ({error})."
        ) from None
    return tensorflow_datasets


def _server(builder):
    """Root of the server that a set comes from, or None for a user's own set that names no
    download.
    """
    url = next(iter(builder.url_infos or ()), "")
    parts = urllib.parse.urlsplit(url)
    if parts.scheme in ("http", "https"):
        return f"{parts.scheme}://{parts.netloc}"
    own = not type(builder).__module__.startswith("tensorflow_datasets.")
    return None if own and not url else DEFAULT_HOST


def _reachable(url):
    """Whether a server answers in time, whatever it answers; proxies are honoured."""
    answers = queue.SimpleQueue()
    threading.Thread(target=lambda: answers.put(_answers(url)), daemon=True).start()
    try:
        # a thread, for no other timeout bounds a name look-up
        return answers.get(timeout=PROBE_SECONDS)
    except queue.Empty:
        return False


def _answers(url):
    try:
        request = urllib.request.Request(url, method="HEAD")
        urllib.request.build_opener().open(request, timeout=PROBE_SECONDS).close()
    except urllib.error.HTTPError:
        return True
    except Exception as error:
        # it spoke: tfds may trust it
        return isinstance(getattr(error, "reason", error), ssl.SSLError)
    return True


def feature_of(builder, name, kind, purpose):
    """Name of the one feature of a type, or among several of the one that supervised learning
    takes.

    Raises: ValueError when it has none, or several; `purpose` says what it then does not fit.
    """
    features = builder.info.features
    names = [key for key, feature in features.items() if type(feature).__name__ == kind]
    if len(names) > 1:
        supervised = builder.info.supervised_keys or ()
        names = [key for key in names if key in supervised] or names
    if len(names) != 1:
        fault = (
            f"has {len(names)} features of type {kind}"
            if names
            else f"has no feature of type {kind}"
        )
        raise ValueError(
            f"tfds:{name}: {fault}, so it does not fit {purpose}. Features: {', '.join(features)}"
        )
    return names[0]


def _read(builder, name, image, label, split, reading):
    shape, count = builder.info.features[image].shape, builder.info.splits[split].num_examples
    names = builder.info.features[label].names
    with in_one_line(f"tfds:{name}: the split {split!r} cannot be read from {builder.data_dir}"):
        if None not in shape and fits_memory((count, *shape)):
            images, labels = zip(*read_batches(builder, name, split, (image, label)), strict=True)
            return np.concatenate(images), np.concatenate(labels), names
        wanted = (count, *(reading.shape or (*[reading.size or SIDE] * 2, shape[-1] or 3)))
        if not (reading.cache or fits_memory(wanted)):
            raise ValueError(
                f"{count} images of {wanted[1:]} do not fit into memory: name a folder with --cache"
            )
        rows = functools.partial(read_batches, builder, name, split, (image, label), batch_size=1)
        make = functools.partial(_fitted, rows, wanted, reading.resize)
        images, about = cached(
            make, reading.cache, builder.name, builder.data_dir, split, wanted, reading.resize
        )
    keys = [bytes.fromhex(key) for key in about["keys"]]
    return images, np.array(about["labels"]), names, keys, f"of {about['sizes']} pixels"


def _fitted(rows, shape, resize, path):
    """The images of rows of a single one each, fitted into a shape, and their labels, keys and
    sizes.
    """
    labels, keys, sizes = [], [], []
    with image_array(shape, path) as array:
        for index, (image, label) in enumerate(rows()):
            array[index] = fit_pixels(image[0], shape[1:], resize)
            labels.append(int(label[0]))
            keys.append(hashlib.blake2b(image[0].tobytes(), digest_size=16).hexdigest())
            sizes.append(image.shape[1:3])
    about = {"labels": labels, "keys": keys, "sizes": range_of_sizes(sizes)}
    return (array if path is None else opened(path)), about


def read_batches(builder, name, split, features, batch_size=READ_BATCH):
    """Yields the features of a split in batches, a tuple of arrays each."""
    tfds = _import(name)
    plain = tfds.ReadConfig(try_autocache=False, skip_prefetch=True)  # a third faster for one pass
    rows = builder.as_dataset(split=split, shuffle_files=False, read_config=plain)
    yield from tfds.as_numpy(
        rows.map(lambda row: tuple(row[key] for key in features)).batch(batch_size)
    )


@contextlib.contextmanager
def in_one_line(problem):
    """Turns what tfds raises, many lines at times, into a ValueError of one line."""
    try:
        yield
    except Exception as error:
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise  # a full disk is no fault of the data
        raise ValueError(f"{problem} ({_line(error)}).") from None


def _line(error):
    return " ".join(str(error).split())[:300]

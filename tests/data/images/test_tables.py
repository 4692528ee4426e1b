"""Images in tables and in folders of other layouts."""

import numpy as np
import pytest
from image_files import digits, write_idx, write_npz
from PIL import Image

from deepapps.data.images.files import Reading, encode_images
from deepapps.data.images.load import LearnedImages, load_evaluation_images, load_images
from deepapps.tasks import find_task


def put(folder, level, count=40, dtype="uint8"):
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(int(level)).normal(level, level / 20, (count, 8, 8))
    for index, pixels in enumerate(noise.clip(0).astype(dtype)):
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def table(path, header, rows):
    lines = [",".join(map(str, row)) for row in ([header] if header else []) + rows]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("cell", ["{}.png", "{}", "pictures/{}.png"])
@pytest.mark.parametrize("header", [None, ("id", "breed")])
def test_files_and_labels(cell, header, tmp_path):
    put(tmp_path / "pictures", 100)
    rows = [(cell.format(index), "cat" if index % 2 else "dog") for index in range(40)]
    splits, learned = load_images(table(tmp_path / "labels.csv", header, rows))
    assert learned.class_names == ["cat", "dog"]
    assert sum(map(len, splits.sources.values())) == 40
    assert "file from column" in splits.description and "label from column" in splits.description


def test_one_folder_for_all_images_and_its_table(tmp_path):
    put(tmp_path / "all", 100)
    with pytest.raises(ValueError, match="nothing says their classes.*--data labels.csv"):
        load_images(tmp_path / "all")
    rows = [(index, *(int(index % 3 == place) for place in range(3))) for index in range(40)]
    table(tmp_path / "all" / "labels.csv", ("image", "a", "b", "c"), rows)
    assert load_images(tmp_path / "all")[1].class_names == ["a", "b", "c"]


def test_tables_that_are_not_clear_are_refused(tmp_path):
    put(tmp_path / "pictures", 100)
    rows = [(f"{index}.png", f"n{index % 2}", index) for index in range(40)]
    path = table(tmp_path / "a.csv", ("path", "name", "size"), rows)
    with pytest.raises(ValueError, match="which column is the label.*--label-column"):
        load_images(path)
    assert load_images(path, reading=Reading(label_column="2"))[1].class_names == ["n0", "n1"]
    with pytest.raises(ValueError, match="40 different labels of 40 examples mostly occur once"):
        load_images(path, reading=Reading(label_column="size"))
    path = table(tmp_path / "b.csv", ("path", "label"), [("99.png", "a"), ("1.png", "b")])
    with pytest.raises(ValueError, match="99.png: no such file.*--skip-bad-files"):
        load_images(path)


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("shape", [(6, 6), (4, 4, 3)])
def test_a_pixel_a_column(header, shape, tmp_path):
    images, labels = digits(60, shape=shape)
    pixels = images.reshape(len(images), -1)
    names = ("label", *(f"pixel{index}" for index in range(pixels.shape[1])))
    path = table(tmp_path / "a.csv", names if header else None, np.c_[labels, pixels].tolist())
    learned = load_images(path)[1]
    assert learned.image_shape == (shape if len(shape) == 3 else (*shape, 1))
    source = load_evaluation_images(path, learned.class_names, learned.image_shape)
    np.testing.assert_array_equal(source.arrays[0].reshape(pixels.shape), pixels)
    np.testing.assert_array_equal(source.arrays[1], labels)


def test_pixels_that_are_no_square_are_refused(tmp_path):
    images, labels = digits(40, shape=(5, 6))
    path = table(tmp_path / "a.csv", None, np.c_[labels, images.reshape(40, -1)].tolist())
    with pytest.raises(ValueError, match="30 columns beside the label, which are no square"):
        load_images(path)


def test_one_hot_labels_and_labels_from_1(tmp_path):
    images, labels = digits(60)
    assert load_images(write_npz(tmp_path, x=images, y=np.eye(5)[labels]))[1].class_names == [
        str(label) for label in range(5)
    ]
    path = write_npz(tmp_path, x=images, y=labels + 1)
    learned = load_images(path)[1]
    assert learned.class_names == ["1", "2", "3", "4", "5"]
    source = load_evaluation_images(path, learned.class_names, learned.image_shape)
    np.testing.assert_array_equal(source.arrays[1], labels)


def test_emnist_is_turned_upright_and_its_sets_told_apart(tmp_path, caplog):
    images, labels = digits(60)
    write_idx(tmp_path, images, labels + 1, part="emnist-letters-train")
    splits, learned = load_images(tmp_path)
    assert learned.image_shape == (11, 7, 1) and "turned upright" in caplog.text
    write_idx(tmp_path, images, labels, part="emnist-digits-train")
    with pytest.raises(ValueError, match="holds the sets emnist-digits, emnist-letters"):
        load_images(tmp_path)
    path = tmp_path / "emnist-digits-train-images-idx3-ubyte"
    assert load_images(path)[1].class_names[0] == "0"


def test_a_folder_with_the_name_of_its_file(tmp_path):
    write_idx(tmp_path, *digits(60))
    for kind in ("images-idx3", "labels-idx1"):
        folder = tmp_path / f"train-{kind}-ubyte"
        content = folder.read_bytes()
        folder.unlink()
        folder.mkdir()
        (folder / folder.name).write_bytes(content)
    assert len(load_images(tmp_path)[1].class_names) == 5


def test_parts_beside_other_folders(tmp_path, caplog):
    for part in ("seg_train", "seg_test"):
        for level, name in ((60, "sea"), (180, "ice")):
            put(tmp_path / part / part / name, level)
    put(tmp_path / "seg_pred" / "seg_pred", 90)
    splits, learned = load_images(tmp_path)
    assert learned.class_names == ["ice", "sea"] and len(splits.test) == 80
    assert "not used: seg_pred" in caplog.text


def test_a_class_may_be_called_as_a_part(tmp_path):
    put(tmp_path / "train", 60)
    put(tmp_path / "bus", 180)
    assert load_images(tmp_path)[1].class_names == ["bus", "train"]
    put(tmp_path / "train" / "steam", 60)
    with pytest.raises(ValueError, match="holds train beside bus: is it a part.*or a class"):
        load_images(tmp_path)


def test_parts_without_classes_are_refused(tmp_path):
    put(tmp_path / "train", 60)
    put(tmp_path / "test", 180)
    with pytest.raises(ValueError, match="has no sub-folders, so nothing says the classes"):
        load_images(tmp_path)


def test_what_an_archive_was_unpacked_to(tmp_path):
    for number in range(11):
        put(tmp_path / "archive" / "digits" / str(number), 10 + number, count=20)
    (tmp_path / "archive" / "__MACOSX").mkdir()
    assert load_images(tmp_path)[1].class_names == [str(number) for number in range(11)]


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_no_gray_level_of_deep_files_is_lost(bits, tmp_path):
    top = 2**bits - 1
    for name, share in (("a", 0.3), ("b", 0.75)):
        put(tmp_path / name, share * top, count=40, dtype="uint16")
    splits, learned = load_images(tmp_path)
    assert learned.bits == bits and f"{bits} bits a value" in splits.description
    answer = encode_images([tmp_path / "b" / "0.png"], (8, 8, 1), bits=learned.bits)
    assert 0.6 * 255 < answer.mean() < 255


@pytest.mark.parametrize("channels", [1, 2, 4, 13])
def test_what_was_learned_of_images_of_any_channels_comes_back(channels, tmp_path):
    task = find_task("mnist")(learned=LearnedImages(["a", "b"], (8, 8, channels), True, 12))
    task.save(tmp_path)
    again = find_task("mnist")()
    again.load(tmp_path)
    assert again.learned == task.learned

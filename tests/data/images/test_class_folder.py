"""Folders with one sub-folder for each class: every kind of file, every fault, and sets beyond
memory.
"""

import logging
import shutil

import numpy as np
import pytest
from PIL import Image

from deepapps.data.images import store as image_store
from deepapps.data.images.files import Reading, encode_images, read_header, read_image
from deepapps.data.images.load import load_evaluation_images, load_images

PARTS = ("train", "validation", "test")
ENDINGS = ("png", "jpg", "webp", "bmp")


@pytest.fixture
def folder(tmp_path):
    """60 images of three classes, of several sizes, in every format: the class is a brightness."""
    return make_folder(tmp_path / "data")


def make_folder(path, count=20, classes=("dim", "grey", "lit"), sizes=((9, 14), (14, 9), (20, 20))):
    random = np.random.default_rng(0)
    for number, name in enumerate(classes):
        (path / name).mkdir(parents=True)
        for index in range(count):
            pixels = random.integers(0, 60, (*sizes[index % len(sizes)], 3)) + 60 * number
            ending = ENDINGS[index % 4]
            Image.fromarray(pixels.astype("uint8")).save(
                path / name / f"{index}.{ending}", quality=95
            )
    return path


def fails(data, *words, reading=None, **given):
    with pytest.raises(ValueError) as caught:
        load_images(str(data), reading=reading, **given)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert str(word) in message
    return message


def examples(source):
    inputs, targets = source[np.arange(len(source))]
    return sorted(
        (image.tobytes(), int(target)) for image, target in zip(inputs, targets, strict=True)
    )


def test_every_format_and_size(folder):
    data = load_images(folder, reading=Reading(size=16))
    assert data[1].class_names == ["dim", "grey", "lit"] and data[1].image_shape == (16, 16, 3)
    assert "(files of 9x14 to 20x20 pixels)" in data[0].description and not data[1].invert_bright
    assert sum(len(getattr(data[0], part)) for part in PARTS) == 60
    inputs, targets = data[0].train[np.arange(len(data[0].train))]
    assert inputs.dtype == np.uint8 and targets.dtype == np.int32
    np.testing.assert_allclose(inputs.mean(axis=(1, 2, 3)), 30 + 60 * targets, atol=8)


def test_images_of_one_small_size_keep_it_and_others_are_squares(tmp_path, folder):
    small = make_folder(tmp_path / "small", sizes=[(9, 14)])
    large = make_folder(
        tmp_path / "large", count=4, sizes=[(130, 20)], classes=("a", "b", "c", "d", "e")
    )
    assert load_images(small)[1].image_shape == (9, 14, 3)
    assert load_images(large)[1].image_shape == load_images(folder)[1].image_shape == (64, 64, 3)


def test_grey_files_alone_have_one_channel(tmp_path):
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for index in range(20):
            grey = Image.fromarray(random.integers(0, 256, (8, 8)).astype("uint8"))
            grey.save(tmp_path / name / f"{index}.{('png', 'jpg', 'bmp')[index % 3]}")
    assert load_images(tmp_path)[1].image_shape == (8, 8, 1)
    grey.convert("RGB").save(tmp_path / "a" / "color.png")
    assert load_images(tmp_path)[1].image_shape == (8, 8, 3)


def test_split_is_by_content_not_by_name_place_or_order(tmp_path, folder):
    reading, moved = Reading(size=12), tmp_path / "moved"
    for index, path in enumerate(sorted(folder.glob("*/*"), reverse=True)):
        target = moved / path.parent.name / f"deeper{index % 2}" / f"{index}{path.suffix.upper()}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    first, second = load_images(folder, reading=reading), load_images(moved, reading=reading)
    for part in PARTS:
        assert examples(getattr(first[0], part)) == examples(getattr(second[0], part))


def test_parts_as_folders(tmp_path):
    for part, count in (("train", 20), ("val", 3), ("test", 4)):
        make_folder(tmp_path / part, count)
    splits = load_images(tmp_path)[0]
    assert [len(getattr(splits, part)) for part in PARTS] == [60, 9, 12]
    assert len(load_evaluation_images(tmp_path, ["dim", "grey", "lit"], (10, 10, 3))) == 12


def test_evaluation_takes_the_shape_of_the_model_and_matches_classes_by_name(folder):
    source = load_evaluation_images(folder, ["lit", "dim", "grey", "else"], (10, 12, 3))
    inputs, targets = source[np.arange(60)]
    assert inputs.shape == (60, 10, 12, 3)
    assert targets.tolist() == [1] * 20 + [2] * 20 + [0] * 20


@pytest.mark.parametrize("cache", [False, True])
def test_beyond_memory_equals_in_memory(folder, tmp_path, monkeypatch, cache):
    reading = Reading(size=16, cache=str(tmp_path / "cache") if cache else None)
    expected = load_images(folder, reading=Reading(size=16))
    monkeypatch.setattr(image_store, "IN_MEMORY_BYTES", 1000)
    for _ in range(2):
        data = load_images(folder, reading=reading)
        for part in PARTS:
            source, same = getattr(data[0], part), getattr(expected[0], part)
            assert isinstance(source, image_store.ImageSource)
            indices = np.random.default_rng(0).permutation(len(source))[:7]
            for array, other in zip(source[indices], same[indices], strict=True):
                np.testing.assert_array_equal(array, other)
    kept = load_evaluation_images(folder, data[1].class_names, (16, 16, 3))
    assert isinstance(kept, image_store.ImageSource) and len(kept) == 60


def test_cache_is_read_instead_of_the_files_until_one_changes(folder, tmp_path, monkeypatch):
    reading = Reading(size=16, cache=str(tmp_path / "cache"))
    first = load_images(folder, reading=reading)
    with monkeypatch.context() as patch:
        patch.setattr("deepapps.data.images.class_folder.read_image", None)
        assert examples(load_images(folder, reading=reading)[0].train) == examples(first[0].train)
    (folder / "dim" / "0.png").unlink()
    assert len(list((tmp_path / "cache").iterdir())) == 2
    load_images(folder, reading=reading)
    assert len(list((tmp_path / "cache").iterdir())) == 4


def truncated(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def emptied(path):
    path.write_bytes(b"")


def text(path):
    path.write_text("no image at all")


def dangling(path):
    path.unlink()
    path.symlink_to("nowhere")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    "damage", [truncated, emptied, text, dangling], ids=lambda damage: damage.__name__
)
def test_bad_file_is_named_or_skipped_and_counted(folder, damage, ending, caplog, tmp_path):
    bad = folder / "grey" / f"{ENDINGS.index(ending) + 4}.{ending}"
    damage(bad)
    fails(folder, f"{bad}: ", "--skip-bad-files", reading=Reading(cache=str(tmp_path / "cache")))
    assert not list(tmp_path.glob("cache/*"))
    with caplog.at_level(logging.WARNING):
        data = load_images(folder, reading=Reading(skip_bad_files=True))
    assert sum(len(getattr(data[0], part)) for part in PARTS) == 59
    assert (
        "skipped 1 files" in caplog.text
        and str(bad) in caplog.text
        and "1 skipped" in data[0].description
    )


def test_many_bad_files_are_one_line(folder):
    for path in (folder / "grey").iterdir():
        text(path)
    fails(folder, "0.png: is not an image (and 19 more files like it)")
    fails(
        folder, "none of the images of class grey can be read", reading=Reading(skip_bad_files=True)
    )


def test_folders_that_are_no_classes(tmp_path):
    fails(tmp_path, "the folder is empty")
    (tmp_path / "a.png").write_bytes(b"")
    fails(tmp_path, "Give each class a sub-folder, or name a table")
    (tmp_path / "cats").mkdir()
    fails(tmp_path, f"{tmp_path}/cats: holds no images", ".webp")
    shutil.rmtree(tmp_path / "cats")
    make_folder(tmp_path, classes=("cats",))
    fails(tmp_path, "two classes or more")


def test_one_image_for_each_class(tmp_path):
    fails(make_folder(tmp_path / "data", count=1), "of its 3 images none falls into the")


def test_links_that_loop_are_followed_once(folder):
    (folder / "dim" / "again").symlink_to(folder / "dim")
    (folder / "lit" / "up").symlink_to(folder)
    data = load_images(folder)
    assert sum(len(getattr(data[0], part)) for part in PARTS) == 60


def test_other_files_are_reported_and_hidden_ones_passed_over(folder, caplog):
    (folder / "notes.txt").write_text("taken in May")
    (folder / "dim" / "Thumbs.db").write_bytes(b"")
    (folder / "dim" / ".DS_Store").write_bytes(b"")
    (folder / ".git").mkdir()
    with caplog.at_level(logging.WARNING):
        assert load_images(folder)[1].class_names == ["dim", "grey", "lit"]
    assert "2 files" in caplog.text and "notes.txt" in caplog.text and "DS_Store" not in caplog.text


def test_a_test_set_with_an_unknown_class(folder, tmp_path):
    other = make_folder(tmp_path / "other", classes=("dim", "new"))
    fails(folder, "('new')", "no example in training", test=str(other))


def save(image, path, **options):
    image.save(path, **options)
    return path


def test_orientation_is_that_of_the_exif_data(tmp_path):
    pixels = np.zeros((6, 12, 3), "uint8")
    pixels[:, 6:] = 255  # bright on the right; turned by a quarter, at the bottom
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(Image.fromarray(pixels), tmp_path / "a.jpg", exif=exif, quality=95)
    header = read_header(path)
    assert (header.height, header.width, header.grey) == (12, 6, False)
    turned = read_image(path, (12, 6, 3))
    assert turned[:5].mean() < 5 and turned[7:].mean() > 250


def test_transparent_is_white_and_every_depth_becomes_bytes(tmp_path):
    clear = np.zeros((4, 4, 4), "uint8")
    clear[:2, :, 3] = 255  # the upper half is black, the rest is clear
    image = read_image(save(Image.fromarray(clear), tmp_path / "a.png"), (4, 4, 3))
    assert image[:2].max() == 0 and image[2:].min() == 255
    deep = Image.fromarray(np.full((4, 4), 200 * 256 + 7, "uint16"))
    assert (read_image(save(deep, tmp_path / "deep.png"), (4, 4, 1)) == 200).all()
    assert (read_image(tmp_path / "deep.png", (4, 4, 3)) == 200).all() and read_header(
        tmp_path / "deep.png"
    ).grey
    bits = save(Image.fromarray(np.eye(4, dtype=bool)), tmp_path / "bits.png")
    np.testing.assert_array_equal(read_image(bits, (4, 4, 1))[..., 0], 255 * np.eye(4))
    ink = save(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), tmp_path / "ink.jpg", quality=100)
    np.testing.assert_allclose(read_image(ink, (4, 4, 3)), np.full((4, 4, 3), [255, 0, 0]), atol=3)


def test_tiny_long_and_huge_images(tmp_path, recwarn):
    for name, size in {"dot": (1, 1), "line": (1, 3000), "huge": (10_000, 10_000)}.items():
        path = save(Image.new("1", size, 1), tmp_path / f"{name}.png")
        assert read_image(path, (8, 8, 1)).min() >= 250
        assert read_header(path).width == size[0]
    assert not [w for w in recwarn if issubclass(w.category, Image.DecompressionBombWarning)]
    bomb = save(Image.new("1", (20_000, 20_000)), tmp_path / "bomb.png")
    with pytest.raises(ValueError, match="bomb.png: cannot be read as an image"):
        read_image(bomb, (8, 8, 1))


def test_ways_to_resize(tmp_path):
    pixels = np.full((8, 24, 1), 50, "uint8")
    pixels[:, 8:16] = 250  # a bright square in the middle of a wide image
    path = save(Image.fromarray(pixels[..., 0]), tmp_path / "a.png")
    padded, cropped, stretched = (
        read_image(path, (8, 8, 1), way) for way in ("pad", "crop", "stretch")
    )
    # the color of the border
    assert padded[0].max() == padded[-1].max() == 50 and padded[4].max() > 200
    assert (cropped == 250).all()
    assert stretched[0, 4] > 200 and abs(int(stretched[0, 0, 0]) - 50) < 15


def test_files_to_predict_on_are_read_as_those_of_training(tmp_path):
    paper = np.full((12, 12), 240, "uint8")
    paper[5:7] = 10
    path = save(Image.fromarray(paper), tmp_path / "digit.png")
    as_it_is, inverted = (
        encode_images(str(path), (12, 12, 1), "pad", flip)[0] for flip in (False, True)
    )
    np.testing.assert_array_equal(as_it_is[..., 0], paper)
    np.testing.assert_array_equal(inverted[..., 0], 255 - paper)
    assert load_images("sample")[1].invert_bright

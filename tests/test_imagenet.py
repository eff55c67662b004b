"""ImageNet's validation set in every layout that people have; what is not complete is refused by one line."""

import csv

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from harness import imagenet
from harness.datasets import open_dataset
from harness.errors import FormatError, UsageError
from models import Preprocess

INPUT = (1, 8, 8, 3)
# Four images, of the classes 0, 999, 1 and 1.
SYNSETS = ["n01440764", "n15075141", "n01443537", "n01443537"]
INDICES = [0, 999, 1, 1]
WORDNET = "imagenet_2012_validation_synset_labels.txt"
DEVKIT = "ILSVRC2012_validation_ground_truth.txt"
NAMES = [f"ILSVRC2012_val_{number:08d}" for number in range(1, 5)]
FORMS = {
    WORDNET: SYNSETS,
    "val.txt": [f"{NAMES[i]}.JPEG {INDICES[i]}" for i in (2, 0, 1, 3)],  # in any order
    "LOC_val_solution.csv": [
        "ImageId,PredictionString",
        *(f"{NAMES[i]},{SYNSETS[i]} 85 1 499 272 {SYNSETS[i]} 3 4 5 6" for i in (3, 1, 0, 2)),
    ],
    DEVKIT: ["1000", "1", "999", "999"],
}


def write_meta(path, synsets=imagenet.SYNSETS):
    """As the development kit has it: numbers in an order of their own, here reversed, then inner nodes."""
    rows = [(1000 - index, synset, "words", 0) for index, synset in enumerate(synsets)]
    rows += [(1001, "n00001740", "entity", 2)]
    fields = ("ILSVRC2012_ID", "WNID", "words", "num_children")
    table = np.array([[row] for row in rows], [(name, object) for name in fields])
    savemat(path, {"synsets": table})


@pytest.fixture
def flat(tmp_path):
    """The official archive's images, without labels."""
    folder = tmp_path / "in" / "val"
    folder.mkdir(parents=True)
    for name in NAMES:
        Image.new("RGB", (9, 9)).save(folder / f"{name}.JPEG", "jpeg")
    return folder


def labelled(flat, form, lines=None):
    path = flat / form
    path.write_text("\n".join(lines or FORMS[form]) + "\n")
    return path


def labels(folder, classes=1000):
    data = open_dataset(folder, Preprocess(), INPUT, classes=classes)
    return dict(zip(data.ids, data.labels.tolist(), strict=True))


def test_the_classes_are_the_sorted_synsets(lab):
    assert (len(imagenet.SYNSETS), list(imagenet.SYNSETS)) == (1000, sorted(set(imagenet.SYNSETS)))
    with (lab / "imagenet_sample" / "labels.csv").open(encoding="utf-8") as table:
        for row in csv.DictReader(table):
            assert imagenet.INDEX[row["wnid"]] == int(row["label"])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("place", [".", "..", "ILSVRC2012_devkit_t12/data", "../ILSVRC2012_devkit_t12/data"])
def test_the_official_images_and_any_file_of_labels(flat, form, place):
    (flat / place).mkdir(parents=True, exist_ok=True)
    labelled(flat / place, form)
    if form == DEVKIT:
        write_meta(flat / place / "meta.mat")
    assert labels(flat) == {f"{name}.JPEG": index for name, index in zip(NAMES, INDICES, strict=True)}


def test_the_models_number_of_classes_says_how_labels_are_moved(flat):
    labelled(flat, WORDNET)
    assert list(labels(flat, 1001).values()) == [1, 1000, 2, 2]
    moved = open_dataset(flat, Preprocess(label_offset=1), INPUT, classes=1000)
    assert moved.labels.tolist() == INDICES
    with pytest.raises(
        FormatError, match="val: holds ImageNet's images, of 1000 classes; the model has 6, nei"
    ):
        labels(flat, 6)


def test_images_without_labels(flat):
    with pytest.raises(UsageError) as refused:
        labels(flat)
    assert str(refused.value) == (
        f"{flat}: ImageNet's images are here, but not their labels; looked here, in the folder above and in "
        "ILSVRC2012_devkit_t12/data of both for imagenet_2012_validation_synset_labels.txt, "
        "ILSVRC2012_validation_ground_truth.txt, val.txt, LOC_val_solution.csv"
    )


def test_a_table_of_the_users_own_goes_before_all(flat):
    labelled(flat, WORDNET)
    (flat / "labels.csv").write_text(f"file,label\n{NAMES[0]}.JPEG,7\n")
    assert labels(flat) == {f"{NAMES[0]}.JPEG": 7}


@pytest.mark.parametrize(
    ("form", "lines", "message"),
    [
        (WORDNET, SYNSETS[:3], "has labels of 3 images, but .*val holds 4: there is no label of .*_00000004"),
        (
            WORDNET,
            [*SYNSETS, "n01440764"],
            "5 images, but .* holds 4: there is no image ILSVRC2012_val_00000005",
        ),
        (WORDNET, ["n01440764", "n00000001"], "line 2: 'n00000001' is no label of an image of ImageNet's"),
        (WORDNET, ["n01440764", ""], "line 2: '' is no label"),
        (WORDNET, ["tench"], "line 1: 'tench' is no label"),
        ("val.txt", [f"{NAMES[0]}.JPEG 1000"], r"line 1: 'ILSVRC2012_val_00000001\.JPEG 1000' is no label"),
        ("val.txt", [f"{NAMES[0]}.JPEG -1"], "line 1: .* is no label"),
        ("val.txt", [f"{NAMES[0]}.JPEG ٣"], "line 1: .* is no label"),
        ("val.txt", [f"{NAMES[0]}.JPEG 1", f"val/{NAMES[0]}.JPEG 1"], "line 2: image 1 has a label already"),
        (
            "val.txt",
            [f"{NAMES[i]}.JPEG 1" for i in (0, 1, 3)],
            "3 images, .* no label of ILSVRC2012_val_00000003",
        ),
        ("LOC_val_solution.csv", [f"{NAMES[0]},1"], "line 1: .* is no label"),
    ],
)
def test_labels_that_are_not_those_of_the_images(flat, form, lines, message):
    path = labelled(flat, form, lines)
    with pytest.raises(FormatError, match=rf"^{path}(, |: ).*{message}"):
        labels(flat)


def test_labels_that_are_no_text(flat):
    (flat / "val.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match=r"val\.txt: not a text file in UTF-8"):
        labels(flat)


def test_the_development_kits_numbers_need_its_table(flat):
    path = labelled(flat, DEVKIT)
    with pytest.raises(
        UsageError, match=f"^{path}: numbers the classes in an order of its own: put .*meta.mat"
    ):
        labels(flat)
    write_meta(flat / "meta.mat", imagenet.SYNSETS[:999])
    with pytest.raises(FormatError, match=r"meta\.mat: has 999 of ImageNet's 1000 classes"):
        labels(flat)
    write_meta(flat / "meta.mat")
    labelled(flat, DEVKIT, ["1001", "1", "1", "1"])
    with pytest.raises(FormatError, match="line 1: '1001' is no label"):
        labels(flat)


@pytest.mark.parametrize(
    "damage", [lambda c: b"", lambda c: b"MATLAB", lambda c: c[:5000], lambda c: c[:128]]
)
def test_a_damaged_table_of_the_development_kit(flat, damage):
    labelled(flat, DEVKIT)
    meta = flat / "meta.mat"
    write_meta(meta)
    meta.write_bytes(damage(meta.read_bytes()))
    with pytest.raises(FormatError, match=rf"^{meta}: not the development kit's meta\.mat"):
        labels(flat)
    savemat(meta, {"synsets": np.zeros(3)})
    with pytest.raises(FormatError, match=rf"^{meta}: not the development kit's meta\.mat"):
        labels(flat)


@pytest.fixture
def by_synset(tmp_path):
    for synset in SYNSETS[:3]:
        (tmp_path / "val" / synset).mkdir(parents=True)
        Image.new("RGB", (9, 9)).save(tmp_path / "val" / synset / "1.png")
    return tmp_path / "val"


def test_class_folders_have_their_place_among_all_1000(by_synset):
    expected = {"n01440764/1.png": 0, "n01443537/1.png": 1, "n15075141/1.png": 999}
    assert labels(by_synset) == expected
    assert labels(by_synset, 1001) == {name: index + 1 for name, index in expected.items()}


def test_class_folders_of_another_model_are_numbered_among_themselves(by_synset):
    """Imagenette: ten of the classes, for a network of ten."""
    assert list(labels(by_synset, 3).values()) == [0, 1, 2]


def test_a_folder_that_is_no_class(by_synset):
    (by_synset / "n01440764 (copy)").mkdir()
    Image.new("RGB", (9, 9)).save(by_synset / "n01440764 (copy)" / "1.png")
    with pytest.raises(FormatError, match=r"n01440764 \(copy\): not one of ImageNet's 1000 classes"):
        labels(by_synset)


def test_a_link_out_of_the_folder(flat, tmp_path):
    labelled(flat, WORDNET)
    (flat / f"{NAMES[1]}.JPEG").rename(tmp_path / "away.jpeg")
    (flat / f"{NAMES[1]}.JPEG").symlink_to(tmp_path / "away.jpeg")
    with pytest.raises(
        FormatError, match="_00000002.JPEG' is a link that leads out of the data set's folder"
    ):
        labels(flat)

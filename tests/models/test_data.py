import numpy as np
import pytest
import torch
from PIL import Image

from nanoseg_bench.annotations.instance import Instance, Micrograph
from nanoseg_bench.annotations.raster import mask_to_rle
from nanoseg_bench.annotations.source import LoadedMicrograph
from nanoseg_bench.errors import DatasetError
from nanoseg_bench.images import read_image
from nanoseg_bench.models.data import TrainingImages, network_input, normalise, shrink_instance, to_planes
from nanoseg_bench.preparation.config import PrepareConfig
from nanoseg_bench.preparation.pipeline import prepare
from nanoseg_bench.preparation.prepared_set import PreparedSet

CANVAS = 48


def random_mask(rng: np.random.Generator) -> np.ndarray:
    height, width = rng.integers(1, CANVAS + 1, 2)
    y, x = int(rng.integers(0, CANVAS - height + 1)), int(rng.integers(0, CANVAS - width + 1))
    mask = np.zeros((CANVAS, CANVAS), dtype=bool)
    mask[y : y + height, x : x + width] = rng.random((height, width)) < rng.uniform(0.2, 0.95)
    return mask


def shrunk(mask: np.ndarray, size: int) -> np.ndarray | None:
    """The particle on the whole network canvas; None where there is none."""
    part = shrink_instance(Instance("a", mask_to_rle(mask)), 3, CANVAS, size)
    if part is None:
        return None
    assert part.class_index == 3
    whole = np.zeros((size, size), dtype=bool)
    whole[part.y : part.y + part.mask.shape[0], part.x : part.x + part.mask.shape[1]] = part.mask
    return whole


@pytest.mark.parametrize("zoom", [1, 2, 3, 4])
def test_a_particle_covers_the_network_pixels_that_it_covers_by_half(zoom):
    rng, size = np.random.default_rng(zoom), CANVAS // zoom
    for _ in range(40):
        mask = random_mask(rng)
        shares = mask.reshape(size, zoom, size, zoom).mean(axis=(1, 3))
        expected = shares >= 0.5
        found = shrunk(mask, size)
        assert (found == expected).all() if expected.any() else found is None


@pytest.mark.parametrize("size", [20, 31, 64])
def test_other_sizes_are_those_of_the_whole_canvas_resized(size):
    rng = np.random.default_rng(size)
    for _ in range(40):
        mask = random_mask(rng)
        whole = Image.fromarray(mask.astype(np.uint8) * 255).resize((size, size), Image.Resampling.BOX)
        expected = np.asarray(whole) > 127
        found = shrunk(mask, size)
        assert (found == expected).all() if expected.any() else found is None


def test_what_covers_no_pixel_is_no_particle():
    mask = np.zeros((CANVAS, CANVAS), dtype=bool)
    assert shrink_instance(Instance("a", mask_to_rle(mask)), 0, CANVAS, 16) is None
    mask[5, 5] = True
    assert shrink_instance(Instance("a", mask_to_rle(mask)), 0, CANVAS, 16) is None
    assert shrink_instance(Instance("a", mask_to_rle(mask)), 0, CANVAS, CANVAS).mask.tolist() == [[True]]


def test_inputs_are_three_planes_about_zero_mean_and_unit_variance():
    grey = np.arange(64, dtype=np.uint8).reshape(4, 16)
    colour = np.stack([grey, grey + 1, grey + 2], axis=2)
    of_grey, of_colour = network_input(grey), network_input(colour)
    assert of_grey.shape == of_colour.shape == (1, 3, 4, 16)
    torch.testing.assert_close(of_grey[0, 1], (torch.from_numpy(grey).float() / 255 - 0.5) / 0.25)
    torch.testing.assert_close(of_colour[0, 2], (torch.from_numpy(grey + 2).float() / 255 - 0.5) / 0.25)
    one_channel = torch.from_numpy(grey)[None, None]
    assert torch.equal(normalise(one_channel), of_grey)


def test_copies_can_be_left_out(prepared_set, tmp_path):
    micrographs = [LoadedMicrograph(m) for m in four_micrographs(tmp_path)]
    names = [loaded.micrograph.name for loaded in micrographs]
    assignment = dict(zip(names, ("train", "train", "val", "test"), strict=True))
    prepared = prepare(
        micrographs,
        name="copies",
        dataset="copies",
        classes=("disc",),
        out=tmp_path / "set",
        config=PrepareConfig(canvas=64, assignment=assignment, augment_copies=2),
        workers=1,
    )
    assert len(TrainingImages(prepared, 64)) == 6
    originals = TrainingImages(prepared, 64, copies=False)
    assert len(originals) == 2
    shown = [image.image_path for image in prepared.images("train") if image.name in names]
    for index, path in enumerate(shown):
        assert (originals[index].pixels == read_image(path)).all()


def four_micrographs(folder):
    rng, micrographs = np.random.default_rng(0), []
    for number in range(4):
        pixels = rng.integers(0, 255, (64, 64), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        mask = np.zeros((64, 64), dtype=bool)
        mask[10:30, 10 + number : 40] = True
        disc = Instance("disc", mask_to_rle(mask))
        micrographs.append(Micrograph(str(number), folder / f"{number}.png", 64, 64, (disc,), source_group=str(number)))
    return micrographs


def test_samples_are_read_at_network_size_in_the_order_of_the_manifest(prepared_set):
    images = TrainingImages(prepared_set, 64)
    assert len(images) == len(prepared_set.images("train")) == 8
    for index in range(8):
        sample = images[index]
        name = prepared_set.images("train")[index].name
        truth = prepared_set.canvas_instances("train")[name]
        assert sample.pixels.shape == (64, 64)
        assert [part.class_index for part in sample.particles] == [
            prepared_set.classes.index(instance.label) for instance in truth if not instance.ignored
        ]


def test_grey_becomes_three_equal_planes_and_colour_stays_rgb():
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert torch.equal(to_planes(grey), torch.from_numpy(np.stack([grey] * 3)))
    red = np.zeros((3, 4, 3), dtype=np.uint8)
    red[..., 0] = 9
    assert to_planes(red)[:, 0, 0].tolist() == [9, 0, 0]


def test_an_image_without_targets_is_named_with_a_way_out_that_keeps_the_set(prepared_set):
    """``prepare --out SET --overwrite always`` without the annotations would put nanosynth in the place of the set."""

    class Lacking(PreparedSet):
        def canvas_instances(self, split):
            instances = dict(super().canvas_instances(split))
            del instances["scene-3"]
            return instances

    told = r"train\.json: lacks 1 training image \(scene-3\); prepare the set again, with the same"
    with pytest.raises(DatasetError, match=told):
        TrainingImages(Lacking(prepared_set.root), 64)

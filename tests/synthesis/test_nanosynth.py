from collections import Counter, defaultdict

import numpy as np
import pytest
from scipy import ndimage

from nanoseg_bench.annotations.raster import to_mask
from nanoseg_bench.errors import DatasetError
from nanoseg_bench.images import read_image
from nanoseg_bench.synthesis.nanosynth import default_hrtem_images, plan_hrtem, plan_main, plan_ood, write_nanosynth


def labels_of(micrograph):
    return {instance.label for instance in micrograph.instances if not instance.ignored}


def part_of(micrograph):
    return micrograph.image_path.parts[-3]


def bytes_below(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_published_size_shows_the_published_counts(seed):
    plan = plan_main(721, seed)
    assert len(plan) == 721
    shown = Counter(label for planned in plan for label in planned.labels)
    assert shown == {"nanocube": 267, "nanorod": 260, "nanosphere": 277}


@pytest.mark.parametrize("images", [3, 4, 6, 11, 24, 60, 721])
def test_specimens_hold_two_to_five_micrographs(images):
    plan = plan_main(images, 0)
    sizes = Counter(planned.source_group for planned in plan)
    shown = Counter(label for planned in plan for label in planned.labels)
    assert len(plan) == images
    assert len({planned.stem for planned in plan}) == images
    assert max(sizes.values()) <= 5
    if images >= 6:
        assert min(sizes.values()) >= 2
    assert len(shown) == 3 and max(shown.values()) - min(shown.values()) <= max(1, images // 20)
    for planned in plan:
        assert set(planned.labels) <= set(planned.specimen_labels)
        assert planned.labels[0] == planned.specimen_labels[0]


def test_ood_plan_is_half_and_half():
    shown = Counter(planned.labels for planned in plan_ood(61, 0))
    assert shown == {("triangle",): 31, ("pentagon",): 30}


def test_lattice_part_shows_each_class_on_a_third():
    plan = plan_hrtem(31, 0)
    shown = Counter(planned.labels for planned in plan)
    assert set(shown) == {("nanocube",), ("nanorod",), ("nanosphere",)}
    assert sorted(shown.values()) == [10, 10, 11]
    assert len({planned.stem for planned in plan}) == 31
    assert {planned.source_group.split("-")[0] for planned in plan} == {"hrtem"}


def test_lattice_part_leaves_the_others_as_they_are(tmp_path):
    from nanoseg_bench.annotations.labelme.reading import read_labelme

    write_nanosynth(tmp_path / "plain", images=3, seed=2, ood_images=2, easy=True)
    write_nanosynth(tmp_path / "more", images=3, seed=2, ood_images=2, easy=True, hrtem_images=3)
    more = bytes_below(tmp_path / "more")
    assert {name: data for name, data in more.items() if not name.startswith("hrtem")} == bytes_below(
        tmp_path / "plain"
    )
    micrographs = [read_labelme(path) for path in sorted((tmp_path / "more" / "hrtem").rglob("*.json"))]
    assert len(micrographs) == 3
    for micrograph in micrographs:
        assert micrograph.attributes["modality"] == "HRTEM"
        assert micrograph.source_group.startswith("hrtem-")
        # Lattice planes 0.17 to 0.3 nm apart are resolved.
        assert micrograph.nm_per_px < 0.08
    assert {label for micrograph in micrographs for label in labels_of(micrograph)} == {
        "nanocube",
        "nanorod",
        "nanosphere",
    }


def test_lattice_part_follows_the_size():
    assert [default_hrtem_images(images) for images in (721, 120, 54, 53, 24)] == [40, 6, 3, 0, 0]
    assert default_hrtem_images(721, easy=True) == 0


def test_files_show_what_was_planned(small_set, small_micrographs):
    planned = {planned.stem: set(planned.labels) for planned in plan_main(14, 3) + plan_ood(6, 3)}
    assert {micrograph.name: labels_of(micrograph) for micrograph in small_micrographs} == planned
    assert len(list(small_set.rglob("*.png"))) == 20


def test_attributes(small_micrographs):
    for micrograph in small_micrographs:
        assert micrograph.attributes["specimen"] == micrograph.source_group == micrograph.image_path.parent.name
        assert micrograph.attributes["modality"] in {"BF-TEM", "HAADF-STEM", "SE-SEM", "BSE-SEM", "DF-TEM"}
        if part_of(micrograph) == "ood":
            assert labels_of(micrograph) == {micrograph.attributes["ood_shape"]}
            assert micrograph.attributes["ood_shape"] in {"triangle", "pentagon"}
        else:
            assert "ood_shape" not in micrograph.attributes


def test_every_particle_lies_in_the_image(small_micrographs):
    for micrograph in small_micrographs:
        for instance in micrograph.instances:
            assert to_mask(instance, micrograph.height, micrograph.width).sum() >= 20
            if isinstance(instance.region, tuple):
                for polygon in instance.region:
                    assert polygon.exterior.min() >= 0
                    assert (polygon.exterior <= [micrograph.width, micrograph.height]).all()
                    assert np.allclose(polygon.exterior * 100, np.round(polygon.exterior * 100), atol=1e-6)


def test_truth_lies_on_the_particles(small_micrographs):
    """Pixels inside an outline differ from those in a ring around it, in the direction of the modality."""
    judged = agreeing = 0
    for micrograph in small_micrographs:
        pixels = read_image(micrograph.image_path).astype(float)
        masks = [to_mask(instance, micrograph.height, micrograph.width) for instance in micrograph.instances]
        occupied = np.logical_or.reduce(masks)
        darker = micrograph.attributes["modality"] == "BF-TEM"
        for instance, mask in zip(micrograph.instances, masks, strict=True):
            if instance.ignored:
                continue
            rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
            window = tuple(slice(max(line[0] - 8, 0), line[-1] + 9) for line in (rows, columns))
            inside, around = mask[window], pixels[window]
            far, near = (ndimage.binary_dilation(inside, iterations=reach) for reach in (6, 2))
            ring = far & ~near & ~occupied[window]
            if ring.sum() < 50 or inside.sum() < 100:
                continue
            judged += 1
            difference = around[inside].mean() - around[ring].mean()
            agreeing += difference < -5 if darker else difference > 5
    assert judged > 100
    assert agreeing >= 0.97 * judged


def test_micrographs_of_a_specimen_belong_together(small_micrographs):
    groups = defaultdict(list)
    for micrograph in small_micrographs:
        groups[micrograph.source_group].append(micrograph)
    for members in groups.values():
        assert len({micrograph.attributes["modality"] for micrograph in members}) == 1
        sizes = []
        for micrograph in members:
            areas = [to_mask(instance, micrograph.height, micrograph.width).sum() for instance in micrograph.instances]
            sizes.append(np.sqrt(np.median(areas)) * micrograph.nm_per_px)
        assert max(sizes) / min(sizes) < 2


def test_same_seed_same_bytes_whatever_the_workers(tmp_path):
    write_nanosynth(tmp_path / "one", images=6, seed=5, ood_images=2, easy=True)
    write_nanosynth(tmp_path / "two", images=6, seed=5, ood_images=2, easy=True, workers=2)
    write_nanosynth(tmp_path / "other", images=6, seed=6, ood_images=2, easy=True)
    assert bytes_below(tmp_path / "one") == bytes_below(tmp_path / "two")
    assert bytes_below(tmp_path / "one") != bytes_below(tmp_path / "other")


def test_same_seed_same_bytes_at_full_size(tmp_path):
    for name in ("one", "two"):
        write_nanosynth(tmp_path / name, images=3, seed=0, ood_images=0)
    assert bytes_below(tmp_path / "one") == bytes_below(tmp_path / "two")


def test_a_second_call_leaves_the_same_bytes(tmp_path):
    write_nanosynth(tmp_path, images=3, seed=0, ood_images=0, easy=True)
    before = bytes_below(tmp_path)
    write_nanosynth(tmp_path, images=3, seed=0, ood_images=0, easy=True)
    assert bytes_below(tmp_path) == before


def test_easy_particles_are_few_and_large(tmp_path):
    from nanoseg_bench.annotations.labelme.reading import read_labelme

    write_nanosynth(tmp_path, images=9, seed=1, ood_images=0, easy=True)
    for path in tmp_path.rglob("*.json"):
        micrograph = read_labelme(path)
        assert 1 <= len(micrograph.instances) <= 14
        areas = [to_mask(instance, micrograph.height, micrograph.width).sum() for instance in micrograph.instances]
        diameter = np.sqrt(4 / np.pi * np.max(areas)) / min(micrograph.width, micrograph.height)
        assert 0.12 < diameter < 0.5


def test_foreign_files_are_refused(tmp_path):
    write_nanosynth(tmp_path, images=6, seed=0, ood_images=0, easy=True)
    with pytest.raises(DatasetError, match="another folder"):
        write_nanosynth(tmp_path, images=3, seed=0, ood_images=0, easy=True)


def test_too_small_a_set_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="at least 3"):
        write_nanosynth(tmp_path, images=2)
    with pytest.raises(DatasetError, match="ood_images=-1: it cannot be negative"):
        write_nanosynth(tmp_path, images=3, ood_images=-1)
    with pytest.raises(DatasetError, match="hrtem_images=-1: it cannot be negative"):
        write_nanosynth(tmp_path, images=3, hrtem_images=-1)

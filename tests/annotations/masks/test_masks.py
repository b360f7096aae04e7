import unicodedata

import numpy as np
import pytest
import tifffile
from annotation_files import write_instance_map
from PIL import Image
from scipy import ndimage

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Polygon
from nanoseg_bench.annotations.masks import writing
from nanoseg_bench.annotations.masks.options import MaskOptions
from nanoseg_bench.annotations.masks.particles import find_particles, read_values, regions_of_values
from nanoseg_bench.annotations.masks.reading import open_masks, read_instance_map
from nanoseg_bench.annotations.masks.values import read_mask_values
from nanoseg_bench.annotations.raster import rle_to_mask, to_mask, window_to_rle
from nanoseg_bench.errors import AnnotationError, ImageError


def check_against_full_scans(values, instances):
    found = {int(value) for value in np.unique(values) if value > 0}
    assert len(instances) == len(found)
    for value, instance in zip(sorted(found), instances, strict=True):
        assert instance.label == "particle"
        assert (rle_to_mask(instance.region) == (values == value)).all()


@pytest.mark.parametrize(
    ("dtype", "suffix"),
    [
        ("uint8", ".png"),
        ("uint16", ".png"),
        ("uint8", ".tif"),
        ("uint16", ".tif"),
        ("int32", ".tif"),
        ("float32", ".tif"),
    ],
)
def test_every_depth(tmp_path, dtype, suffix):
    values = np.zeros((40, 50), dtype=dtype)
    values[:7, :9] = 3
    values[30:, 45:] = 200  # reaches the last pixel
    values[20:25, 10:20] = 3  # second part
    values[0, 20] = 1
    if dtype in {"uint16", "int32"}:
        values[10:12, 30:33] = 65535
    Image.fromarray(values).save(tmp_path / f"m{suffix}")
    check_against_full_scans(values, read_instance_map(tmp_path / f"m{suffix}", "particle"))


def test_random_map_of_500_particles(tmp_path):
    rng = np.random.default_rng(0)
    values = np.zeros((200, 300), dtype=np.uint16)
    for number in range(1, 501):
        row, column = rng.integers(0, 195), rng.integers(0, 295)
        values[row : row + 5, column : column + 5] = number * 7
    Image.fromarray(values).save(tmp_path / "m.png")
    check_against_full_scans(values, read_instance_map(tmp_path / "m.png", "particle"))


def test_huge_numbers_and_no_background(tmp_path):
    values = np.full((6, 8), 2_000_000_000, dtype=np.int32)
    values[:3] = 70_000
    Image.fromarray(values).save(tmp_path / "m.tif")
    check_against_full_scans(values, read_instance_map(tmp_path / "m.tif", "particle"))


def test_one_bit_and_palette(tmp_path):
    mask = np.zeros((6, 8), dtype=bool)
    mask[2:4, 3:6] = True
    Image.fromarray(mask).save(tmp_path / "bit.png")
    check_against_full_scans(mask.astype(int), read_instance_map(tmp_path / "bit.png", "particle"))
    palette = Image.fromarray(mask.astype(np.uint8) * 2)
    palette.putpalette([0, 0, 0, 9, 9, 9, 250, 0, 0])
    assert palette.mode == "P"
    palette.save(tmp_path / "palette.png")
    check_against_full_scans(mask * 2, read_instance_map(tmp_path / "palette.png", "particle"))


def test_empty_map_has_no_instances(tmp_path):
    Image.fromarray(np.zeros((5, 5), dtype=np.uint16)).save(tmp_path / "m.png")
    assert read_instance_map(tmp_path / "m.png", "particle") == []


def test_unfit_images_are_refused(tmp_path):
    Image.new("RGB", (5, 5), (9, 0, 0)).save(tmp_path / "colour.png")
    with pytest.raises(AnnotationError, match=r"colour\.png: a colour image"):
        read_instance_map(tmp_path / "colour.png", "particle")
    Image.fromarray(np.full((5, 5), -1, dtype=np.int32)).save(tmp_path / "minus.tif")
    with pytest.raises(AnnotationError, match="negative"):
        read_instance_map(tmp_path / "minus.tif", "particle")
    for broken in (0.5, np.nan, np.inf):
        Image.fromarray(np.full((5, 5), broken, dtype=np.float32)).save(tmp_path / "broken.tif")
        with pytest.raises(AnnotationError, match="broken"):
            read_instance_map(tmp_path / "broken.tif", "particle")
    with pytest.raises(ImageError, match="no such"):
        read_instance_map(tmp_path / "none.png", "particle")
    good = (tmp_path / "colour.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(good[: len(good) // 2])
    with pytest.raises(ImageError, match=r"cut\.png"):
        read_instance_map(tmp_path / "cut.png", "particle")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int64", "uint64", "float64"])
def test_every_number_that_tifffile_writes(tmp_path, dtype):
    values = np.zeros((40, 50), dtype=dtype)
    values[3:9, 4:7] = 200
    values[20:25, 10:20] = 60_000 if dtype != "uint8" else 7
    tifffile.imwrite(tmp_path / "plain.tif", values)
    tifffile.imwrite(tmp_path / "deflate.tif", values, compression="zlib")
    for name in ("plain.tif", "deflate.tif"):
        check_against_full_scans(values, read_instance_map(tmp_path / name, "particle"))


def test_lzw_which_only_pillow_decodes(tmp_path):
    values = np.zeros((40, 50), dtype=np.uint16)
    values[3:9, 4:7] = 700
    Image.fromarray(values).save(tmp_path / "m.tif", compression="tiff_lzw")
    check_against_full_scans(values, read_instance_map(tmp_path / "m.tif", "particle"))


def write_tiff(path, values, photometric, writer):
    """As programs store it: their own values in both cases, or turned round for a zero that is white."""
    if writer == "tifffile":
        tifffile.imwrite(path, values, photometric="miniswhite" if photometric == 0 else "minisblack")
        assert (tifffile.imread(path) == values).all()
    else:
        Image.fromarray(values).save(path, compression=writer, tiffinfo={262: photometric})
        with Image.open(path) as image:
            assert (np.asarray(image) == values).all()
    with tifffile.TiffFile(path) as tiff:
        assert tiff.pages[0].photometric == photometric


@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("writer", ["tifffile", "raw", "tiff_lzw"])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16"])
def test_a_tiff_whose_zero_is_white(tmp_path, photometric, writer, dtype):
    """What is read is what was drawn, or is refused; never the background as a particle."""
    values = np.zeros((40, 50), dtype=dtype)
    values[3:9, 4:7] = 1
    values[20:25, 10:20] = {"bool": 1, "uint8": 7, "uint16": 700}[dtype]
    path = tmp_path / "m.tif"
    write_tiff(path, values, photometric, writer)
    kind = MaskOptions("binary" if dtype == "bool" else "instance")
    # Only Pillow turns values round, and only those of at most 8 bits.
    if photometric == 0 and writer != "tifffile" and dtype != "uint16":
        with pytest.raises(AnnotationError, match=r"m\.tif: its PhotometricInterpretation is WhiteIsZero.*as PNG"):
            read_values(path, kind)
    else:
        assert (read_values(path, kind) == values).all()
        found = find_particles(read_values(path, kind), kind, path).instances
        assert [to_mask(each, 40, 50).sum() for each in found] == [18, 50]


@pytest.mark.parametrize("threshold", [None, 100])
def test_inverted_masks_whose_zero_is_white(tmp_path, threshold):
    drawn = np.zeros((40, 50), dtype=bool)
    drawn[3:9, 4:7] = True
    options = MaskOptions("binary", threshold=threshold, invert=True)
    for name, stored in (("black", np.where(drawn, 0, 255)), ("white", np.where(drawn, 255, 0))):
        tifffile.imwrite(tmp_path / f"{name}.tif", stored.astype(np.uint8), photometric="miniswhite")
    path = tmp_path / "black.tif"
    (particle,) = find_particles(read_values(path, options), options, path).instances
    assert (to_mask(particle, 40, 50) == drawn).all()
    with pytest.raises(AnnotationError, match="WhiteIsZero"):
        read_values(tmp_path / "white.tif", options)


@pytest.mark.parametrize("channels", [3, 4])
def test_equal_channels_are_one(tmp_path, channels):
    values = np.zeros((20, 30), dtype=np.uint8)
    values[3:9, 4:7] = 1
    values[12:15] = 255
    stack = np.repeat(values[:, :, None], 3, axis=2)
    if channels == 4:
        stack = np.dstack([stack, np.full_like(values, 255)])
    Image.fromarray(stack).save(tmp_path / "m.png")
    tifffile.imwrite(tmp_path / "m.tif", stack, photometric="rgb")
    check_against_full_scans(values, read_instance_map(tmp_path / "m.png", "particle"))
    check_against_full_scans(values, read_instance_map(tmp_path / "m.tif", "particle"))


def test_a_colour_is_a_particle_where_asked(tmp_path):
    colours = np.zeros((20, 30, 3), dtype=np.uint8)
    colours[3:9, 4:7] = (255, 0, 0)
    colours[10:12, 4:7] = (0, 255, 0)
    colours[15:, 4:7] = (0, 0, 1)
    Image.fromarray(colours).save(tmp_path / "m.png")
    with pytest.raises(AnnotationError, match="--mask-kind colour"):
        read_instance_map(tmp_path / "m.png", "particle")
    Image.fromarray(colours).quantize(8).save(tmp_path / "p.png")
    assert any(Image.open(tmp_path / "p.png").getpalette()[:3]), "what has index 0 is not black"
    for name in ("m.png", "p.png"):
        regions = regions_of_values(read_mask_values(tmp_path / name, colours=True))
        masks = [rle_to_mask(region) for region in regions]
        assert [mask.sum() for mask in masks] == [15, 6, 18]
        assert (masks[1] == (colours == (0, 255, 0)).all(axis=2)).all()


@pytest.mark.parametrize("kind", ["binary", "classes", "instance", "colour"])
def test_noise_is_refused_before_each_of_its_dots_becomes_a_particle(tmp_path, kind):
    values = np.zeros((1100, 1100), dtype=np.uint8)
    values[::2, ::2] = 200
    if kind in ("instance", "colour"):
        values = np.arange(600 * 600, dtype=np.int32).reshape(600, 600)
    if kind == "colour":
        values = np.dstack([values & 255, values >> 8 & 255, values >> 16]).astype(np.uint8)
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, values, photometric="rgb" if kind == "colour" else "minisblack", compression="zlib")
    options = MaskOptions(kind)
    with pytest.raises(AnnotationError, match=r"m\.tif: \d{6} particles or more, as many as in noise"):
        find_particles(read_values(path, options), options, path)


def test_maps_whose_values_would_be_lost_are_refused(tmp_path):
    values = np.zeros((20, 30), dtype=np.uint8)
    values[3:9, 4:7] = 200
    for name, options in (("m.jpg", {}), ("jpeg.tif", {"compression": "jpeg"})):
        Image.fromarray(values).save(tmp_path / name, **options)
        with pytest.raises(AnnotationError, match=f"{name}: JPEG changes the values"):
            read_instance_map(tmp_path / name, "particle")
    Image.fromarray(values).save(tmp_path / "m.tif", save_all=True, append_images=[Image.fromarray(values)])
    with pytest.raises(AnnotationError, match=r"m\.tif: 2 pages"):
        read_instance_map(tmp_path / "m.tif", "particle")
    clear = np.dstack([values, values])
    Image.fromarray(clear, mode="LA").save(tmp_path / "clear.png")
    with pytest.raises(AnnotationError, match="transparency"):
        read_instance_map(tmp_path / "clear.png", "particle")
    import cv2

    cv2.imwrite(str(tmp_path / "deep.png"), np.full((5, 5, 3), 257, dtype=np.uint16))
    with pytest.raises(AnnotationError, match="several channels"):
        read_instance_map(tmp_path / "deep.png", "particle")


def test_written_map_is_read_back_exactly(tmp_path, disc, square):
    ring = Polygon(square(2, 2, 20, 20), (square(6, 6, 12, 12),))
    instances = [
        Instance("cube", (ring,)),
        Instance(IGNORE_LABEL, (Polygon(square(0, 30, 60, 40)),)),
        Instance("rod", (disc(40, 12, 6), disc(52, 12, 4))),
        Instance("rod", (disc(10, 35, 4),), crowd=True),
        Instance("cube", (Polygon(square(50, 30, 80, 50)),)),  # leaves the image
    ]
    path, drawn = write_instance_map(tmp_path / "m.png", instances, 40, 60)
    loss = drawn.loss()
    assert (loss.instances, loss.overlapped_pixels, loss.vanished) == (3, 0, 0)
    assert drawn.numbers == (1, 0, 2, 0, 3)
    assert path == tmp_path / "m.png"
    with Image.open(path) as image:
        assert image.mode == "I;16"
    back = read_instance_map(path, None)
    kept = [instance for instance in instances if not instance.ignored]
    for old, new in zip(kept, back, strict=True):
        assert (to_mask(old, 40, 60) == to_mask(new, 40, 60)).all()
    first = path.read_bytes()
    write_instance_map(tmp_path / "m.png", instances, 40, 60)
    assert path.read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["m.png"]


def test_loss_of_a_map_counts_overlaps_and_what_vanishes(tmp_path, square):
    instances = [
        Instance("a", (Polygon(square(0, 0, 10, 10)),)),
        Instance("a", (Polygon(square(5, 0, 15, 10)),)),
        Instance("a", (Polygon(square(20, 20, 22, 22)),)),
        Instance("a", (Polygon(square(19, 19, 25, 25)),)),
        Instance("a", (Polygon(square(100, 100, 120, 120)),)),
    ]
    path, drawn = write_instance_map(tmp_path / "m.png", instances, 40, 60)
    loss = drawn.loss()
    assert (loss.instances, loss.overlapped_pixels, loss.vanished, loss.outside) == (3, 50 + 4, 1, 1)
    assert drawn.numbers == (1, 2, 0, 4, 0)
    with Image.open(path) as image:
        values = np.asarray(image)
    assert [(values == value).sum() for value in range(5)] == [2400 - 50 - 100 - 36, 50, 100, 0, 36]


@pytest.mark.parametrize(("side", "most"), [(17, 288), pytest.param(257, 65_535, marks=pytest.mark.slow)])
def test_more_particles_than_16_bits_become_a_tiff(tmp_path, monkeypatch, side, most):
    """Of one pixel each; quick where 16 bits are taken for fewer."""
    assert writing._LARGEST_16_BIT == 2**16 - 1
    monkeypatch.setattr(writing, "_LARGEST_16_BIT", most)
    numbers = np.arange(side * side).reshape(side, side)
    pixel = np.ones((1, 1))
    instances = [
        Instance(None, window_to_rle(pixel, number % side, number // side, side, side)) for number in range(side * side)
    ]
    path, _ = write_instance_map(tmp_path / "m.png", instances, side, side)
    assert path == tmp_path / "m.tif" and [path.name for path in tmp_path.iterdir()] == ["m.tif"]
    assert (tifffile.imread(path) == numbers + 1).all()


def touching_squares():
    """Two squares that touch at a corner, a third one apart."""
    mask = np.zeros((30, 40), dtype=bool)
    mask[2:8, 2:8] = mask[8:12, 8:12] = mask[20:25, 20:25] = True
    return mask


@pytest.mark.parametrize(("connectivity", "count"), [(4, 3), (8, 2)])
@pytest.mark.parametrize("value", [1, 255])
def test_pieces_of_a_binary_mask(tmp_path, connectivity, count, value):
    mask = touching_squares()
    save(tmp_path / "images" / "m.png", grey())
    save(tmp_path / "masks" / "m.png", mask.astype(np.uint8) * value)
    (entry,) = open_masks(tmp_path, options=MaskOptions("binary", connectivity=connectivity, label="cube")).entries
    instances = entry.read().instances
    assert [instance.label for instance in instances] == ["cube"] * count
    assert (np.sum([to_mask(instance, 30, 40) for instance in instances], axis=0) == mask).all()
    for instance in instances:
        assert ndimage.label(to_mask(instance, 30, 40), np.ones((3, 3)))[1] == 1


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values)).save(path)
    return path


def grey(size=(40, 30)):
    return np.full(size[::-1], 90, dtype=np.uint8)


def test_binary_and_instance_are_told_by_the_folder_not_by_the_image(tmp_path):
    single = touching_squares().astype(np.uint8)  # one value only
    for name in ("a", "b"):
        save(tmp_path / "one" / "images" / f"{name}.png", grey())
        save(tmp_path / "one" / "masks" / f"{name}.png", single * 255)
        save(tmp_path / "many" / "images" / f"{name}.png", grey())
    save(tmp_path / "many" / "masks" / "a.png", single)
    numbered = single.copy()
    numbered[20:25, 20:25] = 2
    save(tmp_path / "many" / "masks" / "b.png", numbered)

    binary = [entry.read() for entry in open_masks(tmp_path / "one").entries]
    assert [len(micrograph.instances) for micrograph in binary] == [2, 2]
    assert binary[0].notes == (
        "taken for a binary mask: 2 connected pieces, each of them a particle",
        "8-connectivity makes 2 particles, 4-connectivity 3",
    )
    instance = [entry.read() for entry in open_masks(tmp_path / "many").entries]
    assert [len(micrograph.instances) for micrograph in instance] == [1, 2]
    assert "instance map" in instance[0].notes[0]
    told = open_masks(tmp_path / "many", options=MaskOptions("binary", connectivity=4, label="cube")).entries[1].read()
    assert [found.label for found in told.instances] == ["cube"] * 3
    assert told.notes == ("4-connectivity makes 3 particles, 8-connectivity 2",)
    assert len(open_masks(tmp_path / "one", options=MaskOptions("instance")).entries[0].read().instances) == 1


def test_a_later_map_that_contradicts_the_kind_is_an_error(tmp_path):
    binary = touching_squares().astype(np.uint8)
    for number in range(40):
        save(tmp_path / "images" / f"{number:02}.png", grey())
        save(tmp_path / "masks" / f"{number:02}.png", binary)
    numbered = binary.copy()
    numbered[20:25, 20:25] = 2
    save(tmp_path / "masks" / "01.png", numbered)  # none of those that are looked at
    entries = open_masks(tmp_path).entries
    assert len(entries[0].read().instances) == 2
    with pytest.raises(AnnotationError, match=r"01\.png: holds several values.*instance or binary"):
        entries[1].read()


@pytest.mark.parametrize("folder", ["masks", "segmaps", "labels", "instances"])
def test_folders_side_by_side(tmp_path, folder):
    save(tmp_path / "images" / "sub" / "a.v2.tif", grey())
    save(tmp_path / "images" / "b.png", grey())
    save(tmp_path / "images" / "bare.png", grey())
    save(tmp_path / folder / "sub" / "a.v2.png", touching_squares())
    save(tmp_path / folder / "b_mask.png", touching_squares())
    source = open_masks(tmp_path)
    assert source.format == "masks" and source.classes is None
    assert [entry.name for entry in source.entries] == ["b", "sub/a.v2"]
    assert source.unannotated == (tmp_path / "images" / "bare.png",)
    micrograph = source.entries[1].read()
    assert (micrograph.name, micrograph.width, micrograph.height) == ("sub/a.v2", 40, 30)
    assert micrograph.image_path == tmp_path / "images" / "sub" / "a.v2.tif"
    assert [instance.label for instance in micrograph.instances] == ["particle", "particle"]


@pytest.mark.parametrize("added", ["_mask", "_label", "_seg", "_instances", "-masks"])
def test_masks_beside_the_images_and_in_a_folder_given(tmp_path, added):
    save(tmp_path / "flat" / "a.png", grey())
    save(tmp_path / "flat" / f"a{added}.png", touching_squares())
    save(tmp_path / "flat" / "bare.jpg", grey())
    source = open_masks(tmp_path / "flat")
    assert [entry.name for entry in source.entries] == ["a"]
    assert source.unannotated == (tmp_path / "flat" / "bare.jpg",)
    assert len(source.entries[0].read().instances) == 2
    save(tmp_path / "elsewhere" / f"a{added}.png", touching_squares())
    save(tmp_path / "pictures" / "a.png", grey())
    (entry,) = open_masks(tmp_path / "pictures", tmp_path / "elsewhere").entries
    assert entry.read().image_path == tmp_path / "pictures" / "a.png"
    # A folder of masks among the images holds no images, however it is spelt.
    (tmp_path / "elsewhere").rename(tmp_path / "pictures" / "elsewhere")
    (tmp_path / "link").symlink_to(tmp_path / "pictures")
    source = open_masks(tmp_path / "pictures", tmp_path / "link" / "elsewhere")
    assert len(source.entries) == 1 and source.unannotated == ()


def test_faults_are_told_by_their_entry(tmp_path):
    for name in ("good", "turned", "twice"):
        save(tmp_path / "images" / f"{name}.png", grey())
    save(tmp_path / "images" / "small.png", grey((20, 30)))
    save(tmp_path / "images" / "twice.jpg", grey())
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(grey()).save(tmp_path / "images" / "turned.png", exif=exif)
    for name in ("good", "small", "alone", "twice", "turned"):
        save(tmp_path / "masks" / f"{name}.png", touching_squares())
    entries = {entry.name: entry for entry in open_masks(tmp_path).entries}
    assert sorted(entries) == ["alone", "good", "small", "turned", "twice"]
    assert len(entries["good"].read().instances) == 2
    for name, message in (
        ("alone", r"alone\.png: there is no image 'alone'"),
        ("small", r"small\.png: annotated on 40x30 px, but small\.png is 20x30"),
        ("twice", "several images"),
        ("turned", r"EXIF turns turned\.png \(orientation 3\)"),
    ):
        with pytest.raises(AnnotationError, match=message):
            entries[name].read()


def test_a_mask_as_large_as_the_turned_image_fits_it(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "images").mkdir()
    Image.fromarray(grey((30, 40))).save(tmp_path / "images" / "a.jpg", exif=exif)
    save(tmp_path / "masks" / "a.png", touching_squares())
    micrograph = open_masks(tmp_path).entries[0].read()
    assert (micrograph.width, micrograph.height, len(micrograph.instances)) == (40, 30, 2)


def test_folders_without_masks_are_refused(tmp_path):
    save(tmp_path / "images" / "a.png", grey())
    with pytest.raises(AnnotationError, match="no masks; lay them into a folder 'masks'"):
        open_masks(tmp_path)
    with pytest.raises(AnnotationError, match="no such folder"):
        open_masks(tmp_path / "none")
    with pytest.raises(AnnotationError, match="no such folder"):
        open_masks(tmp_path, tmp_path / "none")
    for folder in ("masks", "instances"):
        save(tmp_path / folder / "a.png", touching_squares())
    with pytest.raises(AnnotationError, match="masks in masks, instances"):
        open_masks(tmp_path)
    with pytest.raises(ValueError, match="'odd'"):
        MaskOptions("odd")
    with pytest.raises(ValueError, match="connectivity 6"):
        MaskOptions(connectivity=6)


def test_real_instance_maps(shared_data):
    source = open_masks(shared_data / "emps")
    assert len(source.entries) == 465 and source.unannotated == ()
    micrograph = next(entry for entry in source.entries if entry.name == "00655d9628").read()
    with Image.open(shared_data / "emps" / "segmaps" / "00655d9628.png") as image:
        values = np.asarray(image)
    assert len(micrograph.instances) == len(np.unique(values)) - 1
    assert "instance map" in micrograph.notes[0]


@pytest.mark.parametrize("place", [".", "masks"])
@pytest.mark.parametrize("row", ["a,2,", "a,2, ", "a,2"])
def test_a_particle_without_a_name_in_the_table_is_called_as_others(tmp_path, row, place):
    values = np.zeros((20, 30), np.uint8)
    values[3:9, 4:7], values[12:15] = 1, 2
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        Image.fromarray(values).save(tmp_path / folder / "a.png")
    (tmp_path / place / "instances.csv").write_text(f"name,value,label\na,1, cube \n{row}\n")
    for folders in ((tmp_path,), (tmp_path / "images", tmp_path / "masks")):
        (entry,) = open_masks(*folders).entries
        assert [each.label for each in entry.read().instances] == ["cube", "particle"]


@pytest.mark.parametrize("ending", ["", "_mask"])
@pytest.mark.parametrize(("of_image", "of_mask"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_are_the_same_in_any_unicode_form(tmp_path, ending, of_image, of_mask):
    """macOS and its archives write an accent as a sign of its own, tables are mostly written with whole letters."""
    image, mask, row = (unicodedata.normalize(form, "Größe") for form in (of_image, of_mask, of_image))
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    values = np.zeros((20, 20), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "images" / f"{image}.png")
    values[2:8, 2:8], values[10:18, 10:18] = 1, 2
    Image.fromarray(values).save(tmp_path / "masks" / f"{mask}{ending}.png")
    table = f"name,value,label\n{unicodedata.normalize(of_mask, row)},1,cube\n{row},2,rod\n"
    (tmp_path / "instances.csv").write_text(table, encoding="utf-8")
    (entry,) = open_masks(tmp_path).entries
    assert entry.name == image
    assert [each.label for each in entry.read().instances] == ["cube", "rod"]


def write_maps(folder, names):
    values = np.zeros((20, 20), dtype=np.uint8)
    values[2:8, 2:8], values[10:18, 10:18] = 1, 2
    for name in names:
        for kind in ("images", "masks"):
            path = folder / kind / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(path)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_table_of_classes_as_people_and_spreadsheets_write_it(tmp_path, separator, caplog):
    write_maps(tmp_path, ["s1/a", "s2/a", "b"])
    rows = ["s1/a,1,cube", "s1\\a,2,rod", "s2/a.PNG,1,rod", "s2/a.PNG,2,cube", "b.tif,1,cube", "bb,2,cube"]
    table = "\n".join(["name,value,label", *rows]).replace(",", separator)
    (tmp_path / "instances.csv").write_text(table, encoding="utf-8-sig")
    found = {each.name: [one.label for one in each.read().instances] for each in open_masks(tmp_path).entries}
    assert found == {"s1/a": ["cube", "rod"], "s2/a": ["rod", "cube"], "b": ["cube", "particle"]}
    assert "1 name without a mask, whose classes are not used: bb; did you mean 'b'? mend the table" in caplog.text


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,1,cube", "'a' fits 2 images \\(s1/a, s2/a\\); give the full name"),
        ("s1/a,1,cube\ns1/a,1,rod", "line 3: 1 is 'rod' and, above, 'cube'"),
        ("s1/a,one,cube", "invalid literal"),
    ],
)
def test_a_table_of_classes_that_is_not_clear(tmp_path, rows, message):
    write_maps(tmp_path, ["s1/a", "s2/a"])
    (tmp_path / "instances.csv").write_text(f"name,value,label\n{rows}\n")
    with pytest.raises(AnnotationError, match=f"instances.csv: is no table of name, value, label \\({message}"):
        open_masks(tmp_path)


@pytest.mark.parametrize("header", ["value,label,name", "name,label,value"])
def test_a_row_of_the_table_that_ends_too_early(tmp_path, header):
    write_maps(tmp_path, ["a"])
    (tmp_path / "instances.csv").write_text(f"{header}\n1,cube\n")
    with pytest.raises(AnnotationError, match=r"instances\.csv: .*\(line 2 ends before its name or its value\)"):
        open_masks(tmp_path)

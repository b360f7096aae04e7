import json
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from nanoseg_bench.errors import ImageError
from nanoseg_bench.images import Scale, image_size, read_image, read_scale, read_with_notes, trial

pytest.importorskip("rsciio", reason="the extra [em] is not installed")


@pytest.mark.parametrize("version", [3, 4])
def test_dm_pixels_size_and_scale(dm_file, ramp, version):
    path = dm_file([(ramp(), 0.25, "nm")], version)
    pixels, notes = read_with_notes(path)
    assert pixels.shape == (40, 50) and image_size(path) == (50, 40)
    assert pixels[0, 0] == 0 and pixels[-1, -1] == 255
    assert (np.diff(pixels.reshape(-1).astype(int)) >= 0).all()
    assert read_scale(path) == Scale(pytest.approx(0.25), "dm")
    assert notes.as_json() == {
        "bits": 16,
        "low": pytest.approx(1029, abs=1),
        "high": pytest.approx(29971, abs=1),
        "nm_per_px": pytest.approx(0.25),
        "scale_from": "dm",
    }


@pytest.mark.parametrize("dtype", ["int16", "float32", "uint8", "int32", "float64"])
def test_dm_sample_types(dm_file, dtype):
    values = np.arange(-100, 100, dtype=float).reshape(10, 20)
    values = values + 100 if dtype == "uint8" else values
    pixels, notes = read_with_notes(dm_file([(values.astype(dtype), 1.0, "µm")]))
    assert (notes.nm_per_px, notes.scale_from) == (1000.0, "dm")
    if dtype == "uint8":
        assert (pixels == values).all() and notes.low is None
    else:
        assert np.abs(pixels - (values + 100) / 199 * 255).max() < 1.5


def test_dm_the_largest_image_is_read_and_the_thumbnail_is_none(dm_file, ramp):
    small, large = np.full((60, 60), 7, np.uint8), ramp("uint8", 30, 40)
    path = dm_file([(small, 1.0, ""), (large, 2.0, "nm")], thumbnail=True)
    pixels, notes = read_with_notes(path)
    assert (pixels == large).all() and notes.pages == 1
    path = dm_file([(small, 1.0, ""), (large, 2.0, "nm")], name="b")
    pixels, notes = read_with_notes(path)
    assert (pixels == small).all() and (notes.page, notes.pages) == (0, 2)
    assert read_scale(path) is None


def test_dm_first_frame_of_a_stack(dm_file, ramp):
    stack = np.stack((ramp("uint8"), 255 - ramp("uint8"), ramp("uint8")))
    path = dm_file([(np.zeros((4, 5), np.uint8), 1.0, "nm"), (stack, 0.5, "nm")])
    pixels, notes = read_with_notes(path)
    assert (pixels == stack[0]).all()
    assert (notes.page, notes.pages, notes.alike) == (1, 4, 2)
    assert image_size(path) == (50, 40)


def test_dm_spectra_are_no_images(dm_file):
    path = dm_file([(np.arange(100, dtype=np.float32), 1.0, "eV")])
    with pytest.raises(ImageError, match=r"a\.dm3: holds no two-dimensional image"):
        read_image(path)


def test_dm_four_dimensions_are_no_micrograph(dm_file):
    path = dm_file([(np.zeros((2, 3, 20, 20), np.uint8), 1.0, "nm"), (np.full((4, 5), 9, np.uint8), 1.0, "nm")])
    assert (read_image(path) == np.full((4, 5), 9)).all()


@pytest.mark.parametrize("kept", [0, 3, 20, 300, -2000])
def test_dm_truncated(dm_file, ramp, kept):
    path = dm_file([(ramp(), 0.25, "nm")])
    path.write_bytes(path.read_bytes()[:kept])
    for read in (read_image, image_size, read_scale):
        with pytest.raises(ImageError, match=r"a\.dm3"):
            read(path)


def test_dm_array_without_end(dm_writer, tmp_path):
    writer = dm_writer(3)
    endless = writer.header(21, "x") + b"%%%%" + b"".join(map(writer.long, [5, 20, 15, 0, 0, 2**31 - 1]))
    path = tmp_path / "endless.dm3"
    path.write_bytes(writer.file([endless]))
    with pytest.raises(ImageError, match=r"endless\.dm3.*claims"):
        read_image(path)


def test_emd_pixels_size_and_scale(emd_file, ramp):
    path = emd_file([("field", ramp(), 0.5)])
    pixels, notes = read_with_notes(path)
    assert pixels.shape == (40, 50) and image_size(path) == (50, 40)
    assert (np.diff(pixels.reshape(-1).astype(int)) >= 0).all()
    assert Scale(notes.nm_per_px, notes.scale_from) == read_scale(path) == Scale(pytest.approx(0.5), "emd")
    assert notes.bits == 16 and notes.low == pytest.approx(1029, abs=1)


def test_emd_of_rosettasciio(tmp_path, ramp):
    from rsciio.emd import file_writer

    axes = [
        {"name": name, "size": size, "index_in_array": index, "offset": 0.0, "scale": 2.0, "units": "nm"}
        | {"navigate": False}
        for index, (name, size) in enumerate((("y", 40), ("x", 50)))
    ]
    signal = {"data": ramp("uint8"), "axes": axes, "metadata": {"General": {"title": "a"}}, "original_metadata": {}}
    signal["metadata"]["Signal"] = {"signal_type": ""}
    path = tmp_path / "a.emd"
    file_writer(str(path), signal)
    assert (read_image(path) == ramp("uint8")).all()
    assert image_size(path) == (50, 40) and read_scale(path) == Scale(pytest.approx(2.0), "emd")


def test_emd_the_largest_image(emd_file, ramp):
    path = emd_file([("a", ramp("uint8", 10, 10), 1.0), ("b", ramp("uint8"), 0.5), ("c", ramp("uint8", 20, 20), 1.0)])
    pixels, notes = read_with_notes(path)
    assert (pixels == ramp("uint8")).all() and (notes.page, notes.pages, notes.alike) == (1, 3, 0)


def test_emd_first_frame_of_a_stack(emd_file, ramp):
    stack = np.stack((ramp("uint8"), 255 - ramp("uint8")))
    path = emd_file([("a", stack, 1.0)])
    pixels, notes = read_with_notes(path)
    assert (pixels == stack[0]).all() and (notes.page, notes.pages, notes.alike) == (0, 2, 1)
    assert image_size(path) == (50, 40)


def test_emd_of_velox(tmp_path, ramp):
    """The parts of a Velox file that RosettaSciIO asks for: two images, one of them of two frames."""
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.emd"
    metadata = {
        "Core": {"MetadataDefinitionVersion": "7.9", "guid": "0"},
        "Instrument": {"InstrumentModel": "x", "InstrumentClass": "Talos"},
        "Acquisition": {"AcquisitionStartDatetime": {"DateTime": "1700000000"}, "BeamType": ""},
        "Optics": {"AccelerationVoltage": "200000"},
        "Stage": {"AlphaTilt": "0", "BetaTilt": "0", "Position": {"x": "0", "y": "0", "z": "0"}},
        "Sample": {},
        "Scan": {"DwellTime": "1e-6", "FrameTime": "1"},
        "Detectors": {},
        "BinaryResult": {
            "PixelSize": {"width": "2.5e-10", "height": "2.5e-10"},
            "PixelUnitX": "m",
            "PixelUnitY": "m",
            "Offset": {"x": "0", "y": "0"},
            "Detector": "HAADF",
        },
    }
    stored = np.frombuffer(json.dumps(metadata).encode().ljust(4096, b"\0"), np.uint8)
    with h5py.File(path, "w") as file:
        file.create_dataset("Version", data=[b'{"format": "Velox", "version": "1.0"}'])
        for key, shape in (("0" * 32, (20, 20)), ("1" * 32, (40, 50))):
            frames = 2 if shape == (40, 50) else 1
            group = file.create_group(f"Data/Image/{key}")
            image = np.stack([ramp("uint16", *shape)] * frames, axis=-1)
            group.create_dataset("Data", data=image, chunks=(*shape, 1))
            group.create_dataset("Metadata", data=np.stack([stored] * frames, axis=-1))
            group.create_dataset("FrameLookupTable", data=np.arange(frames))
    pixels, notes = read_with_notes(path)
    assert pixels.shape == (40, 50) and image_size(path) == (50, 40)
    assert (np.diff(pixels.reshape(-1).astype(int)) >= 0).all()
    assert (notes.page, notes.pages) == (1, 3)
    assert read_scale(path) == Scale(pytest.approx(0.25), "emd")
    taken = read_with_notes(path)[1].acquisition
    assert (taken.instrument, taken.voltage_kv) == ("Talos", 200.0) and taken.taken.startswith("2023-11-14")
    assert set(taken.sources.values()) == {"the file (emd)"}


def test_emd_without_an_image(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.emd", "w") as file:
        file["x"] = 1
    (tmp_path / "b.emd").write_bytes(b"no HDF5")
    for name in ("a.emd", "b.emd"):
        with pytest.raises(ImageError, match=name):
            read_image(tmp_path / name)


def into_a_circle(path):
    """HDF5 goes from one text of an attribute to the next by its length: this one leads back to the same text."""
    data = bytearray(path.read_bytes())
    first = data.index(b"GCOL") + 16
    data[first + 8 : first + 16] = (2**64 - 16).to_bytes(8, "little")
    path.write_bytes(data)
    return path


def test_emd_that_is_read_for_ever(emd_file, ramp, monkeypatch):
    whole, later = (emd_file([("field", ramp("uint8"), 0.5)], name) for name in ("whole", "later"))
    assert (read_image(whole) == ramp("uint8")).all()  # what tries files has its imports behind it
    endless = into_a_circle(emd_file([("field", ramp("uint8"), 0.5)], "endless"))
    monkeypatch.setattr(trial, "SECONDS", 1)
    tried = trial._fault_of.cache_info().misses
    begin = time.monotonic()
    for read in (read_image, image_size, read_scale):
        with pytest.raises(ImageError, match=r"endless\.emd: reading it comes to no end \(1 s .*copy it again"):
            read(endless)
    assert time.monotonic() - begin >= 1
    assert trial._fault_of.cache_info().misses == tried + 1, "not once for each question"
    monkeypatch.undo()
    assert (read_image(later) == ramp("uint8")).all()


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc, and bounded on Linux alone")
def test_emd_that_claims_gigabytes_takes_none(emd_file, ramp, tmp_path):
    """A text of an attribute in a heap of 3 GB, and an image without data: neither process may take what they claim."""
    h5py = pytest.importorskip("h5py")
    text = emd_file([("field", ramp("uint8"), 0.5)], "text")
    data = bytearray(text.read_bytes())
    heap = data.index(b"GCOL") + 8
    data[heap : heap + 8] = (3 * 10**9).to_bytes(8, "little")
    text.write_bytes(data)
    image = emd_file([("field", ramp("uint8"), 0.5)], "image")
    with h5py.File(image, "r+") as file:
        del file["data/field/data"]
        file.create_dataset("data/field/data", shape=(13_000, 13_000), dtype="f8", chunks=(3000, 3000), fillvalue=7)
    code = (
        "import sys; from pathlib import Path; from nanoseg_bench.errors import ImageError\n"
        "from nanoseg_bench.images import read_image, trial\n"
        "for name in sys.argv[1:]:\n"
        "    try: read_image(Path(name)); print('read')\n"
        "    except ImageError as error: print(error)\n"
        "for process in ('self', trial._child[1].pid):\n"
        "    print(Path(f'/proc/{process}/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run([sys.executable, "-c", code, text, image], capture_output=True, text=True, check=True)
    of_text, of_image, *peaks = done.stdout.splitlines()
    assert "text.emd: cannot be read" in of_text and "copy it again" in of_text
    assert "image.emd: claims an image of 13000 × 13000 pixels" in of_image and "copy it again" in of_image
    assert max(int(peak) * 1024 for peak in peaks) < 600_000_000


def test_emd_while_what_tries_files_is_killed(emd_file, ramp):
    first, second = (emd_file([("field", ramp("uint8"), 0.5)], name) for name in "ab")
    read_image(first)
    _, child = trial._child
    child.kill()
    child.wait()
    assert (read_image(second) == ramp("uint8")).all()


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is no signal there")
def test_ctrl_c_ends_the_reading_of_an_endless_emd(emd_file, ramp):
    endless = into_a_circle(emd_file([("field", ramp(), 0.5)]))
    code = (
        "import sys; from nanoseg_bench.images import read_image, trial\n"
        "trial._running(sys.argv[1]); print(trial._child[1].pid, flush=True); read_image(sys.argv[1])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, endless], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        child = int(process.stdout.readline())
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=300)
    assert process.returncode == -signal.SIGINT and "KeyboardInterrupt" in said
    assert not psutil.pid_exists(child)


def test_without_rosettasciio_the_way_out_is_told(dm_file, ramp, monkeypatch):
    path = dm_file([(ramp(), 0.25, "nm")])
    monkeypatch.setitem(sys.modules, "rsciio.digitalmicrograph", None)  # what Python does for a missing module
    for read in (read_image, image_size, read_scale):
        with pytest.raises(ImageError, match=r'pip install "nanoseg-bench\[em\]"'):
            read(path)


def test_missing_em_files_are_missing(tmp_path):
    for suffix in (".dm3", ".DM4", ".emd"):
        with pytest.raises(ImageError, match="no such image"):
            read_image(tmp_path / f"a{suffix}")

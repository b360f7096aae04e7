"""Who took a micrograph, with what, and when: from tags as the microscopes write them, and from nothing else."""

import numpy as np
import pytest
import tifffile

from nanoseg_bench.images import Acquisition, read_with_notes

PIXELS = np.arange(2000, dtype=np.uint8).reshape(40, 50)

FEI = (
    "[User]\r\nDate=03/12/2019\r\nTime=10:22:13 AM\r\nUser=supervisor\r\n\r\n[System]\r\nType=DualBeam\r\n"
    "SystemType={system}\r\n\r\n[Beam]\r\nHV={beam}\r\nBeam={name}\r\n\r\n[EBeam]\r\nHV=5000\r\nWD=0.004\r\n\r\n"
    "[IBeam]\r\nHV=30000\r\n"
)
FEI_XML = (
    "<?xml version='1.0'?><Metadata><Instrument><Manufacturer>FEI Company</Manufacturer><InstrumentClass>Helios 5 "
    "Hydra</InstrumentClass></Instrument><Acquisition><AcquisitionDatetime>2022-10-04T08:41:33</AcquisitionDatetime>"
    "</Acquisition><Optics><AccelerationVoltage>2000</AccelerationVoltage></Optics></Metadata>"
)
ZEISS = (
    "0\r\n0\r\nAP_ACTUALKV\r\nEHT = {kv}\r\nAP_WD\r\nWD = 5.6 mm\r\nAP_DATE\r\nDate :22 Jan 2026\r\nAP_TIME\r\n"
    "Time :21:48:36\r\nSV_SERIAL_NUMBER\r\nSerial No. = Sigma 300-8211\r\n"
)


def sourced(source, **stated):
    return Acquisition(**stated, sources=dict.fromkeys(stated, source))


@pytest.fixture
def taken(tmp_path):
    """taken(tag=text): what is read of a TIFF with this tag."""

    def read(*tags, **options):
        path = tmp_path / "a.tif"
        written = [(code, 2, 0, text.encode("latin-1") + b"\0", True) for code, text in tags]
        written = [(code, kind, len(data), data, once) for code, kind, _, data, once in written]
        tifffile.imwrite(path, PIXELS, **{"photometric": "minisblack", "extratags": written, **options})
        return read_with_notes(path)[1].acquisition

    return read


@pytest.mark.parametrize("code", [34680, 34682])
@pytest.mark.parametrize(("name", "beam", "kv"), [("EBeam", 5000, 5.0), ("IBeam", 30000.0, 30.0), ("", 12000, 5.0)])
def test_fei(taken, code, name, beam, kv):
    found = taken((code, FEI.format(system="Helios G4 UX", beam=beam, name=name)))
    expected = {"instrument": "Helios G4 UX", "voltage_kv": kv, "taken": "03/12/2019 10:22:13 AM"}
    assert found == sourced("the file (fei)", **expected)


def test_fei_with_one_beam_and_a_number_for_a_name(taken):
    found = taken((34680, "[Beam]\r\nHV=200000\r\n[System]\r\nSystemType=650\r\n"))
    assert found == sourced("the file (fei)", instrument="650", voltage_kv=200.0)


def test_newer_tag_of_thermo_fisher_adds_what_the_older_one_lacks(taken):
    alone = {"instrument": "Helios 5 Hydra", "voltage_kv": 2.0, "taken": "2022-10-04T08:41:33"}
    assert taken((34683, FEI_XML)) == sourced("the file (fei)", **alone)
    both = taken((34682, "[User]\r\nDate=1/2/2026\r\n"), (34683, FEI_XML))
    assert both == sourced("the file (fei)", **{**alone, "taken": "1/2/2026"})


def test_tescan(taken):
    data = b"\x01\x00\xff\nDate=2026-01-22\r\nDevice=VEGA3 LMU\r\nHV=20000.0\r\nTime=10:41:03\r\n\xfe"
    found = taken(extratags=[(50431, 1, len(data), data, True)])
    stated = {"instrument": "VEGA3 LMU", "voltage_kv": 20.0, "taken": "2026-01-22 10:41:03"}
    assert found == sourced("the file (tescan)", **stated)


@pytest.mark.parametrize(("text", "kv"), [("3.00 kV", 3.0), ("Off", None), ("0.00 kV", None)])
def test_zeiss(taken, text, kv):
    found = taken((34118, ZEISS.format(kv=text)))
    stated = {"instrument": "Zeiss, serial number Sigma 300-8211", "taken": "22 Jan 2026 21:48:36"}
    assert found == sourced("the file (zeiss)", **stated, **({} if kv is None else {"voltage_kv": kv}))


@pytest.mark.parametrize("code", [34118, 34680, 34682, 34683])
@pytest.mark.parametrize(
    "text", ["", "x", "[Beam]\r\nHV=none\r\n[System]\r\n=\r\n", "AP_ACTUALKV\r\nEHT\r\n", "[Beam]=1"]
)
def test_tags_that_only_look_alike_say_nothing(taken, code, text):
    assert taken((code, text)) == Acquisition()


def test_imagej_says_nothing(taken):
    assert taken(imagej=True, resolution=(4.0, 4.0), metadata={"unit": "nm"}) == Acquisition()


def test_what_is_known_goes_first():
    users = Acquisition(voltage_kv=80.0)
    files = sourced("the file (fei)", instrument="Talos", voltage_kv=200.0)
    assert users.or_else(files) == Acquisition(
        instrument="Talos", voltage_kv=80.0, sources={"instrument": "the file (fei)"}
    )
    assert files.or_else(users) == files

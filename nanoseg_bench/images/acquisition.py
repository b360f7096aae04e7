"""How a micrograph was taken: microscope, voltage and date, as the microscope wrote them into its file."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Any

from nanoseg_bench.images.named_values import leading_number, named_values
from nanoseg_bench.images.tiff_tags import FEI_HELIOS, FEI_SFEG, FEI_TITAN, TESCAN, ZEISS, tag_text

if TYPE_CHECKING:
    import tifffile

_MOST_KV = 3500.0  # no electron microscope has more

# What odd tags of other programs raise: no statement, and no reason to refuse the image.
_ODD = (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquisition:
    """How a micrograph was taken, as far as its file or the user says.

    Attributes:
        instrument: The microscope; empty where it is unknown.
        voltage_kv: Acceleration voltage.
        taken: When, as the file says it: nobody knows which of 02/03 is the month.
        sources: Where each attribute was read, by its name: ``the file (fei)``. The user's own are not among them.
    """

    instrument: str = ""
    voltage_kv: float | None = None
    taken: str = ""
    sources: Mapping[str, str] = field(default_factory=dict, hash=False)

    def or_else(self, other: "Acquisition") -> "Acquisition":
        """The same, with what it lacks from another one."""
        taken_over = {
            "instrument": not self.instrument,
            "voltage_kv": self.voltage_kv is None,
            "taken": not self.taken,
        }
        sources = {name: source for name, source in other.sources.items() if taken_over[name]}
        return Acquisition(
            instrument=self.instrument or other.instrument,
            voltage_kv=other.voltage_kv if self.voltage_kv is None else self.voltage_kv,
            taken=self.taken or other.taken,
            sources={**self.sources, **sources},
        )


def tiff_acquisition(page: "tifffile.TiffPage") -> Acquisition:
    """What the tags of FEI (Thermo Fisher), Zeiss and TESCAN say; ImageJ keeps nothing of the kind."""
    found = Acquisition()
    readers: tuple[tuple[Callable[[tifffile.TiffPage], Acquisition], str], ...] = (
        (_fei, "fei"),
        (_fei_xml, "fei"),
        (_zeiss, "zeiss"),
        (_tescan, "tescan"),
    )
    for read, source in readers:
        try:
            found = found.or_else(sourced(read(page), f"the file ({source})"))
        except _ODD:
            continue
    return found


def em_acquisition(signal: Mapping[str, Any], source: str) -> Acquisition:
    """What RosettaSciIO tells of a signal, under names of its own that are the same for all formats.

    Part of it stands in ``metadata``, part is to be made of the file's own tags as ``mapping`` says.

    Args:
        signal: As RosettaSciIO returns it.
        source: Who wrote the file.
    """
    known = dict(_leaves(signal.get("metadata", {})))
    tags = signal.get("original_metadata", {})
    for path, (name, convert) in (signal.get("mapping") or {}).items():
        if name.rpartition(".")[2] not in ("date", "time", "beam_energy", "microscope"):
            continue
        try:
            value = reduce(lambda group, part: group[part], path.split("."), tags)
            known[name] = value if convert is None else convert(value)
        except _ODD:
            continue

    def of(name: str) -> Any:
        named = (f"Acquisition_instrument.{column}.{name}" for column in ("TEM", "SEM"))
        return next((known[each] for each in named if each in known), None)

    found = Acquisition(
        instrument=one_line(of("microscope")),
        voltage_kv=kilovolts(of("beam_energy")),
        taken=joined_text(known.get("General.date"), known.get("General.time")),
    )
    return sourced(found, f"the file ({source})")


def _leaves(group: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Values by their path: ``General.date``."""
    for name, value in group.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _fei(page: "tifffile.TiffPage") -> Acquisition:
    """``[User] Date, Time``, ``[System] SystemType``, and ``HV`` of the beam that made the image, in volts."""
    for code in (FEI_SFEG, FEI_HELIOS):
        sections = page.tags.valueof(code)
        if not isinstance(sections, Mapping):
            continue
        beam, user = sections.get("Beam", {}), sections.get("User", {})
        # A dual beam writes both; [Beam] Beam=EBeam says which of them it was.
        own = sections.get(str(beam.get("Beam") or "EBeam"), {})
        return Acquisition(
            instrument=one_line(sections.get("System", {}).get("SystemType")),
            voltage_kv=kilovolts(own.get("HV", beam.get("HV")), factor=1e-3),
            taken=joined_text(user.get("Date"), user.get("Time")),
        )
    return Acquisition()


def _fei_xml(page: "tifffile.TiffPage") -> Acquisition:
    """The newer programs of Thermo Fisher write XML, with the voltage in volts."""
    text = tag_text(page, FEI_TITAN, "utf-8")

    def of(name: str) -> str:
        match = re.search(rf"<{name}>([^<]*)</{name}>", text)
        return match[1] if match else ""

    return Acquisition(
        instrument=one_line(of("InstrumentModel") or of("InstrumentClass")),
        voltage_kv=kilovolts(of("AccelerationVoltage"), factor=1e-3),
        taken=one_line(of("AcquisitionDatetime")),
    )


def _zeiss(page: "tifffile.TiffPage") -> Acquisition:
    """Values are (name, value) or (name, number, unit); the serial number names the instrument: ``Sigma 300-82…``."""
    values = page.tags.valueof(ZEISS)
    if not isinstance(values, Mapping):
        return Acquisition()

    def of(name: str) -> str:
        stated: tuple[Any, ...] = values.get(name, ("",))
        return joined_text(*stated[1:])

    tension: tuple[Any, ...] = values.get("ap_actualkv", ())
    voltage = tension[1] if len(tension) > 2 and tension[2] == "kV" else None
    serial = of("sv_serial_number")
    return Acquisition(
        instrument=f"Zeiss, serial number {serial}" if serial else "",
        voltage_kv=kilovolts(voltage),
        taken=joined_text(of("ap_date"), of("ap_time")),
    )


def _tescan(page: "tifffile.TiffPage") -> Acquisition:
    return tescan_acquisition(named_values(tag_text(page, TESCAN)))


def tescan_acquisition(stated: Mapping[str, str]) -> Acquisition:
    """What TESCAN's programs write, in a TIFF's tag or in a text beside the image: ``HV=10000.0``, in volts."""
    return Acquisition(
        instrument=one_line(stated.get("Device")),
        voltage_kv=kilovolts(leading_number(stated.get("HV")), factor=1e-3),
        taken=joined_text(stated.get("Date"), stated.get("Time")),
    )


def sourced(found: Acquisition, source: str) -> Acquisition:
    """The same, with where everything that is said was read."""
    stated = {"instrument": found.instrument, "voltage_kv": found.voltage_kv, "taken": found.taken}
    return Acquisition(
        instrument=found.instrument,
        voltage_kv=found.voltage_kv,
        taken=found.taken,
        sources={name: source for name, value in stated.items() if value},
    )


def kilovolts(value: Any, factor: float = 1.0) -> float | None:
    """A voltage that a microscope can have; None otherwise, as where it is switched off."""
    try:
        voltage = float(value) * factor
    except (TypeError, ValueError):
        return None
    return float(f"{voltage:.6g}") if 0 < voltage <= _MOST_KV else None


def one_line(value: Any) -> str:
    """One line; empty for None."""
    return "" if value is None else " ".join(str(value).replace("\0", " ").split())


def joined_text(*values: Any) -> str:
    """Several values in one line."""
    return " ".join(filter(None, map(one_line, values)))

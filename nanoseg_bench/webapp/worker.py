"""The worker process: it holds the model, and analyses one micrograph after the other.

What it sends and is sent are plain values, so that the web process imports nothing of the networks.
"""

import contextlib
import logging
import os
import signal
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import orjson
import psutil

from nanoseg_bench.environment import all_but_one_core, isolate_libraries
from nanoseg_bench.errors import NanosegError
from nanoseg_bench.files import atomic_path, write_bytes
from nanoseg_bench.parallel import end_with_parent
from nanoseg_bench.runs.quiet import at_work
from nanoseg_bench.verbosity import start_logging
from nanoseg_bench.webapp.admission import MICROSCOPE_SUFFIXES, require_readable, without_path
from nanoseg_bench.webapp.folders import IMAGE, OUTLINES, STATE, THUMBNAIL
from nanoseg_bench.webapp.settings import Limits, ModelChoice

_NICE = 5
"""Steps back behind the web process, and whatever else its user does on the machine."""

_THUMBNAIL_PX = 320

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ready:
    """The model is open.

    Attributes:
        model: ``Method`` of ``report.report_input``, its ``title``, and ``classes``; as JSON knows them.
    """

    model: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trouble:
    """The model cannot be opened."""

    reason: str


@dataclass(frozen=True, slots=True)
class Task:
    """A micrograph to be analysed.

    Attributes:
        id: Its id.
        original: The file.
        name: That the user knows it by.
        stem: In its table.
    """

    id: str
    original: Path
    name: str
    stem: str


@dataclass(frozen=True, slots=True)
class Done:
    """It is analysed; its files lie beside the original.

    Attributes:
        overview: Numbers for the list of micrographs.
    """

    overview: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """It could not be analysed."""

    reason: str


def work(pipe: Connection, choice: ModelChoice, limits: Limits) -> None:
    """Open the model, and analyse what comes through the pipe until it is closed."""
    _step_back()
    end_with_parent()
    os.environ.update(all_but_one_core())
    isolate_libraries()
    start_logging()
    from nanoseg_bench.inference.predictor import open_predictor

    try:
        predictor = open_predictor(
            choice.path,
            engine=choice.engine,  # type: ignore[arg-type]
            device=choice.device,
            trust_pickle=choice.trust_pickle,
            views=choice.views,
        )
        pipe.send(Ready(describe_model(predictor)))
    except NanosegError as error:
        pipe.send(Trouble(str(error)))
        return
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            task: Task = pipe.recv()
            with at_work():  # so that no latency is measured beside it
                answer = carry_out(task, predictor, limits, choice.read_text)
            pipe.send(answer)


def describe_model(predictor: Any) -> dict[str, Any]:
    """What is kept with each micrograph of the model that found its particles."""
    from nanoseg_bench.report.analysis.method import method_of

    method = method_of(predictor)
    return {"title": predictor.model.recipe.title, "classes": list(predictor.classes), "method": asdict(method)}


def carry_out(task: Task, predictor: Any, limits: Limits, read_text: bool | None = None) -> Done | Failed:
    """Analyse one micrograph; whatever is wrong with it is told, and no reason to end."""
    from nanoseg_bench.report.analysis.finder import ByModel
    from nanoseg_bench.report.analysis.micrograph import Choices, analyse_micrograph
    from nanoseg_bench.report.analysis.state import write_state
    from nanoseg_bench.report.review.view import outlines_of, summary_of

    folder = task.original.parent
    try:
        if task.original.suffix in MICROSCOPE_SUFFIXES:
            require_readable(task.original, task.name, limits)
        analysed = analyse_micrograph(task.original, ByModel(predictor), Choices(read_text=read_text), name=task.stem)
        _write_pictures(task.original, folder)
        write_bytes(folder / OUTLINES, orjson.dumps(outlines_of(analysed)))
        write_state(folder / STATE, analysed, task.id)
        return Done(summary_of(analysed))
    except NanosegError as error:
        return Failed(without_path(str(error), task.original, task.name))
    except OSError as error:
        _LOG.exception("%s", task.name)
        return Failed(f"its results cannot be written ({error.strerror or error}); make room on the server's disk")
    except MemoryError:
        return Failed("does not fit into memory; cut it into fields, or save it smaller")
    except Exception as error:
        # One micrograph that nobody thought of must not cost the others their turn.
        _LOG.exception("%s", task.name)
        return Failed(f"{type(error).__name__}: {error}")


def _write_pictures(original: Path, folder: Path) -> None:
    """The micrograph as browsers show it, and small."""
    from PIL import Image

    from nanoseg_bench.images import read_image

    picture = Image.fromarray(read_image(original))
    with atomic_path(folder / IMAGE) as temporary:
        picture.save(temporary, compress_level=1)
    picture.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
    with atomic_path(folder / THUMBNAIL) as temporary:
        picture.save(temporary)


def _step_back() -> None:
    """Leave the processor to the web process; and Ctrl-C in the terminal to it, too, which ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if psutil.WINDOWS:
        with contextlib.suppress(psutil.Error, OSError):
            psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    else:
        os.nice(_NICE)  # from where the web process is, which may have stepped back itself

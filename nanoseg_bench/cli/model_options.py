"""Options of the verbs that use a finished model, and the model that they name."""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from nanoseg_bench.cli.training_options import add_device
from nanoseg_bench.errors import UsageError

if TYPE_CHECKING:
    from nanoseg_bench.inference.predictor import Predictor

_ENGINES = {"auto": "", "onnx": "ONNX Runtime", "torch": "PyTorch"}

_LOG = logging.getLogger(__name__)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--model``, ``--engine`` and ``--device``."""
    parser.add_argument(
        "--model",
        type=Path,
        metavar="MODEL",
        help="a run's folder, its weights, an .onnx file, or nsyolo or yolo11n, whose weights ship with this package "
        "(default: nsyolo)",
    )
    parser.add_argument(
        "--engine", choices=tuple(_ENGINES), default="auto", help="what runs the network (default: %(default)s)"
    )
    add_device(parser)


def add_confidence(parser: argparse.ArgumentParser, below: str) -> None:
    """Add ``--confidence``; ``check_confidence`` looks at what is given.

    Args:
        parser: Of the verb.
        below: What becomes of the particles below, for the help.
    """
    parser.add_argument(
        "--confidence",
        type=float,
        metavar="C",
        help=f"{below} (default: where the model did best on its validation images, else 0.25)",
    )


def check_confidence(arguments: argparse.Namespace) -> None:
    """Refuse a ``--confidence`` that is none.

    Raises:
        UsageError: It does not lie between 0 and 1.
    """
    if arguments.confidence is not None and not 0 <= arguments.confidence <= 1:
        raise UsageError(f"--confidence {arguments.confidence:g}: lies between 0 and 1")


def add_views(parser: argparse.ArgumentParser) -> None:
    """Add ``--views``."""
    parser.add_argument(
        "--views",
        type=int,
        choices=(1, 4, 8),
        help="look at each micrograph as it is (1), turned by quarters (4), and mirrored, too (8), and let them vote: "
        "closer outlines, by 4 or 8 looks (default: as the model was judged, which is 1 of the shipped ones)",
    )


def add_trust_pickle(parser: argparse.ArgumentParser) -> None:
    """Add ``--trust-pickle``."""
    parser.add_argument(
        "--trust-pickle", action="store_true", help="read a .pt checkpoint, which runs whatever code stands in it"
    )


def open_model(arguments: argparse.Namespace) -> "Predictor":
    """Open the model that is named, and tell what it is and from which confidence particles count.

    Raises:
        NanosegError: As ``open_predictor``, and where the operating point that is kept with the model is malformed.
    """
    from nanoseg_bench.inference.predictor import fitting_device, open_predictor
    from nanoseg_bench.weights.release import tell_release

    device = fitting_device(arguments.model, arguments.engine, arguments.device)
    predictor = open_predictor(
        arguments.model,
        confidence=arguments.confidence,
        engine=arguments.engine,
        device=device,
        trust_pickle=arguments.trust_pickle,
        views=arguments.views,
    )
    point = predictor.operating_point
    engine = f"in {_ENGINES[predictor.engine]} on {device}" if predictor.model.has_network else "without a network"
    _LOG.info("%s %s", predictor.model.recipe.title, engine)
    tell_release(arguments.model)
    _LOG.info("confidence %.3g (%s)", point.confidence, point.source)
    return predictor

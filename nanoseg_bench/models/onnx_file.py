"""A trained YOLO model as one ONNX file that says about itself what is needed to predict with it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nanoseg_bench
from nanoseg_bench.errors import ModelError
from nanoseg_bench.extras import require_packages
from nanoseg_bench.files import atomic_path
from nanoseg_bench.models.base import Model
from nanoseg_bench.models.onnx_engine import OnnxEngine
from nanoseg_bench.models.parity import Parity, example_batches, measure_parity
from nanoseg_bench.models.recipe import Recipe
from nanoseg_bench.models.registry import build
from nanoseg_bench.nsyolo.export import export_onnx

FORMAT = "nanoseg-onnx/1"
SUFFIX = ".onnx"


@dataclass(frozen=True, slots=True)
class OnnxAbout:
    """What an ONNX file says about itself, in its ``metadata_props``.

    Attributes:
        recipe: Of the training.
        classes: Names, in the order of the scores.
        max_instances: Particles in the densest image of the set that it was trained on.
        weights_sha256: Of the file that the weights come from.
        confidence: Operating point chosen on ``val``; None where it is not known.
    """

    recipe: Recipe
    classes: tuple[str, ...]
    max_instances: int
    weights_sha256: str
    confidence: float | None = None

    def as_metadata(self) -> dict[str, str]:
        """What the file holds beside the network: text by key, as ONNX keeps metadata."""
        texts = {
            "format": FORMAT,
            "package": f"nanoseg-bench {nanoseg_bench.__version__}",
            "model": self.recipe.model,
            "classes": json.dumps(self.classes, ensure_ascii=False),
            "canvas": str(self.recipe.input_canvas),
            "recipe": self.recipe.model_dump_json(),
            "max_instances": str(self.max_instances),
            "weights_sha256": self.weights_sha256,
        }
        return texts if self.confidence is None else {**texts, "confidence": repr(self.confidence)}

    @classmethod
    def from_metadata(cls, texts: Mapping[str, str], origin: Path) -> "OnnxAbout":
        """Read ``as_metadata`` of the file ``origin``.

        Raises:
            ModelError: Something is missing or malformed, or the file is of another format.
        """
        again = "export the model again with `nanoseg-bench export`"
        if texts.get("format") != FORMAT:
            raise ModelError(f"{origin}: format {texts.get('format')!r}, expected {FORMAT!r}; {again}")
        try:
            return cls(
                Recipe.model_validate_json(texts["recipe"]),
                tuple(str(name) for name in json.loads(texts["classes"])),
                int(texts["max_instances"]),
                texts["weights_sha256"],
                float(texts["confidence"]) if "confidence" in texts else None,
            )
        except (KeyError, ValueError, TypeError) as error:
            raise ModelError(f"{origin}: its metadata cannot be read ({error}); {again}") from error


def write_onnx(model: Model, path: Path, weights_sha256: str, confidence: float | None = None) -> Parity:
    """Export a model atomically, after the file was run beside PyTorch on drawn images and found equal.

    Args:
        model: With its trained network, and one that ``exports_onnx``.
        path: The ``.onnx`` file.
        weights_sha256: Of the file that the weights come from.
        confidence: Operating point chosen on ``val``, where it is known.

    Returns:
        The differences that were found.

    Raises:
        ModelError: The network cannot be exported, or the exported one differs; nothing is written.
        MissingExtraError: What exports and checks is not installed.
        OSError: The folder cannot be written.
    """
    require_packages("export to ONNX", "onnx", "onnxruntime")
    about = OnnxAbout(model.recipe, model.classes, model.max_instances, weights_sha256, confidence)
    network = model.exported_network()
    with atomic_path(path) as temporary:
        try:
            export_onnx(network, temporary, size=model.recipe.input_canvas)
            _add_metadata(temporary, about.as_metadata())
        except OSError:
            raise
        except Exception as error:  # the exporter lets through whatever goes wrong inside
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise ModelError(
                f"{model.recipe.model} cannot be exported to ONNX ({reason}); use it in PyTorch"
            ) from error
        parity = measure_parity(network, OnnxEngine(temporary), example_batches(model.recipe.input_canvas))
        if not parity.passed:
            raise ModelError(
                f"{path}: not written, since ONNX Runtime and PyTorch differ: {parity}; use the model in PyTorch"
            )
    return parity


def _add_metadata(path: Path, texts: Mapping[str, str]) -> None:
    import onnx

    graph = onnx.load(path)
    onnx.helper.set_model_props(graph, dict(texts))
    onnx.save(graph, path)


def open_onnx(path: Path) -> tuple[Model, OnnxAbout]:
    """Open a file that ``write_onnx`` made, ready to predict; no network is built in PyTorch.

    Raises:
        ModelError: The file is missing, damaged, of another kind or version, or of a model that is not installed.
    """
    engine = OnnxEngine(path)
    about = OnnxAbout.from_metadata(engine.metadata, path)
    model = build(about.recipe, about.classes, about.max_instances)
    if not model.exports_onnx:
        raise ModelError(f"{path}: {about.recipe.model} is no YOLO model; export it again")
    model.run_with(engine)
    return model, about

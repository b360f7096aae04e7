"""NSYOLO behind Ultralytics' own interface: train, val, predict, fuse, for those who use the network alone.

Three habits of Ultralytics are changed here. Weights come and go as safetensors; a ``.pt`` holds whole pickled modules,
and reading it runs whatever code stands in it, so it is read where the caller says that it is trusted. torch's
``weights_only=True`` is no way out: it refuses these files, since they hold modules, not tensors. Ultralytics can
register the classes that a file asks for, but they stay allowed for every later ``torch.load`` of the process, which
classes those are differs between its versions, and rebuilding a module still runs its methods on the file's values.

Training draws no plots (they fetch a font) and takes SGD, where Ultralytics chooses optimizer and rate by the number
of iterations. And nothing is installed for a checkpoint whose classes are missing.
"""

import csv
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from ultralytics.cfg import get_cfg
from ultralytics.models.yolo import YOLO
from ultralytics.models.yolo.segment import SegmentationTrainer
from ultralytics.nn.tasks import SegmentationModel
from ultralytics.utils import DEFAULT_CFG, DEFAULT_CFG_DICT, RANK, checks
from ultralytics.utils.torch_utils import unwrap_model

from .badsconv import FUSION_RATE_FACTOR, fusion_parameters
from .network import NETWORK_NAMES, P4_LAYERS, SCHEMES, NSYOLOSegmentation, load_architecture
from .weights import SUFFIX, WeightsError, load_into, read_weights, save_weights

TRAINING_DEFAULTS: dict[str, Any] = {"optimizer": "SGD", "plots": False}
"""Settings of ``NSYOLO.train`` that differ from Ultralytics' defaults."""

_BLOCK_OPTIONS = ("kernel", "regions", "topk", "mask_stride")
_OPTIONS = ("scale", *_BLOCK_OPTIONS, "p4_layers")
_SNAKES = ("C3DS", "C3BADS")


class NSYOLOTrainer(SegmentationTrainer):
    """Ultralytics' segmentation trainer for an NSYOLOSegmentation.

    Beside ``last.pt`` and ``best.pt`` it writes the same weights, in full precision, as ``last.safetensors`` and
    ``best.safetensors`` with their JSON. The fusion parameters α have an optimizer group of their own. On CUDA,
    ``amp=True`` means bfloat16, or full precision on cards without it: Ultralytics checks float16 with weights that it
    fetches from the network.
    """

    def __init__(
        self, cfg: Any = DEFAULT_CFG, overrides: dict[str, Any] | None = None, _callbacks: dict | None = None
    ) -> None:
        super().__init__(cfg, overrides, _callbacks)
        if self.device.type == "cuda" and self.args.amp is True:
            self.args.amp = _cuda_precision()

    def get_model(
        self, cfg: str | dict[str, Any] | None = None, weights: nn.Module | None = None, verbose: bool = True
    ) -> SegmentationModel:
        """Build the network for the data at hand, and take over the tensors of ``weights`` that fit, where given."""
        if isinstance(cfg, str) and cfg.endswith(SUFFIX):
            # A process of a training on several devices builds its network from the file's name.
            weights = NSYOLO(cfg).model
            cfg = weights.yaml
        network = self.set_model_names_for_load(
            NSYOLOSegmentation(
                cfg or "nsyolo-n", ch=self.data["channels"], nc=self.data["nc"], verbose=verbose and RANK == -1
            )
        )
        if weights:
            branch = network.model[-1].cv3
            network.load(weights)
            # Weights of many classes have a wider class branch. Ultralytics takes it over, and then no description
            # tells what the network is; the branch starts anew instead.
            network.model[-1].cv3 = branch
        return network

    def build_optimizer(
        self,
        model: nn.Module,
        name: str = "auto",
        lr: float = 0.001,
        momentum: float = 0.9,
        decay: float = 1e-5,
        iterations: float = 1e5,
    ) -> torch.optim.Optimizer:
        """Ultralytics' optimizer, with the fusion parameters in a group of their own.

        Their learning rate is ``FUSION_RATE_FACTOR`` times the network's, and they are not decayed.
        """
        optimizer = super().build_optimizer(model, name, lr, momentum, decay, iterations)
        alphas = fusion_parameters(unwrap_model(model))
        if alphas:
            own = {id(parameter) for parameter in alphas}
            for group in optimizer.param_groups:
                if any(id(parameter) in own for parameter in group["params"]):
                    settings = {key: value for key, value in group.items() if key != "params"}
                    group["params"] = [parameter for parameter in group["params"] if id(parameter) not in own]
            changed = {"lr": settings["lr"] * FUSION_RATE_FACTOR, "weight_decay": 0.0, "param_group": "fusion"}
            optimizer.add_param_group({**settings, **changed, "params": alphas})
        return optimizer

    def save_model(self) -> bool:
        """Write the checkpoints, and the averaged weights as safetensors beside them."""
        super().save_model()
        network = self.ema.ema
        labels = self.train_loader.dataset.labels
        about = describe(network, self.args.imgsz, max((len(label["cls"]) for label in labels), default=0))
        save_weights(self.last.with_suffix(SUFFIX), network.state_dict(), about)
        if self.best_fitness == self.fitness:
            save_weights(self.best.with_suffix(SUFFIX), network.state_dict(), about)
        return True

    def read_results_csv(self) -> dict[str, list[float]]:
        """Read results.csv by column; Ultralytics' own reader loads polars for it."""
        if not self.csv.is_file():
            return {}
        with self.csv.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        return {name: [float(row[name]) for row in rows] for name in rows[0]} if rows else {}


class NSYOLO(YOLO):
    """Ultralytics' YOLO for the schemes of this package.

    Example:
        ``NSYOLO("nsyolo-n").train(data="data.yaml")``, then ``NSYOLO("best.safetensors").predict("image.png")``

    Args:
        model: A scheme at a scale (``nsyolo-n``, ``yolo11n-c3bads``), weights (``.safetensors`` with the ``.json``
            beside it), a checkpoint (``.pt``), or a file that Ultralytics exported (``.onnx``).
        task: ``segment``, the only task.
        verbose: Log a summary of a new network.
        trust_pickle: Read ``.pt`` files, which runs whatever code stands in them.

    Raises:
        WeightsError: An unknown name, weights that are damaged or of another network or version, or a ``.pt`` that is
            not trusted. It is a ValueError.
    """

    ckpt: dict[str, Any] | None
    _max_instances: int | None = None

    def __init__(
        self,
        model: str | Path = "nsyolo-n",
        task: str | None = "segment",
        verbose: bool = False,
        trust_pickle: bool = False,
    ) -> None:
        self._trust_pickle = trust_pickle
        # The ending makes Ultralytics build a network instead of looking for a file.
        super().__init__(f"{model}.yaml" if str(model) in NETWORK_NAMES else model, task=task, verbose=verbose)

    @property
    def task_map(self) -> dict[str, dict[str, Any]]:
        """Ultralytics' classes for segmentation, with this package's network and trainer."""
        stock = super().task_map["segment"]
        return {"segment": {**stock, "model": NSYOLOSegmentation, "trainer": NSYOLOTrainer}}

    def train(self, trainer: Any = None, **kwargs: Any) -> Any:
        """Train as Ultralytics does, with ``TRAINING_DEFAULTS``; afterwards this holds the best weights.

        Unless ``project`` says otherwise, the results lie in ``runs/segment`` below the working directory.

        Args:
            trainer: A trainer class in place of NSYOLOTrainer.
            **kwargs: Ultralytics' settings: data, epochs, imgsz, batch and others. ``pretrained`` may name weights.

        Returns:
            Ultralytics' metrics of the best weights.

        Raises:
            WeightsError: A file that is named in the settings is no trusted weights.
        """
        for setting in ("model", "resume", "distill_model"):
            if isinstance(kwargs.get(setting), str | Path):
                self._require_trust(Path(kwargs[setting]))
        if isinstance(kwargs.get("pretrained"), str | Path):
            self.load(kwargs.pop("pretrained"))
        if not kwargs.get("cfg"):  # a settings file decides for itself
            kwargs = {**TRAINING_DEFAULTS, **kwargs}
            if not (kwargs.get("project") or kwargs.get("save_dir") or kwargs.get("resume")):
                # Ultralytics would write into the repository that it is installed in, if it is.
                kwargs["project"] = str(Path("runs", self.task).resolve())
        metrics = super().train(trainer, **kwargs)
        if isinstance(self.trainer, NSYOLOTrainer):
            self._take_written(self.trainer.best if self.trainer.best.is_file() else self.trainer.last)
        return metrics

    def val(self, validator: Any = None, **kwargs: Any) -> Any:
        """Validate as Ultralytics does, without plots unless they are asked for."""
        return super().val(validator, **{"plots": False, **kwargs})

    def load(self, weights: Any) -> "NSYOLO":
        """Take over the tensors that agree in name and shape.

        Args:
            weights: A ``.safetensors`` or trusted ``.pt`` file, a network, or Ultralytics' dictionary of a checkpoint.

        Returns:
            This object.

        Raises:
            WeightsError: The file is damaged or not trusted.
        """
        if isinstance(weights, str | Path) and Path(weights).suffix == SUFFIX:
            weights = NSYOLO(weights).model
        elif isinstance(weights, str | Path):
            self._require_trust(Path(weights))
        super().load(weights)
        # train() starts from this network only while there is a checkpoint.
        self.ckpt = self.ckpt or {"model": self.model}
        return self

    def description(self) -> dict[str, Any]:
        """What the network is: model, classes, canvas, options, and max_instances where it is known.

        Raises:
            WeightsError: The network is not one of this package's schemes.
        """
        return describe(self.model, self.overrides.get("imgsz", DEFAULT_CFG_DICT["imgsz"]), self._max_instances)

    def export_weights(self, path: str | Path) -> None:
        """Write the weights as ``path`` (``.safetensors``) and a JSON beside it, for NSYOLO and nanoseg-bench to open.

        Raises:
            WeightsError: ``path`` has another ending, or the network cannot be built again from its description.
        """
        if self.model.is_fused():
            raise WeightsError(
                f"{path}: the network is fused for inference; load it again and export before fuse() or predict()"
            )
        about, tensors = self.description(), self.model.state_dict()
        # What is written can be opened: a network whose layers were changed by hand stops here.
        try:
            load_into(_build(about, Path(path)), tensors, Path(path))
        except WeightsError as error:
            raise WeightsError(
                f"{path}: not exported, since the network is another one than its description builds: its layers were "
                "changed after it was built; export the tensors by safetensors itself"
            ) from error
        save_weights(Path(path), tensors, about)

    def _new(self, cfg: str, task: str | None = None, verbose: bool = False) -> None:
        """Build a new network; Ultralytics' own method reads the scale off file names of its own pattern only."""
        self.cfg = self.model_name = cfg
        self.task = task or "segment"
        self.model = NSYOLOSegmentation(cfg, verbose=verbose and RANK == -1)
        self.overrides |= {"model": cfg, "task": self.task}
        self.model.args = {**DEFAULT_CFG_DICT, **self.overrides}
        self.model.task = self.task

    def _load(self, weights: str, task: str | None = None) -> None:
        """Open a file; Ultralytics' own method unpickles, and looks for missing files on the network."""
        path = Path(weights)
        if not path.is_file():
            close = difflib.get_close_matches(weights, NETWORK_NAMES, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise WeightsError(
                f"{weights}: no such file, and no network; {hint}networks are {', '.join(SCHEMES)}, with the scale in "
                "their name: nsyolo-s, yolo11m-c3bads"
            )
        if path.suffix == SUFFIX:
            self._load_tensors(path)
            return
        self._require_trust(path)
        if path.suffix.lower() == ".pt":
            self._unpickle(path, task)
        else:
            super()._load(weights, task)

    def _load_tensors(self, path: Path) -> None:
        tensors, about = read_weights(path)
        network = _build(about, path)
        _check_class_count(tensors, network, about["classes"], path)
        load_into(network, tensors, path)
        self.overrides = {"model": str(path), "task": "segment", "imgsz": about["canvas"]}
        network.names = dict(enumerate(about["classes"]))
        network.args = {**DEFAULT_CFG_DICT, **self.overrides}
        network.task = self.task = "segment"
        network.pt_path = self.ckpt_path = self.model_name = str(path)
        self.model = network.eval()
        self.ckpt = {"model": network}  # train() starts from this network only while there is a checkpoint
        self._max_instances = about.get("max_instances")

    def _take_written(self, checkpoint: Path) -> None:
        """Replace what Ultralytics read back from its checkpoint, which is in half precision, by the full weights."""
        path = checkpoint.with_suffix(SUFFIX)
        if path.is_file():
            tensors, about = read_weights(path)
            load_into(self.model, tensors, path)
            self._max_instances = about["max_instances"]

    def _unpickle(self, path: Path, task: str | None) -> None:
        checks.AUTOINSTALL = False  # YOLO_AUTOINSTALL comes too late where Ultralytics was imported before this package
        try:
            super()._load(str(path), task)
        except Exception as error:  # unpickling raises whatever it comes across
            raise WeightsError(
                f"{path}: not readable as a checkpoint of Ultralytics ({_first_line(error)}); it is damaged, or holds "
                "classes of a program that is not installed"
            ) from error
        if not isinstance(self.model, SegmentationModel):
            raise WeightsError(f"{path}: holds a {type(self.model).__name__}, not a segmentation network")

    def _require_trust(self, path: Path) -> None:
        if path.suffix.lower() == ".pt" and not self._trust_pickle:
            raise WeightsError(
                f"{path}: a .pt is a pickle, and reading it runs whatever code stands in it. If you trust its source, "
                "say trust_pickle=True (--trust-pickle on the command line); otherwise ask for .safetensors"
            )


def describe(network: nn.Module, canvas: Any, max_instances: int | None) -> dict[str, Any]:
    """What ``save_weights`` wants to know of a network.

    Args:
        network: One of this package's schemes, with class names.
        canvas: Side of its input, or Ultralytics' pair of sides, pixels.
        max_instances: Particles in the densest image that is known; None where unknown.

    Raises:
        WeightsError: The network is not one of this package's schemes.
    """
    options = _options_of(network)
    side = max(canvas) if isinstance(canvas, list | tuple) else canvas
    about = {"model": options["scheme"], "classes": list(network.names.values()), "canvas": side}
    if max_instances is not None:
        about["max_instances"] = max_instances
    return {**about, "options": options}


def _cuda_precision() -> str | bool:
    """Ultralytics' setting ``amp`` for mixed precision without its check of float16."""
    try:
        get_cfg(overrides={"amp": "float99"})
    except (TypeError, ValueError):
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else False
    return True  # an older version, which tells no names apart: it knows float16 alone


def _options_of(network: nn.Module) -> dict[str, Any]:
    """Scheme, scale and options from which ``load_architecture`` makes the network's description again."""
    document = network.yaml
    rows = [*document["backbone"], *document["head"]]
    named = {row[2] for row in rows}
    new = {block for blocks in SCHEMES.values() for block in blocks}
    options: dict[str, Any] = {
        "scheme": next((scheme for scheme, blocks in SCHEMES.items() if set(blocks) == named & new), "nsyolo"),
        "scale": document.get("scale") or "n",
    }
    options |= {name: document[name] for name in _BLOCK_OPTIONS if name in document}
    if named & set(_SNAKES):
        options["p4_layers"] = [layer for layer in P4_LAYERS if rows[layer][2] in _SNAKES]
    expected = load_architecture(**options)
    if [*expected["backbone"], *expected["head"]] != rows:
        raise WeightsError(
            f"{document.get('yaml_file', 'this network')}: its layers are not those of {', '.join(SCHEMES)}"
        )
    return options


def _build(about: Mapping[str, Any], origin: Path) -> NSYOLOSegmentation:
    """The network that a JSON describes, with random weights."""
    named = origin.with_suffix(".json")
    classes, options, canvas = about.get("classes"), about.get("options"), about.get("canvas")
    if (
        not isinstance(classes, list)
        or not classes
        or not all(isinstance(name, str) for name in classes)
        or not isinstance(options, dict)
        or not isinstance(canvas, int)
    ):
        raise WeightsError(
            f"{named}: classes {classes!r} must be a list of names, options {options!r} an object, canvas {canvas!r} a "
            "number of pixels; copy it from where the weights come from"
        )
    scheme = options.get("scheme", about.get("model"))
    if scheme not in SCHEMES:
        raise WeightsError(
            f"{named}: model is {scheme!r}, which nanoseg-bench opens; here it must be {', '.join(SCHEMES)}"
        )
    try:
        document = load_architecture(scheme, **{name: options[name] for name in _OPTIONS if name in options})
        return NSYOLOSegmentation(document | {"nc": len(classes)}, nc=len(classes), verbose=False)
    except (TypeError, ValueError) as error:
        raise WeightsError(f"{named}: options {options} describe no network ({error})") from error


def _check_class_count(tensors: Mapping[str, Tensor], network: nn.Module, classes: list[str], path: Path) -> None:
    last = tensors.get(f"model.{len(network.model) - 1}.cv3.0.2.bias")
    if last is not None and last.numel() != len(classes):
        raise WeightsError(
            f"{path}: the tensors tell {last.numel()} classes apart, and its JSON names {len(classes)}: "
            f"{', '.join(classes)}; copy both files from one place"
        )


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]

"""From micrographs to a prepared set on disk: inspect, group, split, letterbox, augment, audit, write.

Everything is written into ``.<name>.incomplete`` beside the set and renamed at the end, so a kill leaves the old set
or the new one; whatever a kill has left behind is cleared by the next call.
"""

import logging
import os
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.annotations.coco import write_coco
from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Micrograph
from nanoseg_bench.annotations.raster import area, to_rle
from nanoseg_bench.annotations.yolo import write_yolo
from nanoseg_bench.errors import PreparationError
from nanoseg_bench.files import write_json, write_text
from nanoseg_bench.imageio import read_image
from nanoseg_bench.preparation.audit import audit_split, perceptual_hashes
from nanoseg_bench.preparation.augment import augment_copy, augmentation_parameters, copies_per_image, copy_seed
from nanoseg_bench.preparation.grouping import source_groups
from nanoseg_bench.preparation.inspection import Inspection, inspect
from nanoseg_bench.preparation.letterbox import Letterbox
from nanoseg_bench.preparation.manifest import content_hash, manifest_row, write_manifest
from nanoseg_bench.preparation.prepared_set import FORMAT, SPLITS, PreparedSet
from nanoseg_bench.preparation.split import fixed_split, share_warnings, split_by_group
from nanoseg_bench.progress import track

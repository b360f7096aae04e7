"""Nothing phones home from a test either: set before anything imports LabelMe, Ultralytics or albumentations."""

from nanoseg_bench.environment import isolate_libraries

isolate_libraries()

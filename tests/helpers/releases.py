"""A release as ``export --to release`` describes it."""

from nanoseg_bench.weights.release import Release, TrainedOn


def make_release(**fields):
    """One of NSYOLO, trained on the set ``mine``; fields that a test is about are its own."""
    defaults = {
        "name": "nsyolo",
        "title": "NSYOLO",
        "run": "nsyolo-cpu-seed0",
        "preset": "cpu",
        "seed": 0,
        "initial_weights": None,
        "images_seen": 800,
        "core_hours": 1.5,
        "confidence": 0.31,
        "confidence_source": "val",
        "trained_on": TrainedOn(set_name="mine", set_hash="ab" * 32, dataset="mine", train=20, val=5, particles=900),
        "judged": (),
        "evaluator": "9",
        "known_images": "mine-abababab.known-images.npz",
        "package": "0.1.0",
        "commit": None,
        "finished": "2026-01-01T00:00:00+00:00",
    }
    return Release(**{**defaults, **fields})

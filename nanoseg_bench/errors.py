"""Errors a user may see: one class per cause, each message says what, which file or value, and the way out."""


class NanosegError(Exception):
    """Base of every error that this package raises on purpose. The CLI prints it and exits with 1."""


class UsageError(NanosegError):
    """The command line asks for something that does not exist or does not go together. The CLI exits with 2."""


class MissingExtraError(UsageError):
    """What the command line asks for needs packages that this installation lacks. The CLI exits with 2."""


class ImageError(NanosegError):
    """A micrograph cannot be read: missing, truncated, or of an unknown format."""


class AnnotationError(NanosegError):
    """An annotation file is malformed, or names a class or an image that does not exist."""


class DatasetError(NanosegError):
    """A data set's folder, card or split file does not hold what it should."""


class FolderError(NanosegError):
    """A folder that is to be written is a file, holds other things, or cannot be written."""


class StorageError(NanosegError):
    """What lies at a URL is missing, damaged, somebody else's, or cannot be reached."""


class WorkerError(NanosegError):
    """One of several processes that share the work was killed from outside, as for memory."""


class WorkerMemoryError(WorkerError):
    """It was killed each time for memory, as far as one can know."""


class ClusterError(NanosegError):
    """There is no cluster at an address, or a machine of it lacks what all of them must have."""


class PreparationError(NanosegError):
    """The prepared set cannot be written, or its split cannot be made."""


class AuditError(NanosegError):
    """A prepared set has no split audit, a failed one, or one made for other content."""


class RecipeError(NanosegError):
    """A recipe in ``baselines/`` is malformed."""


class ModelError(NanosegError):
    """A model cannot be built, trained, loaded or run."""


class MeasurementError(NanosegError):
    """Something cannot be measured, since what it needs is not known or does not go together: a scale, for example."""


class TimeLimitReached(NanosegError):
    """Training stopped at ``--time-limit`` with a checkpoint; the same command goes on from there."""


class PredictionsError(NanosegError):
    """A predictions file lacks an image, or belongs to another prepared set."""


class RecordError(NanosegError):
    """A record is malformed or was written by another version of the evaluator."""


class OutOfReachError(RecordError):
    """A record or a run is there, and cannot be read now: a share is away, or rights are missing. It may be good."""


class CampaignError(NanosegError):
    """A campaign's file is malformed."""


class PublishingError(NanosegError):
    """A published row could not be scored again by anybody else."""


class ScaleError(NanosegError):
    """A scale, a length or a line that was given is none."""


class BusyError(NanosegError):
    """Another process of ours is at work on the same files."""


class ReviewError(NanosegError):
    """What a person decides about outlines names a particle that is not there, or outlines nothing."""

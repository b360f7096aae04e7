"""Why annotations cannot be used, where a program that calls this package may want to tell the causes apart.

Everything else is a malformed file, and an ``AnnotationError`` that says where.
"""

from nanoseg_bench.errors import AnnotationError


class NoAnnotationsError(AnnotationError):
    """There is nothing to read: no such path, or no annotations of the format in it."""


class UnclearFormatError(AnnotationError):
    """There are files of several formats, or several of which one is meant: the user must say which."""


class MissingImageError(AnnotationError):
    """The annotation is there and its image is not, or cannot be told from others."""


class ImageMismatchError(AnnotationError):
    """The annotation was made on an image of another size, or on one that was turned since."""


class MaskKindError(AnnotationError):
    """The values of masks do not look like what they were taken for: the user must say what they mean."""


class LossError(AnnotationError):
    """The format to be written holds a particle less closely than was asked for."""


class NotAnAnnotationError(AnnotationError):
    """A file that lies among the annotations but is something else; it is passed over and reported, not a fault."""

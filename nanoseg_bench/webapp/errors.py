"""Why a request is not carried out: errors that know the status of their answer."""

from nanoseg_bench.errors import NanosegError


class RequestError(NanosegError):
    """A request that is refused.

    Args:
        message: A sentence for a person.
        status: Of HTTP.
        field: Of the body, that is wrong.
        revision: The current one, where another window was faster.
    """

    def __init__(self, message: str, status: int, *, field: str | None = None, revision: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.field = field
        self.revision = revision


def unknown_micrograph() -> RequestError:
    """There is none of this id, or it is another session's: the answer does not tell which."""
    return RequestError("there is no such micrograph here; it may have been deleted", 404)

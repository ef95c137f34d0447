"""Why a file, or a row of one, is not what its source declares."""

from lakehouse.errors import LakehouseError


class RefusedFileError(LakehouseError):
    """A file that is not what its source declares. `what` begins with the file's name.

    Args:
        by_row: whether some of its rows are the reason, so that others may be all right.
    """

    def __init__(self, file: str, reason: str, by_row: bool = False) -> None:
        super().__init__(f"{file}: {reason}", "deliver it again, or change its declaration in sources/")
        self.file = file
        self.reason = reason
        self.by_row = by_row


class ProblemError(Exception):
    """Why a file is refused."""


class RowProblemError(ProblemError):
    """Why a row is refused.

    Args:
        what: the problem, without the place.
        place: the line or row, in words.
        index: which row it is, from 0; None where the reader does not say it.
    """

    def __init__(self, what: str, place: str = "", index: int | None = None) -> None:
        super().__init__(f"{place}{what}")
        self.what = what
        self.index = index

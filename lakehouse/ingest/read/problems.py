"""Why a file, or a row of one, is not what its source declares."""


class ProblemError(Exception):
    """Why a file is refused."""

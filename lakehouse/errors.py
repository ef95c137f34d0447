"""The one error type that people are meant to read: what happened, to what, and what to do next."""


class LakehouseError(Exception):
    """A failure that a person can act on; the command line prints it without a traceback.

    Args:
        what: what happened, naming the table, file or setting it happened to.
        hint: what to do next.
    """

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(f"{what}\n  → {hint}" if hint else what)
        self.what = what
        self.hint = hint

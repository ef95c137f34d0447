"""What may be in the way of a delivery that an API is asked for."""


class RefusedAnswerError(Exception):
    """An answer that is not what the declaration says, or none; the delivery is not written.

    Args:
        is_of_all: whether asking for the next period is pointless, too.
        is_of_address: whether the address itself was refused: a kept one may have expired.
    """

    def __init__(self, reason: str, *, is_of_all: bool = False, is_of_address: bool = False) -> None:
        super().__init__(reason)
        self.is_of_all = is_of_all
        self.is_of_address = is_of_address


class LaterError(Exception):
    """The API asks to come back later than it may be waited for. What was fetched is kept."""

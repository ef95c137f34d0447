"""Who answers for an asset, where its declaration does not say: the three kinds of people who use this."""

PIPELINES = "team:pipelines"
ANALYSTS = "team:analysts"
ML = "team:ml"


def as_owner(name: str) -> str:
    """A declared owner in the form that Dagster takes: an e-mail address, or a team.

    >>> as_owner("flight-operations"), as_owner("jo@example.org")
    ('team:flight-operations', 'jo@example.org')
    """
    return name if "@" in name or name.startswith("team:") else f"team:{name}"

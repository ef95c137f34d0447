"""How long a file stays that no version of its table has any more, in hours."""

# A week, as Delta's own default.
DEFAULT_HOURS = 168
# A statement that still runs may be about to commit what it wrote.
MIN_HOURS = 24

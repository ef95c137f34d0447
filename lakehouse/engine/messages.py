"""Spark's errors as people read them."""

import re

# Where Spark's message goes over into the plan of the statement, often a hundred lines of it.
_PLAN = re.compile(r";\n\s*'?[A-Z][A-Za-z]+[\s\[(].*|\n\s*JVM stacktrace:.*", re.DOTALL)


def without_plan(message: str) -> str:
    """Spark's error without the tree of the statement's plan: what is wrong, and where."""
    return _PLAN.sub("", message)

"""Lines of a declaration's YAML, so that what is wrong in it is found at once."""

from collections.abc import Sequence

import yaml


def line_of(text: str, place: Sequence[str | int], said: str = "") -> int:
    """The line, from 1, at which a field stands; of one that lacks, its parent's.

    Args:
        text: YAML that can be read.
        place: keys and indices, from the top.
        said: what is wrong; where it begins with the name of a field below the place, that field is meant.

    >>> line_of("a: 1\\nb:\\n  - c: 2\\n  - d: 3\\n", ("b", 1, "d"))
    4
    """
    node = yaml.compose(text)
    line = 1
    named = [int(part) if part.isdigit() else part for part in said.partition(":")[0].split(".")]
    for key in (*place, *named):
        found = _child(node, key)
        if found is None:
            continue
        line, node = found
    return line


def _child(node: yaml.Node | None, key: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key].start_mark.line + 1, node.value[key]
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == str(key):
                return name.start_mark.line + 1, value
    return None

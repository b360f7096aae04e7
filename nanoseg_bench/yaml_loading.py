"""How YAML is read here: as PyYAML does, but no value is lost without a word."""

from collections.abc import Hashable
from typing import Any

import yaml
from yaml.constructor import ConstructorError

_MERGE = "tag:yaml.org,2002:merge"  # `<<`, whose values the mapping's own may replace
_MOST_VALUES = 100_000  # with aliases written out: nine lines of ten aliases each stand for a thousand million


def load(text: str) -> Any:
    """The value of a YAML text with one document, or None.

    Raises:
        yaml.YAMLError: It is not YAML, a key stands twice in one mapping, or a value holds itself or is too large.
        ValueError: It names a date that there is not.
        RecursionError: It is nested too deeply.
    """
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands in one mapping twice, of which YAML would take the last, and values without an end."""

    def construct_document(self, node: yaml.Node) -> Any:
        """The value of a document, built from its ends: a mapping is whole before others merge it."""
        if _written_out(node, {}) > _MOST_VALUES:
            raise ConstructorError(
                None, None, f"more than {_MOST_VALUES} values, with aliases (*) written out", node.start_mark
            )
        self.deep_construct = True
        return super().construct_document(node)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node."""
        if node in self.recursive_objects:
            raise ConstructorError(None, None, "a value that holds itself; write out what is meant", node.start_mark)
        return super().construct_object(node, deep)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """The mapping of a node."""
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == _MERGE:
                continue
            key = self.construct_object(key_node)
            if key in seen:
                raise ConstructorError(None, None, f"{key!r} stands there twice; keep one", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _written_out(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for, each alias counted as what it stands for."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in known:
        known[id(node)] = 0  # until it is known: a value may hold itself
        inner = node.value if isinstance(node, yaml.SequenceNode) else [each for pair in node.value for each in pair]
        known[id(node)] = 1 + sum(_written_out(each, known) for each in inner)
    return known[id(node)]

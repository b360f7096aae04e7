"""How YAML is read here: as PyYAML does, but no value is lost without a word."""

from collections.abc import Hashable
from typing import Any

import yaml
from yaml.constructor import ConstructorError

_MERGE = "tag:yaml.org,2002:merge"  # `<<`, whose values the mapping's own may replace


def load(text: str) -> Any:
    """The value of a YAML text with one document, or None.

    Raises:
        yaml.YAMLError: It is not YAML, a key stands twice in one mapping, or a value holds itself.
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

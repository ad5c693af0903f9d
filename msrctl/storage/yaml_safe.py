"""Reads YAML of unknown origin: plain data only, with limits, every refusal within a second.

The registry itself hangs on an alias bomb (distribution-storage.md, section 6). Here aliases, tags, duplicate
keys, deep nesting and large files are refused, so nothing can grow while it is read.
"""

from __future__ import annotations

from typing import Any

import yaml

MAX_BYTES = 512 << 10
MAX_DEPTH = 12
MAX_NODES = 5_000

PLAIN_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map")
)
# 0o17, 017 and 1:30 are numbers to a YAML 1.1 reader and something else to the registry's: kept as text.
_ODD_NUMBER = ("0o", "0x", "0b")


class YamlRefused(Exception):
    """The text is not YAML that msrctl reads; the message says what and where, and never quotes a value."""


def load(data: bytes | str) -> Any:
    """The document as dicts, lists, text, numbers, booleans and None.

    Arguments:
        data: the file's contents, UTF-8.

    Raises:
        YamlRefused: too large, not text, not YAML, or YAML with something in it that plain data do not need.
    """
    text = _text(data)
    try:
        node = _compose(text)
    except yaml.MarkedYAMLError as error:
        words = error.problem or "not YAML"
        if "another document" in words:
            words = "a second document begins: a file holds one"
        raise YamlRefused(f"{_where(error.problem_mark)}{words}") from None
    except yaml.reader.ReaderError as error:
        raise YamlRefused(f"position {error.position}: a character that YAML does not allow") from None
    except yaml.YAMLError:
        raise YamlRefused("not YAML") from None
    return _value(node) if node is not None else None


def _text(data: bytes | str) -> str:
    size = len(data)
    if size > MAX_BYTES:
        raise YamlRefused(f"larger than {MAX_BYTES >> 10} KiB ({size:,} bytes)")
    if isinstance(data, bytes):
        try:
            data = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise YamlRefused(f"byte {error.start}: not UTF-8 text") from None
    if "\0" in data:
        raise YamlRefused(f"position {data.index(chr(0))}: a NUL character")
    return data


class _Loader(yaml.SafeLoader):
    """Counts nodes and levels while it composes, and refuses what plain data do not need."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            raise YamlRefused(f"{_where(mark)}an alias (*{event.anchor}): write the value out")
        tag = getattr(event, "tag", None)
        if tag is not None and tag != "!":
            raise YamlRefused(f"{_where(mark)}a tag ({tag[:60]}): write plain data")
        self._nodes += 1
        self._depth += 1
        if self._nodes > MAX_NODES:
            raise YamlRefused(f"more than {MAX_NODES:,} values")
        if self._depth > MAX_DEPTH:
            raise YamlRefused(f"{_where(mark)}nested deeper than {MAX_DEPTH} levels")
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        node: yaml.Node | None = loader.get_single_node()
    finally:
        loader.dispose()
    return node


def _value(node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item) for item in node.value]
    return _scalar(node)


def _mapping(node: yaml.MappingNode) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise YamlRefused(f"{_where(key_node.start_mark)}a key must be a word")
        key = str(key_node.value)
        if key == "<<":
            raise YamlRefused(f"{_where(key_node.start_mark)}a merge key (<<): write the values out")
        if key in found:
            raise YamlRefused(f"{_where(key_node.start_mark)}the key {key[:60]!r} stands here a second time")
        found[key] = _value(value_node)
    return found


def _scalar(node: yaml.Node) -> Any:
    text = str(node.value)
    kind = node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in {"true", "yes", "on"}
    if kind == "int":
        return _number(text)
    if kind == "float":
        try:
            return float(text.replace("_", ""))
        except ValueError:
            return text
    return text


def _number(text: str) -> int | str:
    digits = text.replace("_", "").lstrip("+-")
    if ":" in text or digits.startswith(_ODD_NUMBER) or (len(digits) > 1 and digits.startswith("0")):
        return text
    # A number of thousands of digits takes long to convert, and nothing here is one.
    return int(text.replace("_", "")) if len(digits) < 20 else text


def _where(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""

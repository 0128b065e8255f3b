"""Finding the calls of a program in shell text, as a reader of the docs would type them."""

from __future__ import annotations

import re
from collections.abc import Iterator


def code_blocks(markdown: str) -> Iterator[str]:
    """Yield the blocks that are marked as `sh`, indented in lists too."""
    for found in re.finditer(r"^( *)```sh\n(.*?)^\1```", markdown, re.MULTILINE | re.DOTALL):
        indent = len(found.group(1))
        yield "\n".join(line[indent:] for line in found.group(2).splitlines())


def calls(shell: str, program: str) -> Iterator[list[str]]:
    """Yield the words of each call, also of those within `$(…)`; quotes are taken off."""
    text = re.sub(r"\\\n\s*", " ", shell)
    for found in re.finditer(rf"(?<![\w./-]){re.escape(program)}(?= )", text):
        before = text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
        if not re.search(r"(^|\s)#", before):
            yield _words(text[found.start() :])


def _words(text: str) -> list[str]:
    words, word, position = [], None, 0
    while position < len(text):
        char = text[position]
        if char in " \t":
            words, word = (words if word is None else [*words, word]), None
            position += 1
            continue
        if char in "|;&>)\n" or (char == "#" and word is None):
            break
        end = _end(text, position)
        part = text[position:end]
        word = (word or "") + (part[1:-1] if char in "'\"" else part)
        position = end
    return words if word is None else [*words, word]


def _end(text: str, start: int) -> int:
    """Return where the quoted text, the `$(…)` or the single character ends that begins here."""
    if text[start] == "'":
        return text.index("'", start + 1) + 1
    if text.startswith("$(", start):
        return _closed(text, start + 2, ")")
    if text[start] == '"':
        return _closed(text, start + 1, '"')
    return start + (2 if text[start] == "\\" else 1)


def _closed(text: str, position: int, closing: str) -> int:
    while text[position] != closing:
        inner = text[position] in "'\"" if closing == ")" else False
        position = (
            _end(text, position)
            if inner or text.startswith("$(", position) or text[position] == "\\"
            else position + 1
        )
    return position + 1

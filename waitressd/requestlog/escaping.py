r"""Text that clients and applications decide, made fit for one line of a log.

What is written between the quotes of a line holds only visible ASCII and spaces, with `"` and `\` escaped. So no text
can end the line or its quotes, or send control sequences to a terminal.
"""

import re
from typing import Final

MEMO_ENTRIES: Final = 2048
MEMO_CHARACTERS: Final = 256  # longer texts are not worth remembering

_UNSAFE: Final = re.compile(r"[^ !#-\[\]-~]")
_UNSAFE_OR_SPACE: Final = re.compile(r"[^!#-\[\]-~]")

# Texts and their escaped forms: the same user agents, paths and clients are logged again and again.
_escaped: Final[dict[str, str]] = {}
_escaped_words: Final[dict[str, str]] = {}
known_text: Final = _escaped.get
"""Return the escaped form of a text that is remembered, else None."""
known_word: Final = _escaped_words.get
"""The same for `escape_word`."""


def escape(text: str) -> str:
    """Escape a text that is written between quotes. Any thread."""
    known = _escaped.get(text)
    return known if known is not None else _learn(text, _UNSAFE, _escaped)


def escape_word(text: str) -> str:
    """Escape a text that is written without quotes, its spaces too. Any thread."""
    known = _escaped_words.get(text)
    return known if known is not None else _learn(text, _UNSAFE_OR_SPACE, _escaped_words)


def _learn(text: str, unsafe: re.Pattern[str], memo: dict[str, str]) -> str:
    escaped = unsafe.sub(_replace, text) if unsafe.search(text) is not None else text
    if len(text) <= MEMO_CHARACTERS:
        if len(memo) >= MEMO_ENTRIES:
            memo.clear()
        memo[text] = escaped
    return escaped


def _replace(match: re.Match[str]) -> str:
    char = match[0]
    if char in '"\\':
        return "\\" + char
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

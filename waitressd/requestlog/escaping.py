r"""Text of strangers, made fit for one line of a log.

Whatever is written between the quotes of a line holds only visible ASCII and spaces, with `"` and `\` escaped: nobody
can end the line, the quotes, or the terminal's good mood.
"""

import re
from typing import Final

MEMO_ENTRIES: Final = 2048
MEMO_CHARACTERS: Final = 256  # longer texts are not worth remembering

_UNSAFE: Final = re.compile(r"[^ !#-\[\]-~]")
_UNSAFE_OR_SPACE: Final = re.compile(r"[^!#-\[\]-~]")

# Texts and what became of them; user agents, paths and clients come again and again.
_escaped: Final[dict[str, str]] = {}
_escaped_words: Final[dict[str, str]] = {}
known_text: Final = _escaped.get
"""Return what `escape` has made of a text before, None if it has not."""
known_word: Final = _escaped_words.get
"""The same for `escape_word`."""


def escape(text: str) -> str:
    """Escape a text that stands between quotes; any thread."""
    known = _escaped.get(text)
    return known if known is not None else _learn(text, _UNSAFE, _escaped)


def escape_word(text: str) -> str:
    """Escape a text that stands without quotes, its spaces too; any thread."""
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

"""The effective settings as a document: what each is, where it came from, and what is unwise about them.

It shows no secret. What came out of an environment variable is shown as the variable, wherever it appears.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from waitressd.config.adjustments import Adjustments
from waitressd.config.advice import advise
from waitressd.config.advicerules import Facts
from waitressd.config.listing import rows
from waitressd.config.settings import Setting
from waitressd.insight.answers import Answer, Endpoint, Query
from waitressd.insight.documents import answer, text, without_user_info
from waitressd.insight.parameters import Parameters

HIDDEN: Final = "***"
SHORTEST_VALUE: Final = 3  # characters of an expanded value that is looked for in advice

# A setting with such a name is a secret itself; the file that has one is not.
_SECRET_NAME: Final = re.compile(r"(password|passphrase|secret|token|credentials|api_key)s?$")


class Configuration:
    """The endpoint /config. `facts` returns what advice looks at; it may read files, so it is for the slow lane."""

    def __init__(
        self, adjustments: Adjustments, head: Callable[[], dict[str, Any]], facts: Callable[[], Facts]
    ) -> None:
        self._adjustments = adjustments
        self._head = head
        self._facts = facts

    def endpoints(self) -> list[Endpoint]:
        """Return it."""
        return [Endpoint("/config", "config", self.show, is_slow=True)]

    def show(self, query: Query) -> Answer:
        """Answer with the settings and the advice about them. Raises BadQuestion."""
        Parameters(query)
        advice = [{"code": each.code, "text": self._without_secrets(each.text)} for each in advise(self._facts())]
        return answer(self._head() | {"settings": iter(self.settings()), "advice": advice})

    def settings(self) -> list[dict[str, Any]]:
        """Return every setting; a name that is only accepted is there if it was given."""
        adjustments = self._adjustments
        return [
            {
                "name": row.name,
                "value": text(self._shown(row, value)),
                "default": text(row.shown_default),
                "origin": text(str(adjustments.origin_of(row.name))),
                "changed": getattr(adjustments, row.name) != row.default,
            }
            for row, value in rows(adjustments)
            if not row.is_inert or row.name in adjustments.origins
        ]

    def _shown(self, row: Setting, value: str) -> str:
        if _SECRET_NAME.search(row.name) and value:
            return HIDDEN
        return _names(self._adjustments.origin_of(row.name).variables) or without_user_info(value)

    def _without_secrets(self, advice: str) -> str:
        """Return advice in which nothing is quoted that came out of the environment."""
        for row, value in rows(self._adjustments):
            shown = self._shown(row, value)
            for word in {value, *value.split()} if shown != value else ():
                if len(word) >= SHORTEST_VALUE:
                    advice = advice.replace(word, shown)
        return without_user_info(advice)


def _names(variables: tuple[str, ...]) -> str:
    return " ".join(f"${{{name}}}" for name in variables)

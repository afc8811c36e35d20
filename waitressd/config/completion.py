"""Shell completion: scripts rendered from the options and the table, for bash, zsh and fish."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from waitressd.config.commandline import OPTIONS, settable


@dataclass(frozen=True, slots=True)
class Flag:
    """One option as a shell sees it."""

    name: str
    short: str
    summary: str
    takes_value: bool
    choices: tuple[str, ...] = ()
    repeats: bool = False


def flags() -> Iterator[Flag]:
    """List every option, those of the command first."""
    for option in OPTIONS:
        long = next(flag for flag in option.flags if flag.startswith("--"))
        short = next((flag for flag in option.flags if not flag.startswith("--")), "")
        takes_value = bool(option.metavar) and not option.metavar.startswith("[")
        yield Flag(long, short, option.summary, takes_value, option.choices)
    for row in settable():
        if row.is_inert:
            continue
        if row.kind.is_flag:
            yield Flag(f"--{row.option}", "", row.summary, takes_value=False)
            yield Flag(f"--no-{row.option}", "", f"Off: {row.summary}", takes_value=False)
        else:
            yield Flag(f"--{row.option}", "", row.summary, True, row.kind.choices, row.kind.repeats)


def script(shell: str) -> str:
    """Render the script for one shell: ``bash``, ``zsh`` or ``fish``."""
    return _SCRIPTS[shell]()


def _bash() -> str:
    words = []
    cases = []
    for flag in flags():
        words.append(f"{flag.name}=" if flag.takes_value else flag.name)
        if flag.choices and flag.takes_value:
            cases.append(
                f"        {flag.name}) COMPREPLY=($(compgen -W '{' '.join(flag.choices)}' -- \"$cur\")); return;;"
            )
    return "\n".join(
        [
            "# bash completion for waitressd; write it to ~/.local/share/bash-completion/completions/waitressd",
            "_waitressd() {",
            '    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}"',
            "    COMPREPLY=()",
            "    # bash splits --name=value into three words",
            '    [[ $prev == "=" ]] && prev="${COMP_WORDS[COMP_CWORD-2]}"',
            '    [[ $cur == "=" ]] && cur=""',
            '    case "$prev" in',
            *cases,
            "    esac",
            "    if [[ $cur == -* ]]; then",
            f"        COMPREPLY=($(compgen -W '{' '.join(words)}' -- \"$cur\"))",
            "        [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace",
            "    else",
            '        COMPREPLY=($(compgen -f -X "!*.ini" -- "$cur") $(compgen -d -- "$cur"))',
            "    fi",
            "}",
            "complete -o filenames -F _waitressd waitressd",
            "",
        ]
    )


def _zsh() -> str:
    lines = [
        "#compdef waitressd",
        "# zsh completion for waitressd; write it to a file _waitressd in a folder of $fpath",
        "",
    ]
    lines.append("_arguments \\")
    for flag in flags():
        text = _plain(flag.summary)
        value = f"={''}" if flag.takes_value else ""
        action = (
            f":value:({' '.join(flag.choices)})" if flag.choices and flag.takes_value else ":value:" if value else ""
        )
        if flag.name == "--config":
            action = ":file:_files -g '*.ini'".replace("'", '"')
        repeated = "*" if flag.repeats else ""
        lines.append(f"    '{repeated}{flag.name}{value}[{text}]{action}' \\")
        if flag.short:
            lines.append(f"    '{flag.short}[{text}]{action}' \\")
    lines.append("    '*:ini file or MODULE\\:OBJECT:_files -g \"*.ini\"'")
    return "\n".join([*lines, ""])


def _fish() -> str:
    lines = ["# fish completion for waitressd; write it to ~/.config/fish/completions/waitressd.fish"]
    lines.append("complete -c waitressd -k -x -a '(__fish_complete_suffix .ini)'")
    for flag in flags():
        parts = [f"complete -c waitressd -l {flag.name.removeprefix('--')}"]
        if flag.short:
            parts.append(f"-s {flag.short.removeprefix('-')}")
        parts.append(f"-d '{_plain(flag.summary)}'")
        if flag.name == "--config":
            parts.append("-r")
        elif flag.takes_value:
            parts.append("-x")
            if flag.choices:
                parts.append(f"-a '{' '.join(flag.choices)}'")
        lines.append(" ".join(parts))
    return "\n".join([*lines, ""])


def _plain(text: str) -> str:
    """Leave out what would end a quoted string or a bracket of a completion script."""
    return text.replace(": ", ", ").translate(str.maketrans("[]:", "() ", "'\\`"))


_SCRIPTS: Final = {"bash": _bash, "zsh": _zsh, "fish": _fish}

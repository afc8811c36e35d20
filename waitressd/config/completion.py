"""Shell completion: scripts rendered from the options and the table, for bash, zsh and fish."""

from collections.abc import Iterator
from typing import Final

from waitressd.config.commandline import OPTIONS, Option, settable


def offered() -> Iterator[Option]:
    """List every option, those of the command first."""
    yield from OPTIONS
    for row in settable():
        if row.is_inert:
            continue
        if row.kind.is_flag:
            yield Option(row.option, row.summary)
            yield Option(f"no-{row.option}", f"Off: {row.summary}")
        else:
            yield Option(row.option, row.summary, "", row.kind.metavar, row.kind.choices, row.kind.repeats)


def script(shell: str) -> str:
    """Render the script for one shell: ``bash``, ``zsh`` or ``fish``."""
    return _SCRIPTS[shell]()


def _bash() -> str:
    words = " ".join(f"--{option.name}=" if option.takes_value else f"--{option.name}" for option in offered())
    cases = [
        f"        --{option.name}) COMPREPLY=($(compgen -W '{' '.join(option.choices)}' -- \"$cur\")); return;;"
        for option in offered()
        if option.takes_value and option.choices
    ]
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
            f"        COMPREPLY=($(compgen -W '{words}' -- \"$cur\"))",
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
        "_arguments \\",
    ]
    for option in offered():
        action = ""
        if option.name == "config":
            action = ':file:_files -g "*.ini"'
        elif option.takes_value:
            action = f":value:({' '.join(option.choices)})" if option.choices else ":value:"
        text = f"[{_plain(option.summary)}]{action}'"
        lines.append(f"    '{'*' * option.repeats}--{option.name}{'=' * option.takes_value}{text} \\")
        if option.short:
            lines.append(f"    '-{option.short}{text} \\")
    lines.append("    '*:ini file or MODULE\\:OBJECT:_files -g \"*.ini\"'")
    return "\n".join([*lines, ""])


def _fish() -> str:
    lines = ["# fish completion for waitressd; write it to ~/.config/fish/completions/waitressd.fish"]
    lines.append("complete -c waitressd -k -x -a '(__fish_complete_suffix .ini)'")
    for option in offered():
        line = f"complete -c waitressd -l {option.name}"
        if option.short:
            line += f" -s {option.short}"
        line += f" -d '{_plain(option.summary)}'"
        if option.takes_value:
            line += " -r" if option.name == "config" else " -x"
            if option.choices:
                line += f" -a '{' '.join(option.choices)}'"
        lines.append(line)
    return "\n".join([*lines, ""])


def _plain(text: str) -> str:
    """Leave out what would end a quoted string or a bracket of a completion script."""
    return text.replace(": ", ", ").translate(str.maketrans("[]:", "() ", "'\\`"))


_SCRIPTS: Final = {"bash": _bash, "zsh": _zsh, "fish": _fish}

"""Shell completion: scripts rendered from the options and the table, for bash, zsh and fish."""

from collections.abc import Iterable, Iterator
from typing import Final

from waitressd.config.commandline import OPTIONS, settable
from waitressd.config.options import Option
from waitressd.config.subcommands import CONVERT, SUBCOMMANDS


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


def _words(options: Iterable[Option]) -> str:
    return " ".join(f"--{option.name}=" if option.takes_value else f"--{option.name}" for option in options)


def _bash() -> str:
    def case(pattern: str, option: Option) -> str:
        return f"        {pattern}) COMPREPLY=($(compgen -W '{' '.join(option.choices)}' -- \"$cur\")); return;;"

    values = [
        case(f"{command.name}\\ --{option.name}", option)
        for command in SUBCOMMANDS.values()
        for option in command.options
        if option.choices
    ]
    values += [case(f"*\\ --{option.name}", option) for option in offered() if option.takes_value and option.choices]
    return "\n".join(
        [
            "# bash completion for waitressd; write it to ~/.local/share/bash-completion/completions/waitressd",
            "_waitressd() {",
            '    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" first="${COMP_WORDS[1]}"',
            f"    local options='{_words(offered())}' commands='' files='!*.ini'",
            "    COMPREPLY=()",
            f"    (( COMP_CWORD == 1 )) && commands='{' '.join(SUBCOMMANDS)}'",
            "    # bash splits --name=value into three words",
            '    [[ $prev == "=" ]] && prev="${COMP_WORDS[COMP_CWORD-2]}"',
            '    [[ $cur == "=" ]] && cur=""',
            '    case "$first $prev" in',
            *values,
            "    esac",
            '    case "$first" in',
            *(f"        {command.name}) options='{_words(command.options)}';;" for command in SUBCOMMANDS.values()),
            "    esac",
            f'    [[ "$first" == {CONVERT.name} ]] && files=""',
            "    if [[ $cur == -* ]]; then",
            '        COMPREPLY=($(compgen -W "$options" -- "$cur"))',
            "        [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace",
            "    else",
            '        COMPREPLY=($(compgen -W "$commands" -- "$cur") $(compgen -f -X "$files" -- "$cur")',
            '            $(compgen -d -- "$cur"))',
            "    fi",
            "}",
            "complete -o filenames -F _waitressd waitressd",
            "",
        ]
    )


def _zsh() -> str:
    commands = " ".join(f"'{command.name}:{_plain(command.summary)}'" for command in SUBCOMMANDS.values())
    lines = [
        "#compdef waitressd",
        "# zsh completion for waitressd; write it to a file _waitressd in a folder of $fpath",
        "",
        "_waitressd_target() {",
        "    (( CURRENT == 2 )) && _describe command commands",
        "    _files -g '*.ini'",
        "}",
        "",
        "local -a commands",
        f"commands=({commands})",
        "",
        'case "${words[2]}" in',
    ]
    for command in SUBCOMMANDS.values():
        lines += [f"    {command.name})", "        _arguments \\"]
        lines += [f"            {line} \\" for option in command.options for line in _zsh_option(option)]
        target = "file:_files" if command is CONVERT else "address or ini file:_waitressd_target"
        lines += [f"            '*:{target}'", "        return;;"]
    lines += ["esac", "_arguments \\"]
    lines += [f"    {line} \\" for option in offered() for line in _zsh_option(option)]
    lines.append("    '*:command, ini file or MODULE\\:OBJECT:_waitressd_target'")
    return "\n".join([*lines, ""])


def _zsh_option(option: Option) -> Iterator[str]:
    action = ""
    if option.metavar == "FILE":
        action = ':file:_files -g "*.ini"' if option.name == "config" else ":file:_files"
    elif option.takes_value:
        action = f":value:({' '.join(option.choices)})" if option.choices else ":value:"
    text = f"[{_plain(option.summary)}]{action}'"
    yield f"'{'*' * option.repeats}--{option.name}{'=' * option.takes_value}{text}"
    if option.short:
        yield f"'-{option.short}{text}"


def _fish() -> str:
    lines = ["# fish completion for waitressd; write it to ~/.config/fish/completions/waitressd.fish"]
    lines.append("complete -c waitressd -k -x -a '(__fish_complete_suffix .ini)'")
    for command in SUBCOMMANDS.values():
        lines.append(f"complete -c waitressd -n __fish_use_subcommand -a {command.name} -d '{_plain(command.summary)}'")
        seen = f"__fish_seen_subcommand_from {command.name}"
        lines += [_fish_option(option, seen) for option in command.options]
        if command is CONVERT:
            lines.append(f"complete -c waitressd -n '{seen}' -F")
    none_seen = f"not __fish_seen_subcommand_from {' '.join(SUBCOMMANDS)}"
    lines += [_fish_option(option, none_seen) for option in offered()]
    return "\n".join([*lines, ""])


def _fish_option(option: Option, condition: str) -> str:
    line = f"complete -c waitressd -n '{condition}' -l {option.name}"
    if option.short:
        line += f" -s {option.short}"
    line += f" -d '{_plain(option.summary)}'"
    if option.takes_value:
        line += " -r" if option.metavar == "FILE" else " -x"
        if option.choices:
            line += f" -a '{' '.join(option.choices)}'"
    return line


def _plain(text: str) -> str:
    """Leave out what would end a quoted string or a bracket of a completion script."""
    return text.replace(": ", ", ").translate(str.maketrans("[]:", "() ", "'\\`"))


_SCRIPTS: Final = {"bash": _bash, "zsh": _zsh, "fish": _fish}

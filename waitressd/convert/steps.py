"""Steps of conversions that several servers need: addresses, applications, proxies, log files, sizes."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

from waitressd.config.errors import shorten
from waitressd.convert.model import Converter, Item, Sketch, Text, Variable, Verdict

DEFAULT_CHANNEL_SECONDS: Final = 120
_CALL: Final = re.compile(r"(?P<path>[^()]+)\((?P<arguments>.*)\)", re.DOTALL)
_FOLDER: Final = "start it in this folder (WorkingDirectory= of a systemd unit); modules are looked for there"
_SERVICE: Final = "the service manager says it (systemd, a container)"
SERVICE_MANAGER: Final = _SERVICE


def listen_text(address: Text, default_port: str) -> Text:
    """Write an address the way `listen` takes it; what has no port gets the other server's default."""
    address = Text(tuple(part.strip() if isinstance(part, str) else part for part in address.parts))
    example = address.example
    for scheme in ("tcp://", "http://"):
        address = address.removeprefix(scheme)
    if example.startswith("fd://"):
        return Text.of("fd:") + address.removeprefix("fd://")
    if example.startswith("unix:"):
        return Text.of("unix:") + address.removeprefix("unix:").removeprefix("//")
    if example.startswith("/"):
        return Text.of("unix:") + address
    if example.startswith(":"):
        return Text.of("*") + address
    if example.isdigit():
        return Text.of("*:") + address
    has_port = "]:" in example if example.startswith("[") else ":" in example
    return address if has_port or not example else address + f":{default_port}"


def name_application(sketch: Sketch, item: Item, reference: Text) -> None:
    """Take ``module``, ``module:object`` or ``module:factory()`` as the application."""
    example = reference.example.strip()
    if match := _CALL.fullmatch(example):
        if match["arguments"].strip():
            sketch.leave(item, "a factory is called without arguments here: write one that needs none, and name that")
            return
        sketch.is_factory = True
        reference = Text.of(match["path"].strip())
    else:
        sketch.is_factory = False
    if ":" not in reference.example:
        reference = reference + f":{sketch.default_object}"
    if any(char.isspace() for char in reference.example) or reference.example.startswith(":"):
        sketch.leave(item, "expected MODULE:OBJECT")
        return
    sketch.application = reference


def name_file(sketch: Sketch, item: Item, file: Text) -> None:
    """Take the path of a Python file as the application: its folder is where modules are looked for."""
    example = file.example.strip()
    path = PurePosixPath(example)
    parts = [*path.parts[:-1], path.stem]
    if not path.is_absolute() and file.is_plain and all(part.isidentifier() for part in parts):
        name_application(sketch, item, Text.of(".".join(parts)))
        return
    folder, slash, name = _last_part(file)
    stem = name.removesuffix(".py").removesuffix(".wsgi")
    if not stem.isidentifier() or stem == name:
        sketch.leave(item, "its name is not that of a module; name it so that Python can import it: NAME.py")
        return
    if slash:
        if not is_line(folder):
            sketch.leave(item, "its folder cannot be a line of pythonpath")
            return
        sketch.folders.append(folder)
    name_application(sketch, item, Text.of(stem))


def _last_part(file: Text) -> tuple[Text, bool, str]:
    *before, last = file.parts or ("",)
    if isinstance(last, Variable):
        return Text(), False, ""
    folder, slash, name = last.strip().rpartition("/")
    return Text((*before, folder)) if folder else Text(tuple(before)), bool(slash), name


def working_folder(sketch: Sketch, item: Item) -> None:
    """Take the folder that the other server changes to: modules are looked for there."""
    if is_line(item.text):
        sketch.folders.insert(0, item.text)
    sketch.leave(item, _FOLDER, Verdict.ELSEWHERE)


def is_line(text: Text) -> bool:
    """Whether a text can be one line of a value that has several."""
    example = text.example.strip()
    return example != "" and not example.startswith(("#", ";")) and not set(example) & set("\r\n")


def module_folders(separator: str) -> Converter:
    """Convert folders that modules are looked for in."""

    def convert(sketch: Sketch, item: Item) -> None:
        for value in item.values:
            for folder in Text.of(value).split(separator) if separator else [Text.of(value)]:
                if is_line(folder):
                    sketch.folders.append(folder)
                elif folder.example.strip():
                    sketch.leave(item, f"{shorten(folder.example)} cannot be a line of pythonpath")

    return convert


def variables(sketch: Sketch, item: Item) -> None:
    """Convert NAME=VALUE for the environment; SCRIPT_NAME is where the application is mounted."""
    for value in item.values:
        text = Text.of(value)
        name, equals, rest = text.example.partition("=")
        if not equals or not name.strip().isidentifier() or not is_line(text):
            sketch.leave(item, "expected NAME=VALUE")
        elif name.strip() == "SCRIPT_NAME":
            sketch.put("url_prefix", [rest], item)
        else:
            sketch.environment.append(text)


def trust(sketch: Sketch, item: Item, peers: Iterable[Text], headers: str, remark: str = "") -> None:
    """Name the proxies that are believed, and what of them is."""
    if sketch.add("trusted_proxy", [peer for peer in peers if peer.example.strip()], item, remark) and headers:
        sketch.put("trusted_proxy_headers", [headers], Item("", item.name, headers))


def request_log(use: str) -> Converter:
    """Convert the file of an access log; ``-`` is standard output."""

    def convert(sketch: Sketch, item: Item) -> None:
        path = item.text
        if set(path.example) & set("\r\n"):
            sketch.leave(item, "a value is one line")
            return
        if not path.example.strip():
            sketch.leave(item, "there is no request log unless request_log names one", Verdict.NEEDLESS)
            return
        if sketch.put("request_log", ["access"], item):
            sketch.log = {"use": Text.of(use), "path": path}

    return convert


def flag(name: str, *, inverted: bool = False) -> Converter:
    """Convert a switch."""

    def convert(sketch: Sketch, item: Item) -> None:
        sketch.put(name, [item.is_on is not inverted], item)

    return convert


def idle_seconds(sketch: Sketch, item: Item) -> None:
    """Convert how long a connection rests, which matters only if it is longer than here."""
    text = item.text.example.strip()
    if text.isdigit() and int(text) <= DEFAULT_CHANNEL_SECONDS and item.text.is_plain:
        why = f"a connection at rest keeps no thread here, so channel_timeout is {DEFAULT_CHANNEL_SECONDS} seconds"
        sketch.leave(item, why, Verdict.NEEDLESS)
    else:
        sketch.put("channel_timeout", [item.text], item)


def cipher_suites(sketch: Sketch, item: Item) -> None:
    """Take a list of suites if the server will: what others take may have suites in it that protect nothing."""
    # With OpenSSL, which most files have no use for.
    from waitressd.ciphers import why_refused  # noqa: PLC0415 - see above

    refusal = why_refused(item.text.example) if item.text.is_plain and item.text.example else ""
    if refusal:
        sketch.leave(item, f"tls_ciphers does not take this: {refusal}")
    else:
        sketch.put("tls_ciphers", [item.text], item)

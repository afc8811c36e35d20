"""What is printed: comments on lines of their own, each value as our reader takes it."""

from waitressd.convert.model import Item, Sketch, Text, Verdict
from waitressd.convert.printing import ini_text


def test_the_parts_and_their_order() -> None:
    sketch = Sketch("a file", application=Text.of("shop:make"), is_factory=True)
    sketch.folders = [Text.of("/a"), Text.of("/b"), Text.of("/a")]
    sketch.environment = [Text.of("A=50%")]
    sketch.put("threads", [3], Item("f:2", "t", 3), "Three.")
    sketch.put("listen", ["*:80", "*:81"], Item("f:1", "b", "*:80"))
    sketch.leave(Item("f:3", "x", 1), "nothing does that")
    sketch.leave(Item("f:4", "y", 1), "nothing does that")
    sketch.leave(Item("f:5", "z", "a\nb"), "threads does it; did you mean a?", Verdict.NEEDLESS)
    assert ini_text(sketch).split("\n", 2)[2] == (
        "[app:main]\nuse = egg:waitressd#wsgi\napplication = shop:make\ncall = true\n"
        "pythonpath =\n    /a\n    /b\nenvironment =\n    A=50%%\n\n"
        "[server:main]\nuse = egg:waitressd\n# f:1: b = *:80\nlisten =\n    *:80\n    *:81\n"
        "# f:2: t = 3\n# Three.\nthreads = 3\n\n"
        "# Without a counterpart:\n# f:3: x = 1\n# f:4: y = 1\n#     Nothing does that.\n\n"
        "# Needed no more:\n# f:5: z = a b\n#     threads does it; did you mean a?\n"
    )


def test_without_an_application_its_surroundings_are_comments() -> None:
    sketch = Sketch("a\x1b[31m file")
    sketch.folders = [Text.of("/a%")]
    sketch.environment = [Text.of("A=\x07")]
    text = ini_text(sketch)
    assert "# Have PYTHONPATH name the folder /a%.\n# Set in the environment: A=\\x07\n[server:main]" in text
    assert text.isascii()
    assert "\x1b" not in text

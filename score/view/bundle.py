"""A page's modules and styles as one script and one style, for a file that needs nothing beside it.

The modules keep to a few rules (``bundle`` refuses the rest): imports are single lines of plain names from files of the
page, exports stand at the beginning of a line, and a name at a module's top level is that of no other module.
"""

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).parent / "page"
_IMPORT = re.compile(r'^import \{ ([\w$]+(?:, [\w$]+)*) \} from "(\.{1,2}/[\w./-]+\.js)";$')
_EXPORT = re.compile(r"^export (?=(?:async )?function\b|const\b|class\b)")
_NAMED = re.compile(r"^(?:async )?(?:function\*?|const|let|class) ([\w$]+)")


def bundle(entry: Path) -> str:
    """A module and all that it imports as one script, in an order in which each comes after what it needs.

    Raises:
        ValueError: a module breaks a rule.
    """
    order: dict[Path, list[str]] = {}
    _visit(entry.resolve(), order, [])
    homes: dict[str, Path] = {}
    parts: list[str] = []
    for module, lines in order.items():
        for line in lines:
            if (found := _NAMED.match(line)) is not None:
                other = homes.setdefault(found[1], module)
                if other != module:
                    raise ValueError(f"{found[1]} is a name of {other.name} and of {module.name}")
        parts.append("\n".join(lines))
    script = '"use strict";\n(() => {\n' + "\n".join(parts) + "\n})();\n"
    if re.search(r"</script|<!--", script, re.IGNORECASE):
        raise ValueError("a script in a page cannot hold </script or <!--")
    return script


def styles(*files: Path) -> str:
    """Style sheets one after the other."""
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def source_hash(text: str) -> str:
    """The source expression of a Content-Security-Policy that allows this text between the tags of an element."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _visit(module: Path, order: dict[Path, list[str]], way: list[Path]) -> None:
    if module in order:
        return
    if module in way:
        raise ValueError(f"modules import each other: {' '.join(each.name for each in [*way, module])}")
    lines = []
    for line in module.read_text(encoding="utf-8").splitlines():
        if (found := _IMPORT.match(line)) is None:
            lines.append(_EXPORT.sub("", line))
            continue
        other = (module.parent / found[2]).resolve()
        if not other.is_relative_to(PAGE.resolve()):
            raise ValueError(f"{module.name} imports {found[2]}, which is no file of the page")
        _visit(other, order, [*way, module])
        names = set(_names(order[other]))
        if missing := set(found[1].split(", ")) - names:
            raise ValueError(f"{module.name} imports {', '.join(sorted(missing))}, which {other.name} has not")
    for line in lines:
        if re.match(r"import\b|export\b|(?:const|let|var) [\[{]|var\b", line):
            raise ValueError(f"{module.name}: {line!r} is in a form that cannot be put together with other modules")
    order[module] = lines


def _names(lines: list[str]) -> Iterator[str]:
    return (found[1] for line in lines if (found := _NAMED.match(line)) is not None)

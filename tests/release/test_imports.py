"""The modules of release/ form layers: no module imports itself through others."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import release

FOLDER = Path(release.__path__[0])


def imported(file: Path) -> set[str]:
    """Return the names of the modules of release/ that a module imports, also for types alone."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "release":
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("release."):
            found.add(str(node.module).removeprefix("release."))
    return found


def test_no_module_imports_itself_through_others() -> None:
    order = TopologicalSorter({file.stem: imported(file) for file in FOLDER.glob("*.py")}).static_order()
    assert list(order)[-1] == "__main__"

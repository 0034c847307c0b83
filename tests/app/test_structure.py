"""The folders of app/comments import each other downwards only, and its modules without circles."""

import ast
from graphlib import TopologicalSorter

from tests.repository import ROOT

APP = ROOT / "app"
MODULES = {
    ".".join(path.relative_to(APP).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (APP / "comments").rglob("*.py")
}
BELOW = {
    "core": {"core"},
    "stores": {"core", "stores"},
    "importers": {"core", "stores", "importers"},
    "notifications": {"core", "stores", "notifications"},
    "http": {"core", "stores", "notifications", "http"},
    "entry": {"core", "stores", "importers", "notifications", "http", "entry"},
}
"""The folders that each one may import. core and entry are the modules at the top: shared ones, and app and cli."""


def folder_of(module: str) -> str:
    top = module.removeprefix("comments.").partition(".")[0]
    if top in BELOW:
        return top
    return "entry" if top in {"app", "cli", "__main__"} else "core"


def imports_of(module: str) -> set[str]:
    """Return the modules of the service that a module imports, also in functions and for types."""
    imported = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        names = [each.name for each in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} has a relative import"
            members = [f"{node.module}.{name}" for name in names]
            names = [name if name in MODULES else str(node.module) for name in members]
        imported.update(names)
    return imported & MODULES.keys()


def test_folders_import_downwards_only() -> None:
    upwards = [
        f"{module} imports {imported}"
        for module in MODULES
        for imported in imports_of(module)
        if folder_of(imported) not in BELOW[folder_of(module)]
    ]
    assert not upwards


def test_modules_import_each_other_without_circles() -> None:
    order = [*TopologicalSorter({module: imports_of(module) for module in MODULES}).static_order()]
    assert order.index("comments.comment") < order.index("comments.app")

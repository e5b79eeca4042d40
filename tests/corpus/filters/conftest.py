"""English prose for the tests of the filters: docstrings of the standard library."""

import importlib
import inspect

import pytest

_MODULES = [
    "argparse",
    "asyncio",
    "ast",
    "collections",
    "configparser",
    "contextlib",
    "csv",
    "dataclasses",
    "datetime",
    "decimal",
    "difflib",
    "dis",
    "email.message",
    "enum",
    "functools",
    "http.client",
    "inspect",
    "io",
    "json",
    "logging",
    "pathlib",
    "pdb",
    "pickle",
    "random",
    "re",
    "shutil",
    "socket",
    "statistics",
    "string",
    "subprocess",
    "tarfile",
    "threading",
    "turtle",
    "typing",
    "unittest.mock",
    "uuid",
    "zipfile",
]


@pytest.fixture(scope="session")
def prose() -> list[str]:
    """Some hundred texts of all sizes, one of them long."""
    texts = list[str]()
    for name in _MODULES:
        module = importlib.import_module(name)
        members = [module, *vars(module).values()]
        documented = {inspect.getdoc(one) for one in members if callable(one) or one is module}
        texts += sorted(text for text in documented if text)
    return [*texts, "\n".join(texts)]

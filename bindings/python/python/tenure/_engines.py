"""Registers arrays with the engines that move them between processes, as soon as a program has imported both.

Contract: ``import tenure`` imports no engine, and an engine that is never imported costs one dictionary lookup for each import. An engine
that this package does not fit warns; its import succeeds. The order of the imports does not matter.
"""

import importlib
import sys
import warnings

# The modules after whose import a module of this package registers arrays: its ``register`` gets the name.
_ENGINES = {
    "dask.sizeof": "distributed.dask",
    "dask.tokenize": "distributed.dask",
    "dask.array.backends": "distributed.dask",
    "distributed.protocol": "distributed.dask",
    "joblib.externals.loky.backend.reduction": "_processes",
    "loky.backend.reduction": "_processes",
    "multiprocessing.reduction": "_processes",
}

# The engines that are not imported yet.
_waiting = dict(_ENGINES)


def _register(engine):
    own = _waiting.pop(engine, None)
    if own is None:
        return
    try:
        importlib.import_module(f"{__package__}.{own}").register(engine)
    except Exception as error:
        warnings.warn(f"tenure cannot register its arrays with {engine}: {error!r}", RuntimeWarning, stacklevel=2)


class _Loader:
    """The loader of an engine's module, which registers after it."""

    def __init__(self, loader):
        self._loader = loader

    def __getattr__(self, name):
        if name == "_loader":
            raise AttributeError(name)  # an object that is not made yet
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        # The module keeps its own loader.
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        _register(module.__name__)


class _Finder:
    """Finds the modules of engines as the other finders do, and puts `_Loader` before their loaders."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name not in _waiting:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = None if finder is cls or find is None else find(name, path, target)
            if spec is not None:
                if spec.loader is not None and hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader)
                return spec
        return None


def _install():
    for engine in _ENGINES:
        if engine in sys.modules:
            _register(engine)
    if _waiting:
        sys.meta_path.insert(0, _Finder)


_install()

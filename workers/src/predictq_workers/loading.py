"""From the settings of a deployment to a model that can be served."""

import importlib
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from predictq.errors import ModelError
from predictq.settings import DeploymentSettings
from predictq_workers.class_model import ClassModel
from predictq_workers.model import Servable
from predictq_workers.wording import said

__all__ = ["open_model"]

log = logging.getLogger(__name__)


def open_model(settings: DeploymentSettings, folder: Path) -> Servable:
    """The model that `settings.model` names; a path is seen from `folder`. Its `load()` is still to be called.

    Raises ModelError, in one line, where it is missing, damaged or no model.
    """
    named = settings.model
    suffix = Path(named).suffix.lower()
    if suffix == ".onnx":
        raise ModelError(f"model {named!r}: .onnx cannot be served yet; save it as .skops, or serve it by a class")
    if suffix in _READERS:
        return _estimator(folder / named, settings, _READERS[suffix])
    module, colon, name = named.partition(":")
    if not colon or not name or "/" in module:
        known = ", ".join(_READERS)
        raise ModelError(f'model {named!r} is neither a file that is known ({known}) nor "package.module:Class"')
    return ClassModel(_construct(named, module, name, settings, folder), named)


def _estimator(path: Path, settings: DeploymentSettings, read: Callable[[Path, tuple[str, ...]], Any]) -> Servable:
    if not path.is_file():
        raise ModelError(f"model {path}: there is no such file")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator = read(path, settings.trusted)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(f"model {path}: cannot be read: {said(error)}") from error
    for warning in {str(one.message).partition("\n")[0]: one for one in caught}:
        log.warning("model %s: %s", path, warning)
    from predictq_workers.sklearn_model import SklearnModel  # noqa: PLC0415 - a second, which a damaged file saves

    return SklearnModel(estimator, f"model {path}")


def _read_joblib(path: Path, _: tuple[str, ...]) -> Any:
    import joblib  # noqa: PLC0415 - only where it is needed

    return joblib.load(path)


def _read_skops(path: Path, trusted: tuple[str, ...]) -> Any:
    import skops.io  # noqa: PLC0415 - only where it is needed

    untrusted = sorted(set(skops.io.get_untrusted_types(file=path)) - set(trusted))
    if untrusted:
        listed = ", ".join(f'"{one}"' for one in untrusted)
        raise ModelError(
            f"model {path}: holds types that are not trusted; "
            f"if you know them, set the deployment's trusted = [{listed}]"
        )
    return skops.io.load(path, trusted=list(trusted))


_READERS: dict[str, Callable[[Path, tuple[str, ...]], Any]] = {
    ".joblib": _read_joblib,
    ".skops": _read_skops,
}


def _construct(named: str, module: str, name: str, settings: DeploymentSettings, folder: Path) -> Any:
    for place in (str(Path.cwd()), str(folder)):
        if place not in sys.path:
            sys.path.insert(0, place)
    try:
        found = importlib.import_module(module)
    except Exception as error:
        raise ModelError(f"model {named!r}: cannot be imported: {said(error)}") from error
    model_class = getattr(found, name, None)
    if not callable(model_class):
        raise ModelError(f"model {named!r}: module {module} ({found.__file__}) has no class {name}")
    try:
        return model_class(**settings.options)
    except Exception as error:
        raise ModelError(f"model {named!r}: constructing it raised {said(error)}") from error

"""Whatever a class of the configuration raises when it is created, one line names its key."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
from omegaconf import DictConfig

from rnc_lightning.command_line.compose import resolve_config
from rnc_lightning.runs.parts import Parts
from rnc_lightning.system.errors import UserError
from rnc_lightning.tracking import loggers


class Raises:
    """A class of somebody's own whose constructor fails."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise ERRORS.pop()


ERRORS: list[BaseException] = []
_HERE = {"_target_": f"{__name__}.Raises"}
_PARTIAL = {**_HERE, "_partial_": True}


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Raises.__module__])


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("too wide\nmuch too wide"), "too wide"),
        (ValueError(), "ValueError"),
        (KeyError("width"), "KeyError: 'width'"),
        (AssertionError(), "AssertionError"),
        (RuntimeError("\n  no luck"), "RuntimeError: no luck"),
        (AttributeError("it has no x"), "AttributeError: it has no x"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (FileNotFoundError(2, "No such file", "x.pth"), "FileNotFoundError: [Errno 2] No such file: 'x.pth'"),
        (ModuleNotFoundError("No module named 'x'"), "No module named 'x'"),
        (UserError("say it better"), "say it better"),
    ],
)
@pytest.mark.parametrize(
    ("key", "value", "build"),
    [
        ("encoder", _HERE, lambda parts: parts.stage("regress", None)),
        ("data", _HERE, lambda parts: parts.unread_data()),
        ("callbacks", {"mine": _HERE}, lambda parts: parts.callbacks()),
        ("logger", {"mine": _PARTIAL}, lambda parts: parts.loggers(stage="regress")),
        ("stages.regress.optimizer", _PARTIAL, lambda parts: parts.stage("regress", None)),
        ("stages.regress.schedule", _PARTIAL, lambda parts: parts.stage("regress", None)),
        ("stages.regress.module", _PARTIAL, lambda parts: parts.stage("regress", None)),
        ("trainer", _HERE, lambda parts: parts.trainer()),
    ],
)
def test_any_error_of_a_constructor_is_one_line(
    error: BaseException,
    reason: str,
    key: str,
    value: dict[str, Any],
    build: Callable[[Parts], Any],
    config: dict[str, Any],
) -> None:
    ERRORS[:] = [error]
    place: Any = config
    *above, last = key.split(".")
    for name in above:
        place = place[name]
    kept, place[last] = place[last], value
    try:
        with pytest.raises(UserError) as refused:
            build(Parts(config))
    finally:
        place[last] = kept
    line = str(refused.value)
    assert len(line.splitlines()) == 1
    if not isinstance(error, UserError):
        assert line.startswith(key.removesuffix(".module"))
    assert line.endswith(reason)


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    from rnc_lightning.command_line.compose import compose_config

    words = ["+experiment=digits_l1", "trainer=cpu", "encoder.width=4", "encoder.stages=1"]
    return resolve_config(compose_config(words))


def test_wandb_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setitem(sys.modules, "rnc_lightning.tracking.weights_and_biases", None)
    with pytest.raises(UserError, match="logger=wandb needs the package wandb"):
        loggers.wandb(directory=tmp_path, stage="s", name="n", config={}, identity={})


def test_a_class_that_does_not_exist_is_named(compose_config: Callable[..., DictConfig]) -> None:
    config = resolve_config(compose_config("+experiment=digits_l1", "encoder._target_=no_such_package.Encoder"))
    with pytest.raises(UserError, match=r"^encoder: .*no_such_package"):
        Parts(config).stage("regress", None)  # type: ignore[arg-type]

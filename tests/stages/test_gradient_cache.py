"""The gradient of a batch that is encoded in chunks is that of the batch."""

import copy
import weakref
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from rnc_lightning import RnCLoss
from rnc_lightning.encoders import SmallResNet
from rnc_lightning.stages.compiling import compile_in_place
from rnc_lightning.stages.gradient_cache import encode_in_chunks

ROWS, VIEWS = 22, 2


def _batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(ROWS, 1, 16, 16, generator=generator, dtype=torch.float64)
    return x, torch.randint(0, 6, (ROWS // VIEWS, 1), generator=generator).double()


def _perceptron() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(256, 12), nn.Tanh(), nn.Linear(12, 4))


def _group_norm() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.GroupNorm(2, 8), nn.ReLU(True), nn.Conv2d(8, 8, 3, 2), nn.Flatten())


def _dropout() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(256, 12), nn.Dropout(0.5), nn.ReLU(True), nn.Linear(12, 4))


def _batch_norm() -> nn.Module:
    return SmallResNet(1, 4, 2)


def _cumulative_batch_norm() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, momentum=None), nn.Flatten())


def _spectral_norm() -> nn.Module:
    """Its buffers decide what it computes, and change with each forward."""
    return nn.Sequential(nn.Flatten(), nn.utils.parametrizations.spectral_norm(nn.Linear(256, 4)))


def _step(encoder: nn.Module, encode: Callable[[nn.Module, Tensor], Tensor], seed: int = 3) -> tuple[Tensor, Tensor]:
    """Loss, and gradient of all parameters as one vector."""
    x, y = _batch()
    torch.manual_seed(seed)
    features = encode(encoder, x.to(next(encoder.parameters()).dtype))
    loss = RnCLoss()(features.unflatten(0, (-1, VIEWS)), y)
    loss.backward()
    return loss.detach(), torch.cat([p.grad.flatten() for p in encoder.parameters() if p.grad is not None])


def _at_once(encoder: nn.Module, x: Tensor) -> Tensor:
    return encoder(x)


def _cached(at_once: int) -> Callable[[nn.Module, Tensor], Tensor]:
    return lambda encoder, x: encode_in_chunks(encoder, x, at_once)


def _chunkwise(at_once: int) -> Callable[[nn.Module, Tensor], Tensor]:
    """The same chunks through plain autograd."""
    return lambda encoder, x: torch.cat([encoder(chunk) for chunk in x.tensor_split(-(-len(x) // at_once))])


@pytest.mark.parametrize("at_once", [1, 4, 11, 22, 100])
@pytest.mark.parametrize("make", [_perceptron, _group_norm])
def test_the_gradient_is_that_of_the_undivided_batch(make: Callable[[], nn.Module], at_once: int) -> None:
    torch.manual_seed(1)
    encoder = make().double()
    plain = copy.deepcopy(encoder)
    loss, gradient = _step(encoder, _cached(at_once))
    expected_loss, expected = _step(plain, _at_once)
    torch.testing.assert_close(loss, expected_loss, rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-10 * float(expected.abs().max()))


@pytest.mark.parametrize("make", [_dropout, _batch_norm, _cumulative_batch_norm, _spectral_norm])
def test_both_passes_draw_the_same_numbers_and_buffers_change_once(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(1)
    encoder = make().double()
    plain = copy.deepcopy(encoder)
    _, gradient = _step(encoder, _cached(8))
    after = torch.rand(1)
    _, expected = _step(plain, _chunkwise(8))
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-10 * float(expected.abs().max()))
    assert torch.equal(after, torch.rand(1))  # nor do later random numbers depend on it
    for (name, buffer), known in zip(encoder.named_buffers(), plain.buffers(), strict=True):
        assert torch.equal(buffer, known), name


def test_dropout_would_show_other_numbers() -> None:
    torch.manual_seed(1)
    encoder = _dropout().double()
    assert not torch.allclose(_step(copy.deepcopy(encoder), _cached(8))[1], _step(encoder, _cached(8), seed=4)[1])


class _Watched(nn.Module):
    """Remembers its activations only as long as something else does."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = _perceptron()
        self.seen: list[weakref.ref[Tensor]] = []
        self.most = 0

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.layers[:3](x)  # type: ignore[index]
        self.seen.append(weakref.ref(hidden))
        self.most = max(self.most, self.alive())
        return self.layers[3](hidden)  # type: ignore[index]

    def alive(self) -> int:
        return sum(len(known) for ref in self.seen if (known := ref()) is not None)


def test_activations_of_one_chunk_are_held_at_most() -> None:
    x, y = _batch()
    watched, plain = _Watched().double(), _Watched().double()
    features = encode_in_chunks(watched, x, 4)
    assert watched.alive() == 0
    assert (plain(x).shape, plain.alive()) == ((ROWS, 4), 0)  # its result was let go: nothing to go backward from
    kept = plain(x)
    assert (len(kept), plain.alive()) == (ROWS, ROWS)
    RnCLoss()(features.unflatten(0, (-1, VIEWS)), y).backward()
    assert watched.most <= 4
    assert len(watched.seen) == 2 * 6


def test_each_gradient_is_accumulated_once() -> None:
    """What gathers gradients over processes hangs on it."""
    encoder = _perceptron().double()
    calls: list[int] = []
    for number, parameter in enumerate(encoder.parameters()):
        parameter.register_post_accumulate_grad_hook(lambda _, number=number: calls.append(number))
    _step(encoder, _cached(4))
    assert sorted(calls) == list(range(4))


@pytest.mark.parametrize("make", [_perceptron, _batch_norm, _dropout])
def test_autocast_is_the_same_in_both_passes(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(1)
    encoder = make()
    plain = copy.deepcopy(encoder)

    def with_autocast(encode: Callable[[nn.Module, Tensor], Tensor], cache: bool) -> Callable[..., Tensor]:
        def go(module: nn.Module, x: Tensor) -> Tensor:
            with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=cache):
                return encode(module, x)

        return go

    _, gradient = _step(encoder, with_autocast(_cached(8), cache=True))
    _, expected = _step(plain, with_autocast(_chunkwise(8), cache=False))
    torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=1e-7)


def _small_batch_norm() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten())


@pytest.fixture
def forget_compiled() -> Iterator[None]:
    yield
    torch._dynamo.reset()


@pytest.mark.usefixtures("forget_compiled")
@pytest.mark.parametrize(
    ("make", "backend"),
    [
        (_small_batch_norm, "eager"),
        # The compiler of whole networks takes memory and time, and has aborted Python on an overloaded machine.
        pytest.param(_batch_norm, "aot_eager", marks=pytest.mark.slow),
        pytest.param(_batch_norm, "inductor", marks=pytest.mark.slow),
    ],
)
def test_a_compiled_encoder_has_the_same_gradient(make: Callable[[], nn.Module], backend: str) -> None:
    torch.manual_seed(1)
    encoder = nn.Sequential(make(), nn.Dropout(0.3))
    plain = copy.deepcopy(encoder)
    compile_in_place(plain, backend)
    compile_in_place(encoder, backend)
    loss, gradient = _step(encoder, _cached(8))
    expected_loss, expected = _step(plain, _chunkwise(8))
    torch.testing.assert_close(loss, expected_loss)
    torch.testing.assert_close(gradient, expected)
    assert all(torch.equal(a, b) for a, b in zip(encoder.buffers(), plain.buffers(), strict=True))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_on_a_gpu_with_its_own_random_numbers(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    encoder = nn.Sequential(_batch_norm(), nn.Dropout(0.3)).cuda()
    plain = copy.deepcopy(encoder)

    def with_autocast(encode: Callable[[nn.Module, Tensor], Tensor]) -> Callable[[nn.Module, Tensor], Tensor]:
        def go(module: nn.Module, x: Tensor) -> Tensor:
            with torch.autocast("cuda", dtype=dtype, enabled=dtype != torch.float32, cache_enabled=False):
                return encode(module, x.cuda())

        return go

    _, gradient = _step(encoder, with_autocast(_cached(8)))
    _, expected = _step(plain, with_autocast(_chunkwise(8)))
    torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))

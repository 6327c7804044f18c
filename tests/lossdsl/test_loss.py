"""The module: what autograd, torch.func, deepcopy, pickle and wrong callers do to it."""

from __future__ import annotations

import copy
import io
import pickle
import warnings
from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lossdsl.errors import LossError
from lossdsl.formula import Formula, parse
from lossdsl.loss import Loss, compile
from lossdsl.paths import KernelPath, ScriptPath
from lossdsl.testing import formulas

BACKENDS = ("torchscript", "llvm", "eager")
NAMED = ("bce", "mse", "focal", "maxr", "sumr", "logmin", "hinge", "squared_hinge", "huber", "exponential")
pytestmark = pytest.mark.usefixtures("own_kernels")


def batch(n: int = 64, dtype: torch.dtype = torch.float64, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    score = (torch.randn(n, generator=generator, dtype=torch.float64) * 2).to(dtype).requires_grad_()
    return score, (torch.rand(n, generator=generator) > 0.5).to(dtype)


def by_hand(name: str, score: Tensor, label: Tensor) -> Tensor:
    """The formulas once more, as a person writes them, for autograd."""
    pred = torch.sigmoid(score)
    c = 1e-6
    least = torch.minimum(label, pred)
    table: dict[str, Callable[[], Tensor]] = {
        "bce": lambda: -(label * torch.log(pred) + (1 - label) * torch.log(1 - pred)),
        "mse": lambda: (pred - label) ** 2,
        "focal": lambda: -(label * (1 - pred) ** 2 * pred.log() + (1 - label) * pred**2 * (1 - pred).log()),
        "maxr": lambda: torch.maximum((label + c) / (pred + c), (pred + c) / (label + c)),
        "sumr": lambda: (label + pred + c) / (c + pred * label),
        "logmin": lambda: torch.log(1 / (least + c) + c) * (least + label + pred),
        "hinge": lambda: torch.relu(1 - (2 * label - 1) * score),
        "squared_hinge": lambda: torch.relu(1 - (2 * label - 1) * score) ** 2,
        "huber": lambda: torch.nn.functional.huber_loss(pred, label, delta=0.5, reduction="none"),
        "exponential": lambda: torch.exp(-(2 * label - 1) * score),
    }
    return table[name]()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_forward_and_backward_agree_with_autograd_by_hand(name: str, backend: str, reduction: str) -> None:
    score, label = batch()
    loss = compile(name, backend, reduction=reduction)(score=score, label=label)
    expected = by_hand(name, score, label)
    expected = expected.mean() if reduction == "mean" else expected.sum() if reduction == "sum" else expected
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-12)
    pull = torch.rand_like(loss)
    (slope,) = torch.autograd.grad(loss, score, pull)
    (right,) = torch.autograd.grad(expected, score, pull)
    torch.testing.assert_close(slope, right, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", [n for n in NAMED if n not in ("hinge", "squared_hinge", "exponential")])
@pytest.mark.parametrize("backend", BACKENDS)
def test_pred_and_score_say_the_same(name: str, backend: str) -> None:
    score, label = batch(dtype=torch.float32)
    loss = compile(name, backend)
    pred = torch.sigmoid(score)
    torch.testing.assert_close(loss(pred, label), loss(score=score, label=label), rtol=2e-5, atol=1e-6)
    (a,) = torch.autograd.grad(loss(pred, label), score)
    (b,) = torch.autograd.grad(loss(score=score, label=label), score)
    torch.testing.assert_close(a, b, rtol=2e-4, atol=1e-6)


def test_auto_takes_machine_code_where_it_applies() -> None:
    score, label = batch(8, torch.float32)
    for name, way in (("bce", KernelPath), ("score^label", ScriptPath)):
        loss = compile(name, "auto")
        loss(score=score.abs(), label=label)
        assert isinstance(loss._on_score, way)
    trained = compile("focal", "auto", trainable=("gamma",))
    torch.testing.assert_close(trained(score=score, label=label), compile("focal")(score=score, label=label))


@settings(max_examples=60, deadline=None)
@given(formula=formulas(depth=3, domain_safe=True), backend=st.sampled_from(("torchscript", "llvm")))
def test_one_pass_agrees_with_autograd_on_the_eager_formula(formula: Formula, backend: str) -> None:
    score, label = batch(8)
    try:
        loss = compile(formula, backend, reduction="none")
    except LossError:  # a constant beyond the doubles, or an exponent that varies
        return
    eager = compile(formula, "eager", reduction="none")
    value, right = loss(score=score, label=label), eager(score=score, label=label)
    torch.testing.assert_close(value, right, rtol=1e-6, atol=1e-9, equal_nan=True)
    (a,) = torch.autograd.grad(value.sum(), score)
    if right.requires_grad:
        (b,) = torch.autograd.grad(right.sum(), score, allow_unused=True)
        finite = torch.isfinite(b)
        torch.testing.assert_close(a[finite], b[finite], rtol=1e-6, atol=1e-7 * float(1 + a.abs().nan_to_num().max()))


@pytest.mark.parametrize("backend", BACKENDS)
def test_kinks_follow_one_rule(backend: str) -> None:
    cases = {
        "max(score, 2*score)": (0.0, 1.5),
        "min(score, 3)": (3.0, 0.5),
        "max(score, 0)": (0.0, 0.5),
        "abs(score)": (0.0, 0.0),
        "relu(score)": (0.0, 0.0),
        "sign(score)*score": (0.0, 0.0),
        "clamp(score, 0, 1)": (0.0, 1.0),
        "clamp(2*score, 0, 1)": (0.5, 2.0),
        "if(score >= 1, 5*score, 7*score)": (1.0, 5.0),
        "if(score > 1, 5*score, 7*score)": (1.0, 7.0),
    }
    for dtype in (torch.float32, torch.float64):
        for text, (at, slope) in cases.items():
            score = torch.full((3,), at, dtype=dtype, requires_grad=True)
            compile(text, backend, reduction="sum")(score=score).backward()
            assert score.grad is not None and score.grad.tolist() == [slope] * 3, text


# -- torch.func, second derivatives, forward mode


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["bce", "focal", "mse", "exponential"])
def test_second_derivatives_are_right(name: str, backend: str) -> None:
    score, label = batch(5)
    for reduction in ("mean", "none"):
        f = partial(compile(name, backend, reduction=reduction), None, label)
        assert torch.autograd.gradcheck(lambda s, f=f: f(score=s), (score,))
        assert torch.autograd.gradgradcheck(lambda s, f=f: f(score=s), (score,))
    single, target = batch(6, torch.float32)
    (g,) = torch.autograd.grad(compile(name, backend)(score=single, label=target), single, create_graph=True)
    (h,) = torch.autograd.grad((g**2).sum(), single)
    (g0,) = torch.autograd.grad(by_hand(name, single, target).mean(), single, create_graph=True)
    (h0,) = torch.autograd.grad((g0**2).sum(), single)
    assert h.abs().max() > 0
    torch.testing.assert_close(h, h0, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("backend", BACKENDS)
def test_torch_func(backend: str) -> None:
    loss = compile("focal", backend)
    score, label = batch(12)
    rows, targets = score.detach().view(3, 4), label.view(3, 4)

    def f(s: Tensor, y: Tensor) -> Tensor:
        return loss(score=s, label=y)

    def reference(s: Tensor, y: Tensor) -> Tensor:
        return by_hand("focal", s, y).mean()

    torch.testing.assert_close(torch.func.vmap(f)(rows, targets), torch.func.vmap(reference)(rows, targets))
    for transform in (torch.func.grad, torch.func.hessian, torch.func.jacfwd, torch.func.jacrev):
        torch.testing.assert_close(transform(f)(rows[0], targets[0]), transform(reference)(rows[0], targets[0]))
    both = torch.func.vmap(torch.func.grad(f))(rows, targets)
    torch.testing.assert_close(both, torch.func.vmap(torch.func.grad(reference))(rows, targets))
    pushed = torch.func.jvp(lambda s: f(s, targets[0]), (rows[0],), (rows[1],))
    expected = torch.func.jvp(lambda s: reference(s, targets[0]), (rows[0],), (rows[1],))
    torch.testing.assert_close(pushed, expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_forward_mode(backend: str) -> None:
    loss = compile("bce", backend)
    score, label = batch(4, torch.float32)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(score.detach(), torch.ones(4))
        tangent = torch.autograd.forward_ad.unpack_dual(loss(score=dual, label=label)).tangent
    (slope,) = torch.autograd.grad(loss(score=score, label=label), score)
    assert tangent is not None
    torch.testing.assert_close(tangent, slope.sum())


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_reach_labels_and_weights(backend: str) -> None:
    score, label = batch(6)
    label.requires_grad_()
    weight = torch.rand(6, dtype=torch.float64, requires_grad=True)
    loss = compile("bce", backend)(score=score, label=label, weight=weight)
    expected = (by_hand("bce", score, label) * weight).mean()
    torch.testing.assert_close(loss, expected)
    found = torch.autograd.grad(loss, (score, label, weight))
    for a, b in zip(found, torch.autograd.grad(expected, (score, label, weight))):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_graph_may_be_walked_twice_and_gradients_accumulate(backend: str) -> None:
    for dtype in (torch.float32, torch.float64):
        for reduction in ("mean", "none"):
            score, label = batch(7, dtype)
            loss = compile("focal", backend, reduction=reduction)(score=score, label=label).sum()
            loss.backward(retain_graph=True)
            assert score.grad is not None
            first = score.grad.clone()
            score.grad.mul_(100)  # whatever happens to the gradient must not reach what the graph remembers
            loss.backward(retain_graph=True)
            torch.testing.assert_close(score.grad, 101 * first)
            score.grad = None
            (3 * loss).backward()
            torch.testing.assert_close(score.grad, 3 * first)


@pytest.mark.parametrize("backend", BACKENDS)
def test_change_in_place_is_noticed(backend: str) -> None:
    leaf, label = batch(4, torch.float32)
    score = leaf * 1
    loss = compile("bce", backend)(score=score, label=label)
    with torch.no_grad():
        score.add_(1)
    with pytest.raises(RuntimeError, match="in.?place"):
        torch.autograd.grad(loss, leaf, create_graph=True)


def test_slope_of_a_formula_that_is_an_input_is_nobody_elses() -> None:
    for backend in BACKENDS:
        for reduction in ("sum", "none"):
            score, label = batch(4, torch.float32)
            before = label.clone()
            (2 * compile("label*score", backend, reduction=reduction)(score=score, label=label).sum()).backward()
            assert torch.equal(label, before)
            out = compile("score", backend, reduction="none")(score=score)
            out.detach().zero_()
            assert score.detach().abs().max() > 0


def test_a_loss_that_does_not_depend_on_its_input_has_slope_zero() -> None:
    for backend in BACKENDS:
        score, label = batch(4, torch.float32)
        compile("sign(pred+1)*(label+1)", backend)(score=score, label=label).backward()
        assert score.grad is not None and score.grad.tolist() == [0.0] * 4


# -- shapes, dtypes, autocast


@pytest.mark.parametrize("backend", BACKENDS)
def test_any_shape_and_layout(backend: str) -> None:
    score, label = batch(24, torch.float32)
    flat = compile("bce", backend, reduction="none")(score=score, label=label)
    grid = compile("bce", backend, reduction="none")(score=score.view(2, 3, 4), label=label.view(2, 3, 4))
    torch.testing.assert_close(grid.flatten(), flat)
    turned = compile("bce", backend)(score=score.view(4, 6).t(), label=label.view(4, 6).t())
    torch.testing.assert_close(turned, flat.mean())
    torch.testing.assert_close(compile("bce", backend)(score=score[::2], label=label[::2]), flat[::2].mean())
    torch.testing.assert_close(compile("bce", backend)(score=score[0], label=label[0]), flat[0])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("n", [1, 15, 16, 17, 1023, 1024, 1025, 1500, 5000])
def test_every_length(backend: str, n: int) -> None:
    score, label = batch(n, torch.float32)
    value = compile("bce", backend)(score=score, label=label)
    torch.testing.assert_close(value.double(), by_hand("bce", score.double(), label.double()).mean(), rtol=2e-6, atol=0)
    (slope,) = torch.autograd.grad(value, score)
    torch.testing.assert_close(slope, (torch.sigmoid(score) - label) / n, rtol=2e-5, atol=1e-9)


@pytest.mark.parametrize("backend", BACKENDS)
def test_empty_batch_is_what_pytorch_makes_of_it(backend: str) -> None:
    for axis in ("pred", "score"):
        x = torch.empty(0, requires_grad=True)
        assert compile("bce", backend)(**{axis: x}, label=torch.empty(0)).isnan()
        assert compile("bce", backend, reduction="sum")(**{axis: x}, label=torch.empty(0)).item() == 0
        none = compile("bce", backend, reduction="none")(**{axis: x}, label=torch.empty(0))
        assert none.shape == (0,)
        none.sum().backward()
        assert x.grad is not None and x.grad.shape == (0,)


@pytest.mark.parametrize("backend", BACKENDS)
def test_halves_are_computed_in_float32(backend: str) -> None:
    score, label = batch(64, torch.float32)
    right = compile("focal", backend)(score=score, label=label)
    for dtype in (torch.bfloat16, torch.float16):
        half = score.detach().to(dtype).requires_grad_()
        loss = compile("focal", backend)(score=half, label=label.to(dtype))
        assert loss.dtype is dtype
        torch.testing.assert_close(loss.float(), right, rtol=0.03, atol=0)
        loss.backward()
        assert half.grad is not None and half.grad.dtype is dtype and half.grad.abs().sum() > 0
    # the ends of pred are those of its own dtype: the float32 next to 1 is 1 in bfloat16
    ends = torch.tensor([0.0, 1.0], dtype=torch.bfloat16)
    assert torch.isfinite(compile("bce", backend, reduction="none")(ends, torch.tensor([1.0, 0.0]))).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_autocast(backend: str) -> None:
    layer = torch.nn.Linear(8, 1)
    label = torch.ones(16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        score = layer(torch.randn(16, 8)).squeeze(-1)
        assert score.dtype is torch.bfloat16
        loss = compile("bce", backend)(score=score, label=label)
    assert loss.dtype is torch.float32
    loss.backward()
    assert layer.weight.grad is not None and torch.isfinite(layer.weight.grad).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_labels_of_other_dtypes_are_converted(backend: str) -> None:
    score, label = batch(6, torch.float32)
    loss = compile("bce", backend)
    for dtype in (torch.int64, torch.bool, torch.float64, torch.uint8):
        torch.testing.assert_close(loss(score=score, label=label.to(dtype)), loss(score=score, label=label))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_far_scores_that_pytorch_gets_wrong(backend: str) -> None:
    loss = compile("bce", backend, reduction="none")
    score = torch.tensor([-20.0, 20.0, -50.0, 50.0], requires_grad=True)
    label = torch.tensor([0.0, 1.0, 0.0, 1.0])
    true = torch.tensor([2.0611536e-9, 2.0611536e-9, 1.9287498e-22, 1.9287498e-22])
    value = loss(score=score, label=label)
    torch.testing.assert_close(value, true, rtol=1e-6, atol=0)
    value.sum().backward()
    torch.testing.assert_close(score.grad, true * torch.tensor([1.0, -1, 1, -1]), rtol=1e-6, atol=0)
    theirs = torch.nn.functional.binary_cross_entropy_with_logits(score, label, reduction="none")
    assert theirs[0] == 0  # when this fails, PyTorch has been mended, and its operation may join the fused ones


@pytest.mark.parametrize("backend", BACKENDS)
def test_pred_is_projected_and_the_slope_passes_through(backend: str) -> None:
    for dtype in (torch.float32, torch.float64):
        limits = torch.finfo(dtype)
        pred = torch.tensor([0.0, 1.0, 0.5], dtype=dtype, requires_grad=True)
        value = compile("-log(pred)", backend, reduction="none")(pred)
        inside = torch.tensor([limits.tiny, 1 - limits.eps / 2, 0.5], dtype=dtype)
        torch.testing.assert_close(value, -torch.log(inside))
        value.sum().backward()
        torch.testing.assert_close(pred.grad, -1 / inside)


def test_nan_goes_in_and_comes_out() -> None:
    for backend in BACKENDS:
        x = torch.tensor([0.5, float("nan")])
        for loss, call in (("mse", {"pred": x}), ("bce", {"score": x}), ("maxr", {"pred": x})):
            value = compile(loss, backend, reduction="none")(**call, label=torch.ones(2))
            assert value.isnan().tolist() == [False, True]
            assert compile(loss, backend)(**call, label=torch.ones(2)).isnan()


# -- the life of a module


@pytest.mark.parametrize("backend", BACKENDS)
def test_copies_are_their_own(backend: str) -> None:
    loss = Loss("focal", trainable=("gamma",), backend="eager" if backend == "llvm" else backend, check="off")
    score, label = batch(8, torch.float32)
    for twin in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        torch.testing.assert_close(twin(score=score, label=label), loss(score=score, label=label))
        with torch.no_grad():
            twin.gamma.add_(1)
        assert loss.gamma.item() == 2 and twin.gamma.item() == 3
        twin(score=score, label=label).backward()
        assert twin.gamma.grad is not None and loss.gamma.grad is None
    plain = compile("bce", backend)
    plain(score=score, label=label)  # after use too, when kernels hang on it
    for twin in (copy.deepcopy(plain), pickle.loads(pickle.dumps(plain))):
        torch.testing.assert_close(twin(score=score, label=label), plain(score=score, label=label))


def test_a_pickle_is_text() -> None:
    loss = compile("focal where gamma = 3", "llvm")
    score, label = batch(4, torch.float32)
    loss(score=score, label=label)
    stored = pickle.dumps(loss)
    assert b"(1-pred)^gamma*log(pred)" in stored and b"gamma = 3" in stored
    assert len(stored) < 2000
    file = io.BytesIO()
    torch.save(loss, file)
    file.seek(0)
    assert str(torch.load(file, weights_only=False).formula) == str(loss.formula)


def test_trainable_parameters_learn_and_are_in_the_state() -> None:
    loss = Loss("focal", params={"gamma": 1.5}, trainable=("gamma",), check="off")
    assert [name for name, _ in loss.named_parameters()] == ["gamma"]
    assert loss.state_dict()["gamma"].item() == 1.5
    score, label = batch(32, torch.float64)
    optimiser = torch.optim.SGD(loss.parameters(), lr=1.0)
    before = loss(score=score, label=label)
    before.backward()
    step = 1e-4
    up, down = (compile("focal", params={"gamma": 1.5 + d})(score=score, label=label) for d in (step, -step))
    assert loss.gamma.grad is not None
    assert abs(loss.gamma.grad.item() - (up - down).item() / (2 * step)) < 1e-6
    optimiser.step()
    assert loss(score=score, label=label) < before
    other = Loss("focal", trainable=("gamma",), check="off")
    other.load_state_dict(loss.state_dict())
    assert other.gamma.item() == loss.gamma.item()
    with pytest.raises(LossError, match="no parameter `beta`"):
        Loss("focal", trainable=("beta",), check="off")
    with pytest.raises(LossError, match="range"):
        compile("pred*c where c in [0, 1]")
    with pytest.raises(LossError, match="cannot be called `training`"):
        compile("pred*training where training = 1", trainable=("training",))


def test_params_change_the_formula() -> None:
    loss = compile("focal", params={"gamma": 0})
    score, label = batch(8)
    torch.testing.assert_close(loss(score=score, label=label), compile("bce")(score=score, label=label))
    assert "gamma = 0" in str(loss.formula)


def test_a_loss_that_says_it_is_one_of_pairs_shares_nothing_with_one_that_does_not() -> None:
    """The two are equal as formulas, which is what the cache goes by."""
    plain, pairs = parse("-logsigmoid(score)"), parse("bpr")
    assert plain == pairs and pairs.pairwise and not plain.pairwise
    score, label = batch(8)
    for order in ((plain, pairs), (pairs, plain)):
        made = {one.pairwise: compile(one, reduction="none", params={}) for one in order}
        torch.testing.assert_close(made[True](score=score), made[False](score=score, label=label))
    Loss(parse("bpr"))
    with pytest.raises(LossError, match="invalid"):
        Loss(plain)


def test_second_call_shares_what_is_compiled() -> None:
    assert compile("bce")._engine is compile("bce")._engine
    assert compile("bce")._engine is not compile("bce", reduction="sum")._engine


# -- pairs


@pytest.mark.parametrize("backend", BACKENDS)
def test_pairs(backend: str) -> None:
    difference, _ = batch(16, torch.float32)
    ones, zeros = torch.ones(16), torch.zeros(16)
    for name in ("bce", "focal", "mse"):
        pair = compile(name, backend, pairwise=True)(score=difference)
        single = compile(name, backend)
        both = (single(score=difference, label=ones) + single(score=-difference, label=zeros)) / 2
        torch.testing.assert_close(pair, both)
    bpr = compile("bpr", backend)
    torch.testing.assert_close(bpr(score=difference), -torch.nn.functional.logsigmoid(difference).mean())
    torch.testing.assert_close(bpr(score=difference), compile("bce", backend, pairwise=True)(score=difference))
    with pytest.raises(LossError, match="takes no label"):
        bpr(score=difference, label=ones)
    with pytest.raises(LossError, match="difference of two scores"):
        bpr(torch.sigmoid(difference))


def test_a_module_shows_its_formula() -> None:
    assert repr(compile("mse")) == "Loss('(label-pred)^2', reduction='mean', backend='torchscript')"


@pytest.mark.parametrize("backend", ["torchscript", "llvm"])
def test_a_model_with_a_loss_inside_compiles_as_one_graph(backend: str) -> None:
    net, loss = torch.nn.Linear(4, 1), compile("focal", backend)
    x, label = torch.randn(8, 4), (torch.rand(8) > 0.5).float()

    def step(x: Tensor, label: Tensor) -> Tensor:
        return loss(score=net(x).squeeze(-1), label=label)

    eager = step(x, label)  # afterwards the short way is open, and must not be traced
    graph = torch.compile(step, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(graph(x, label), eager)
    graph(x, label).backward()
    found = net.weight.grad.clone()  # type: ignore[union-attr]
    net.zero_grad()
    eager.backward()
    torch.testing.assert_close(found, net.weight.grad)


@pytest.mark.parametrize("backend", ["torchscript", "llvm"])
def test_tracers_and_subclasses_see_operations_and_not_results(backend: str) -> None:
    loss = compile("bce", backend, label="{0,1}")
    score, label = batch(8, torch.float32)
    loss(score=score, label=label)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(lambda s, y: loss(score=s, label=y), (score.detach(), label), check_trace=False)
    other, labels = batch(8, torch.float32, seed=1)
    torch.testing.assert_close(traced(other, labels), loss(score=other, label=labels))
    with torch._subclasses.FakeTensorMode():
        assert loss(score=torch.empty(4), label=torch.empty(4)).shape == ()
    meta = torch.empty(4, device="meta")
    for axis in ("pred", "score"):
        assert loss(**{axis: meta}, label=meta).device.type == "meta"

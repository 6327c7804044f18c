"""The published controller: what it draws, what it counts, that it learns, and that it is its twin in PyTorch."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lossdsl.errors import LossError
from lossdsl.search.controller import Controller, Draws
from lossdsl.search.learner import Learner
from lossdsl.search.presets import preset
from lossdsl.search.settings import ControllerSettings
from lossdsl.search.space import INPUTS, Space
from lossdsl.search.toml import assign
from tests.search.conftest import graphs_of

PUBLISHED = preset("autolossgen").controller


def twin_of(controller: Controller) -> Any:
    spec = importlib.util.spec_from_file_location("twin", Path(__file__).parent / "twin.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Twin(controller)


def make(space: Space, seed: int = 0, settings: ControllerSettings = PUBLISHED) -> Controller:
    return Controller(space, settings, seed=seed)


def moved(controller: Controller, by: float = 0.3) -> Controller:
    """Away from the flat start, where a wrong term would hardly show."""
    controller.flat += np.random.default_rng(5).normal(0, by, len(controller.flat)).astype(np.float32)
    return controller


def greedy(operator: bool, operand: bool) -> ControllerSettings:
    return ControllerSettings(tanh_constant=1.5, sample_operator=operator, sample_operand=operand)


MODES = [(True, True), (True, False), (False, True), (False, False)]


@pytest.mark.parametrize("modes", MODES)
@pytest.mark.parametrize("sampling", [False, True])
def test_log_probabilities_and_gradients_are_those_of_pytorch(modes: tuple[bool, bool], sampling: bool) -> None:
    controller = moved(make(Space(nodes=6), settings=greedy(*modes)))
    drawn = controller.draw(7, sampling=sampling)
    twin = twin_of(controller)
    choices = (torch.from_numpy(part) for part in (drawn.op, drawn.first, drawn.second))
    log_prob, entropy = twin(*choices, sampling)
    assert drawn.log_prob == pytest.approx(log_prob.detach().numpy(), rel=1e-5, abs=1e-4)
    assert drawn.entropy == pytest.approx(entropy.detach().numpy(), rel=1e-5)
    weight = np.random.default_rng(0).normal(size=7)
    (log_prob * torch.from_numpy(weight)).sum().backward()
    ours = controller.named(controller.gradient(drawn, weight))
    for name, parameter in twin.named_parameters():
        theirs = parameter.grad.numpy()
        assert ours[name] == pytest.approx(theirs, rel=1e-3, abs=1e-4 * float(np.abs(theirs).max())), name


def test_the_steps_are_those_of_pytorchs_clipping_and_adam() -> None:
    controller = moved(make(Space(nodes=4)))
    twin = twin_of(controller)
    s = PUBLISHED
    adam = torch.optim.Adam(twin.parameters(), lr=s.lr, betas=(s.beta1, s.beta2), eps=s.eps)
    for scale in (1.0, 30.0, 0.01):
        drawn = controller.draw(5)
        log_prob, _ = twin(*(torch.from_numpy(part) for part in (drawn.op, drawn.first, drawn.second)), False)
        adam.zero_grad()
        (scale * log_prob.sum()).backward()
        torch.nn.utils.clip_grad_norm_(twin.parameters(), s.clip_norm)
        adam.step()
        controller.descend(controller.gradient(drawn, np.full(5, scale)))
    ours = controller.named(controller.flat)
    for name, parameter in twin.named_parameters():
        assert ours[name] == pytest.approx(parameter.detach().numpy(), abs=2e-5), name


def test_choices_fall_as_often_as_their_probabilities_say() -> None:
    space = Space(nodes=1)
    controller = moved(make(space))
    drawn = controller.draw(20000)
    # All graphs that begin with the same operators of the inputs have the same probabilities of what follows; the
    # first operator of all is drawn from one distribution.
    share = np.bincount(drawn.op[0], minlength=len(space.operators)) / 20000
    expected = np.exp(drawn.kept["op_score"][0, 0].astype(np.float64))
    assert share == pytest.approx(expected, abs=5 * np.sqrt(0.25 / 20000))
    # Operands: the mean of the probabilities that each graph gave them; a second one is never the first.
    p = np.exp(drawn.kept["arg_score"][3, :, :3].astype(np.float64))
    assert np.bincount(drawn.first[3], minlength=3) / 20000 == pytest.approx(p.mean(axis=0), abs=0.02)
    two = controller._binary[drawn.op[3]]
    assert (drawn.first[3][two] != drawn.second[3][two]).all()
    rest = p[two].copy()
    rest[np.arange(len(rest)), drawn.first[3][two]] = 0
    rest /= rest.sum(axis=1, keepdims=True)
    seen = np.bincount(drawn.second[3][two], minlength=3) / two.sum()
    assert seen == pytest.approx(rest.mean(axis=0), abs=0.03)


def test_operands_come_from_earlier_nodes_and_differ() -> None:
    space = Space(nodes=6)
    for graph in graphs_of(make(space).draw(64), space):
        assert len(graph.steps) == 6
        for k, step in enumerate(graph.steps):
            assert 0 <= step.first < len(INPUTS) + k
            if space.arity(step.op) == 2:
                assert 0 <= step.second < len(INPUTS) + k and step.second != step.first
            else:
                assert step.second == -1


def test_the_nth_graph_does_not_depend_on_how_many_are_drawn_at_a_time() -> None:
    space = Space()
    one, two = make(space), make(space)
    together = one.draw(8)
    apart = [two.draw(count) for count in (3, 1, 4)]
    graphs = graphs_of(together, space)
    assert graphs == tuple(graph for draws in apart for graph in graphs_of(draws, space))
    assert np.array_equal(together.log_prob, np.concatenate([draws.log_prob for draws in apart]))
    assert graphs_of(make(space, seed=1).draw(8), space) != graphs


def test_the_log_probability_counts_the_unused_draws_and_does_not_renormalise() -> None:
    # With all weights 0 every choice is uniform, so the sums can be written down: an operator for each input and node,
    # one operand each, and for two operands the second from the *full* distribution.
    space = Space(nodes=3)
    controller = make(space)
    controller.flat[:] = 0
    drawn = controller.draw(50)
    operators = np.log(len(space.operators))
    for graph, got, entropy in zip(graphs_of(drawn, space), drawn.log_prob, drawn.entropy):
        expected = -(len(INPUTS) + 3) * operators
        total = (len(INPUTS) + 3) * operators
        for k, step in enumerate(graph.steps):
            nodes = np.log(len(INPUTS) + k)
            expected = expected - nodes * space.arity(step.op)
            total = total + nodes
        assert got == pytest.approx(expected, rel=1e-5)
        assert entropy == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("modes", MODES)
def test_greedy_modes_take_the_most_probable(modes: tuple[bool, bool]) -> None:
    space = Space()
    controller = make(space, settings=greedy(*modes))
    drawn = controller.draw(6)
    graphs = graphs_of(drawn, space)
    kinds = {tuple(step.op for step in graph.steps) for graph in graphs}
    assert (len(kinds) > 1) is modes[0]
    if modes == (False, False):
        assert len(set(graphs)) == 1
        assert len(set(graphs_of(controller.draw(6, sampling=True), space))) > 1
    assert np.isfinite(drawn.log_prob).all()


def test_it_learns_what_is_rewarded() -> None:
    space = Space(nodes=4)
    controller = make(space)

    def shares(drawn: Draws) -> np.ndarray:
        """The share of each graph's steps that take the larger of two."""
        return np.asarray((drawn.op[len(INPUTS) :] == space.operators.index("max")).mean(axis=0))

    before = baseline = shares(controller.draw(400)).mean()
    for _ in range(300):
        drawn = controller.draw(10)
        rewards = shares(drawn)
        advantage = rewards - baseline + PUBLISHED.entropy * drawn.entropy
        controller.descend(controller.gradient(drawn, -advantage / 10))
        baseline += 0.05 * (rewards.mean() - baseline)
    assert shares(controller.draw(400)).mean() >= 2 * before


def test_a_controller_goes_on_where_it_was_put_away() -> None:
    def walk(controller: Controller, steps: int) -> list[float]:
        out = []
        for _ in range(steps):
            drawn = controller.draw(4)
            controller.descend(controller.gradient(drawn, np.full(4, -0.25)))
            out.append(float(drawn.log_prob.sum()))
        return out

    one = make(Space(nodes=3), seed=4)
    walk(one, 3)
    state = one.state()
    rest = walk(one, 3)
    two = make(Space(nodes=3), seed=4)
    two.restore(state)
    assert walk(two, 3) == rest
    with pytest.raises(LossError, match="does not fit"):
        make(Space(nodes=3), settings=assign(preset(""), "controller.size=8").controller).restore(state)


def test_the_learners_steps_are_those_of_pytorchs_adam() -> None:
    ours, theirs = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    settings = ControllerSettings(lr=0.1, beta1=0.7, beta2=0.9, eps=1e-3, clip_norm=0.5)
    learner = Learner(ours, settings, 0)
    adam = torch.optim.Adam(theirs.parameters(), lr=0.1, betas=(0.7, 0.9), eps=1e-3)
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    for _ in range(4):
        learner.step(ours(x).square().sum())
        adam.zero_grad()
        theirs(x).square().sum().backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        adam.step()
    assert torch.allclose(ours.weight, theirs.weight, atol=1e-6)

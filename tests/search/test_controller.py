"""The published controller: what it draws, what it counts, and that it learns."""

from __future__ import annotations

import pytest
import torch

from lossdsl.search.controller import Controller
from lossdsl.search.learner import Learner
from lossdsl.search.settings import ControllerSettings, preset
from lossdsl.search.space import INPUTS, Space

PUBLISHED = preset("autolossgen").controller


def make(space: Space, seed: int = 0, settings: ControllerSettings = PUBLISHED) -> Controller:
    return Controller(space, settings, generator=torch.Generator().manual_seed(seed))


def test_operands_come_from_earlier_nodes_and_differ() -> None:
    space = Space(nodes=6)
    for graph in make(space).draw(64, torch.Generator().manual_seed(1)).graphs:
        assert len(graph.steps) == 6
        for k, step in enumerate(graph.steps):
            assert 0 <= step.first < len(INPUTS) + k
            if space.arity(step.op) == 2:
                assert 0 <= step.second < len(INPUTS) + k and step.second != step.first
            else:
                assert step.second == -1


def test_the_same_generator_draws_the_same() -> None:
    controller = make(Space())
    one, two = (controller.draw(8, torch.Generator().manual_seed(5)) for _ in range(2))
    assert one.graphs == two.graphs
    assert torch.equal(one.log_prob, two.log_prob)


def test_the_log_probability_counts_the_unused_draws_and_does_not_renormalise() -> None:
    # With all weights 0 every choice is uniform, so the sums can be written down: an operator for each input and node,
    # one operand each, and for two operands the second from the *full* distribution.
    space = Space(nodes=3)
    controller = make(space)
    with torch.no_grad():
        for parameter in controller.parameters():
            parameter.zero_()
    drawn = controller.draw(50, torch.Generator().manual_seed(2))
    operators = torch.log(torch.tensor(float(len(space.operators))))
    for graph, got, entropy in zip(drawn.graphs, drawn.log_prob, drawn.entropy):
        expected = -(len(INPUTS) + 3) * operators
        total = (len(INPUTS) + 3) * operators
        for k, step in enumerate(graph.steps):
            nodes = torch.log(torch.tensor(float(len(INPUTS) + k)))
            expected = expected - nodes * space.arity(step.op)
            total = total + nodes
        assert got.item() == pytest.approx(expected.item(), rel=1e-5)
        assert entropy.item() == pytest.approx(total.item(), rel=1e-5)


@pytest.mark.parametrize("operator", [True, False])
@pytest.mark.parametrize("operand", [True, False])
def test_greedy_modes_take_the_most_probable(operator: bool, operand: bool) -> None:
    settings = ControllerSettings(tanh_constant=1.5, sample_operator=operator, sample_operand=operand)
    controller = make(Space(), settings=settings)
    drawn = controller.draw(6, torch.Generator().manual_seed(3))
    kinds = {tuple(step.op for step in graph.steps) for graph in drawn.graphs}
    assert (len(kinds) > 1) is operator
    if not operator and not operand:
        assert len(set(drawn.graphs)) == 1
        forced = controller.draw(6, torch.Generator().manual_seed(3), sampling=True)
        assert len(set(forced.graphs)) > 1
    assert torch.isfinite(drawn.log_prob).all()


def test_it_learns_what_is_rewarded() -> None:
    space = Space(nodes=4)
    settings = PUBLISHED
    learner = Learner(make(space), settings, 1)
    controller = learner.network
    assert isinstance(controller, Controller)

    def mean_share(count: int) -> float:
        with torch.no_grad():
            graphs = controller.draw(count, torch.Generator().manual_seed(9)).graphs
        return sum(space.share(graph, "max") for graph in graphs) / count

    before = mean_share(400)
    baseline = before
    for _ in range(300):
        drawn = controller.draw(10, learner.generator)
        rewards = [space.share(graph, "max") for graph in drawn.graphs]
        advantage = torch.tensor([reward - baseline for reward in rewards])
        bonus = settings.entropy * drawn.entropy.detach()
        learner.step(-((advantage + bonus) * drawn.log_prob).mean())
        baseline += 0.05 * (sum(rewards) / len(rewards) - baseline)
        if baseline > 3 * before:
            break
    assert mean_share(400) >= 2 * before


def test_the_steps_are_those_of_pytorchs_adam() -> None:
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


def test_a_learner_goes_on_where_it_was_put_away() -> None:
    space = Space(nodes=3)

    def walk(learner: Learner, steps: int) -> list[float]:
        out = []
        for _ in range(steps):
            assert isinstance(learner.network, Controller)
            drawn = learner.network.draw(4, learner.generator)
            learner.step(-drawn.log_prob.mean())
            out.append(drawn.log_prob.sum().item())
        return out

    one = Learner(make(space), PUBLISHED, 4)
    walk(one, 3)
    state = one.state()
    rest = walk(one, 3)
    two = Learner(make(space, seed=77), PUBLISHED, 5)
    two.restore(state)
    assert walk(two, 3) == rest

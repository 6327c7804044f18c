r"""LaTeX: what is read, what is refused because two readings are common, and in which words."""

from __future__ import annotations

import pytest

from lossdsl.errors import LossSyntaxError
from lossdsl.grammar.dialects import read
from lossdsl.grammar.printer import show

READ = {
    # names
    r"\hat{y} + \hat y + \widehat{y} + \hat{p} + p": "pred + pred + pred + pred + pred",
    r"\mathrm{pred} - \text{label} + \operatorname{score}": "pred - label + score",
    r"\hat{s} + \hat{x}_{ui}": "score + score",
    r"y_i + \hat{y}_i + y^{(i)}": "label + pred + label",
    r"y_i \log\hat{y}_i": "label*log(pred)",
    r"y^{(i)} s^{(i)}": "label*score",
    r"y_{true} - y_{pred}": "label - pred",
    r"\gamma_i p where gamma = 2": "gamma*pred where gamma = 2",
    r"f(x) y": "score*label",
    r"f(x) y where f = 2, x = 3": "f*x*label where f = 2, x = 3",
    r"-\log(p_t)": "-log(if(label >= 1, pred, 1-pred))",
    r"\varepsilon p where epsilon = 1": "epsilon*pred where epsilon = 1",
    r"p^{\gamma_{pos}} where gamma_{pos} = 2": "pred^gamma_pos where gamma_pos = 2",
    r"p^{\gamma_+} \text{where } \gamma_plus = 2": "pred^gamma_plus where gamma_plus = 2",
    r"\lambda_1 p \quad \text{where } \lambda_1 \in [0, 1]": "lambda_1*pred where lambda_1 in [0, 1]",
    # a range as condition
    r"\begin{cases} 1 - s & s \le 0 \\ (1-s)^2 & 0 < s < 1 \\ 0 & \text{otherwise} \end{cases}": (
        "if(score <= 0, 1-score, if(0 < score, if(score < 1, (1-score)^2, 0), 0))"
    ),
    r"\mathbb{1}[1 \ge s > 0]": "if(1 >= score, if(score > 0, 1, 0), 0)",
    # values of parameters at the end, as papers write them
    r"-\alpha_t (1 - p)^\gamma \log(p),\, \gamma = 2, \alpha_t = 0.25.": (
        "-alpha_t*(1-pred)^gamma*log(pred) where gamma = 2, alpha_t = 0.25"
    ),
    r"$p^{\gamma_p},\quad \gamma_{p} = 1/3$": "pred^gamma_p where gamma_p = 1/3",
    r"\tau p \text{ with } \tau = 1e-3": "tau*pred where tau = 0.001",
    # products without a sign, division, powers
    r"2y-1": "2*label - 1",
    r"yp": "label*pred",
    r"y\,p\cdot s \times 2": "label*pred*score*2",
    r"(1-y)(1-p)": "(1-label)*(1-pred)",
    r"-y p": "-label*pred",
    r"-(y p)": "-(label*pred)",
    r"-p^2": "-pred^2",
    r"1/2(y-p)^2": "1/2*(label-pred)^2",
    r"\frac12 p + \dfrac{y}{p} + \frac yp": "1/2*pred + label/pred + label/pred",
    r"\sqrt{p} + \sqrt[3]{p}": "sqrt(pred) + pred^(1/3)",
    r"e^{-s} + \exp(-s) + \exp{-s} + \mathrm{exp}(s)": "exp(-score) + exp(-score) + exp(-score) + exp(score)",
    r"e^s where e = 2": "e^score where e = 2",
    r"|y-p| + \left|y-p\right| + \lvert y-p \rvert": "abs(label-pred) + abs(label-pred) + abs(label-pred)",
    r"||p| - 1|": "abs(abs(pred) - 1)",
    r"2|p||y|": "2*abs(pred)*abs(label)",
    r"\lVert y - p \rVert_2^2": "abs(label-pred)^2",
    # functions
    r"\log p": "log(pred)",
    r"\ln(1-p)": "log(1-pred)",
    r"\log_2 p + \log_{10}(p)": "log(pred)/log(2) + log(pred)/log(10)",
    r"\log^2 p": "log(pred)^2",
    r"\log \sigma(s)": "log(sigmoid(score))",
    r"\log p \log y": "log(pred)*log(label)",
    r"y\log p+(1-y)\log(1-p)": "label*log(pred) + (1-label)*log(1-pred)",
    r"\log p^2": "log(pred^2)",
    r"\log(p)^2": "log(pred)^2",
    r"\log \frac{p}{1-p}": "log(pred/(1-pred))",
    r"\sigma\left(-s\right)": "sigmoid(-score)",
    r"\sigma s where sigma = 2": "sigma*score where sigma = 2",
    r"\max(0, 1-s) + \max\{0, s\} + \min\left(p, y, 1\right)": "max(0, 1-score) + max(0, score) + min(pred, label, 1)",
    r"[1-s]_+ + \left(s\right)_{+}^2": "relu(1-score) + relu(score)^2",
    r"\operatorname{ReLU}(s) + \mathrm{softplus}(-s) + \operatorname{clamp}(p, 0, 1)": (
        "relu(score) + softplus(-score) + clamp(pred, 0, 1)"
    ),
    r"\cosh(s)": "(exp(score) + exp(-score))/2",
    # conditions
    r"\begin{cases} p & \text{if } y = 1 \\ 1-p & \text{otherwise} \end{cases}": "if(label >= 1, pred, 1-pred)",
    r"\begin{cases} p, & y = 1, \\ 1-p, & y = 0. \end{cases}": "if(label >= 1, pred, 1-pred)",
    r"\begin{cases} 1 & s < -1 \\ 2 & s < 1 \\ 3 & \text{else} \end{cases}": "if(score < -1, 1, if(score < 1, 2, 3))",
    r"\left\{ \begin{array}{ll} p & s \le 0 \\ y & s > 0 \end{array} \right.": "if(score <= 0, pred, label)",
    r"\mathbb{1}[y = 1] \log p + \mathbf{1}_{s > 0} p": "if(label >= 1, 1, 0)*log(pred) + if(score > 0, 1, 0)*pred",
    r"\begin{cases} p & \text{if $y = 1$} \\ 1-p & \text{otherwise} \end{cases}": "if(label >= 1, pred, 1-pred)",
    # around the whole
    r"\frac{\sum_i (y_i - \hat{y}_i)^2}{N} + \sum_i p_i y_i / n": "(label-pred)^2 + pred*label",
    r"\begin{align*} L &= y p \\ &\quad + s \end{align*}": "label*pred + score",
    r"$$ p $$": "pred",
    r"\[ p, \]": "pred",
    r"\mathcal{L}_{\text{my loss}}(y, \hat{y}) = p": "pred",
    r"\ell &= p": "pred",
    r"\begin{equation} L := p \label{eq:1} \end{equation}": "pred",
    r"\frac{1}{N} \sum_{i=1}^{N} y_i p_i": "label*pred",
    r"-\frac{1}{|D|}\sum_{(u,i) \in D} \log \hat{y}_{ui}": "-log(pred)",
    r"\mathbb{E}\left[ (y - \hat{y})^2 \right]": "(label-pred)^2",
    # pairs
    r"s_i - s_j": "score",
    r"1 - s^+ + s^-": "1 - score",
    r"\sigma(\hat{y}_{uj} - \hat{y}_{ui})": "sigmoid(-score)",
    r"\hat{r}_{pos} - \hat{r}_{neg}": "score",
}


@pytest.mark.parametrize("text", READ)
def test_is_read(text: str) -> None:
    assert show(read(text, "latex").tree) == READ[text]


PAIRS = {
    r"-\log\sigma(f(x_i) - f(x_j))": "-log(sigmoid(score))",
    r"\max(0, 1 - f(x^+) + f(x^-))": "max(0, 1-score)",
    r"\max(0, 1 - s(x_i) + s(x_j))": "max(0, 1-score)",
    r"f_\theta(x_{ui})-f_\theta(x_{uj})": "score",
    r"f_i(x) - f_j(x)": "score",
    r"\max(0, 1 - f_1(x) + f_2(x))": "max(0, 1-score)",
}


@pytest.mark.parametrize("text", PAIRS)
def test_two_calls_of_the_model_are_a_pair(text: str) -> None:
    found = read(text, "latex")
    assert found.pairwise and show(found.tree) == PAIRS[text]


@pytest.mark.parametrize("text", [r"\sigma(f(x))", r"\sigma(f(x_i))", r"\sigma(f_\theta(x_t))", r"\sigma(f(x_t))"])
def test_one_call_of_the_model_is_a_score(text: str) -> None:
    found = read(text, "latex")
    assert not found.pairwise and show(found.tree) == "sigmoid(score)"
    assert any(note.endswith("is read as score") for note in found.notes)


def test_two_calls_that_are_no_pair_are_asked_about() -> None:
    for text in (r"f(x_a) - f(x_b)", r"\max(0, 1 - f(x) + f(x^-))", r"f(x_i) - f(x)", r"f_\theta(x) - f_\phi(x)"):
        with pytest.raises(LossSyntaxError, match="the indices of `f` do not say which prediction is meant"):
            read(text, "latex")
    with pytest.raises(LossSyntaxError, match="whether the power `p` is the prediction is not clear"):
        read(r"|y - \hat{y}|^p", "latex")
    assert show(read(r"|y - \hat{y}|^p where p = 3", "latex").tree) == "abs(label-pred)^p where p = 3"


def test_a_prediction_under_a_sigmoid_is_told() -> None:
    note = "pred is read as a probability here; if yours is a logit, call it score"
    for text in (r"-y\log\sigma(\hat{y})", r"\frac{1}{1+\exp(-\hat{y})}"):
        assert note in read(text, "latex").notes
    assert note not in read(r"-y\log\hat{y}", "latex").notes


def test_what_sympy_would_erase_stays() -> None:
    assert show(read(r"\frac{p}{p} + 0 \cdot \log p", "latex").tree) == "pred/pred + 0*log(pred)"


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (r"\mathcal{L} = p", r"`\mathcal{L} =` is dropped"),
        (r"\sum_i p_i", "the sum over the batch is dropped: a formula is the loss of one prediction"),
        (r"y_i p", "the index of `y_i` is dropped"),
        (r"p_t", "p_t is read as p where label is 1, as 1-p where it is 0"),
        (r"\hat{x}_{ui} - \hat{x}_{uj}", r"\hat{x}_{ui} - \hat{x}_{uj} is read as score, the loss as pairwise"),
        (r"\log p \cdot y", r"`\log` is applied to what stands right behind it, not to the whole product"),
        (r"\log(p)^2", r"`\log(…)^n` is read as (\log(…))^n"),
    ],
)
def test_says_what_it_made_of_it(text: str, note: str) -> None:
    assert note in read(text, "latex").notes


# Each block is a whole message; its second line is the text that earns it.
MISTAKES = r"""
1:8: LD306 it is not clear how far `\log` reaches
  \log p (1-p)
         ^
  hint: write \log(a b) or \log(a) b

1:4: LD306 it is not clear what is divided by what
  p/2y
     ^
  hint: write \frac{a}{b} c for (a/b)*c, \frac{a}{b c} for a/(b*c)

1:3: LD306 TeX raises the first digit alone
  p^10
    ^^
  hint: write ^{10}

1:6: LD306 a second exponent stands on the first
  p^{2}^{3}
       ^
  hint: x^{a^{b}} or {x^{a}}^{b}

1:1: LD306 an inverse function or a reciprocal?
  \log^{-1} p
  ^^^^
  hint: write \frac{1}{f(x)}

1:1: LD306 the indices of `y` do not say which prediction is meant
  y_i - y_j
  ^^^
  hint: one index for a single prediction; i and j, or + and -, for a pair

1:1: LD306 what the index of `p_m` says is not clear
  p_m^\gamma \log(1 - p_m) where gamma = 2
  ^^^
  hint: an index such as i is dropped; write out what any other stands for

1:13: LD306 what the index of `s_{pos}` says is not clear
  -\log\sigma(s_{pos})
              ^^^^^^^
  hint: an index such as i is dropped; write out what any other stands for

1:4: LD003 the name `gamma_pos` has no value
  p^{\gamma_{pos}} + p^\gamma where gamma = 2
     ^^^^^^^^^^^^
  hint: did you mean `gamma`?

1:2: LD306 a sum over c runs over classes, not over predictions
  -\sum_{c=1}^{C} y_c \log p_c
   ^^^^^^^^^^
  hint: write the two classes out: -y \log p - (1-y) \log(1-p)

1:36: LD306 the cases may leave something out
  \begin{cases} p & p > 0.5 \\ 1-p & p < 0.2 \end{cases}
                                     ^^^^^^^
  hint: end with & \text{otherwise}

1:1: LD305 `\lgo` has no meaning in a formula
  \lgo p
  ^^^^
  hint: did you mean `\log`?

1:1: LD305 `\sin` has no meaning in a formula
  \sin p
  ^^^^
  hint: there are no trigonometric functions; `lossdsl explain LD002` lists the functions

1:1: LD305 `\begin{matrix}` has no meaning in a formula
  \begin{matrix} 1 \end{matrix}
  ^^^^^^^^^^^^^^
  hint: of environments, cases is read

1:1: LD305 `\text{hello world}` has no meaning in a formula
  \text{hello world} p
  ^^^^^^^^^^^^^^^^^^
  hint: `lossdsl explain LD305` says what is read

1:1: LD305 `\bar` has no meaning in a formula
  \bar{y} - y
  ^^^^
  hint: `lossdsl explain LD305` says what is read

1:6: LD305 a hat on `q` has no meaning in a formula
  \hat{q}
       ^
  hint: the prediction is \hat{y}

1:1: LD002 unknown function `sigmod`
  \mathrm{sigmod}(s)
  ^^^^^^^^^^^^^^^
  hint: did you mean `sigmoid`?

1:1: LD003 the name `alpha` has no value
  \alpha p
  ^^^^^^
  hint: a parameter needs one: add `where alpha = 1`

1:7: LD003 the name `x` has no value
  \frac{x}{x}
        ^
  hint: say which it is: pred for a probability, score for a logit

1:9: LD006 `{` is never closed
  \frac{p}{
          ^
  hint: add `}`

1:10: LD007 `\left(` is closed by `\right]`
  \left(y-p\right]
           ^^^^^^^
  hint: close it with `\right)`

1:1: LD006 `|` is never closed
  |y-p
  ^
  hint: add `|`

1:1: LD004 an argument of `\frac` is missing
  \frac{p}
  ^^^^^
  hint: \frac{a}{b}

1:3: LD004 an operand is missing at the end
  p \cdot
    ^^^^^
  hint: `\cdot` needs something on its right

1:1: LD015 the function `\log` has no argument
  \log
  ^^^^
  hint: write \log(x)

1:1: LD008 `max` takes 2 or more arguments, not 1
  \max(p)
  ^^^^^^^
  hint: write `max(a, b)`

1:3: LD013 a comparison stands outside of cases
  p > 0
    ^
  hint: \begin{cases} a & x > 0 \\ b & \text{otherwise} \end{cases}

1:3: LD011 `=` cannot stand here
  y = 1
    ^
  hint: a condition belongs into cases: \begin{cases} a & y = 1 \\ b & \text{otherwise} \end{cases}

1:1: LD302 a sum over the batch stands inside the formula
  \sum_i y_i \log p_i + (1-y_i)\log(1-p_i)
  ^^^^^^^^^^^^^^^^^^^
  hint: a formula is the loss of one prediction: only a mean or a sum around the whole can be dropped

1:1: LD303 `s_i` stands without its partner
  s_i s_j
  ^^^
  hint: a pair is seen by the difference of its scores, as in s_i - s_j; a single item by score and label

1:46: LD303 `\hat r_{s,j}` stands without its partner
  \sigma(\hat r_{s,j} - \hat r_{s,i}) + \sigma(\hat r_{s,j}^2)
                                               ^^^^^^^^^^^^
  hint: a pair is seen by the difference of its scores, as in s_i - s_j; a single item by score and label

1:25: LD304 these comparisons cannot be chained
  \begin{cases} s & 0 < s > 1 \\ 0 & \text{otherwise} \end{cases}
                          ^
  hint: as in 0 < x < 1, no more

1:1: LD305 `\int` has no meaning in a formula
  \int_0^1 s
  ^^^^
  hint: a formula is the loss of one prediction, made of the functions that `lossdsl explain LD002` lists

1:13: LD305 `\mathcal{L}` is not written out
  (1-p) \cdot \mathcal{L}_{BCE}(p, y)
              ^^^^^^^^^^^
  hint: write the formula that it stands for

1:5: LD004 `,` does not belong here
  -f(u,i)
      ^
  hint: only \max, \min and the like take several; what a model gives, such as f(u, i), is s_{ui}

1:4: LD015 the function `\sigma` has no argument
  |y-\sigma|^2
     ^^^^^^
  hint: write \sigma(x); write \hat{y} where it stands for the prediction itself

1:1: LD003 the name `delta` has no value
  \delta (1-p_t)^{1-\gamma} \log(p_t)
  ^^^^^^
  hint: parameters need values: add `where delta = 1, gamma = 1`

1:27: LD017 behind the value `1` a comma or the end is due, not `2`
  \alpha p where \alpha = 1 2
                            ^
  hint: `where` takes numbers such as -0.5, 1e-6 and 1/3, nothing computed
"""


@pytest.mark.parametrize("message", MISTAKES.strip("\n").split("\n\n"))
def test_mistakes(message: str) -> None:
    with pytest.raises(LossSyntaxError) as caught:
        read(message.splitlines()[1][2:], "latex")
    assert str(caught.value) == message


def test_deep_and_long_input_is_refused_quickly() -> None:
    deep = ["{" * 5000, "(" * 70 + "p" + ")" * 70, r"\frac{" * 900 + "p", "|" * 3000]
    for text in [*deep, r"\log" * 1500, r"\hat" * 900, "p+" * 4000]:
        with pytest.raises(LossSyntaxError):
            read(text, "latex")


@pytest.mark.parametrize(
    "text",
    [r"-(1-\hat{y})^\gamma\log \hat{y}, \gamma=a", r"-\log p, p=1", r"-\log p = 0", r"|p-y| = 2", "p(1-p) = 2", "2=p"],
)
def test_a_formula_on_the_left_is_never_dropped(text: str) -> None:
    with pytest.raises(LossSyntaxError, match="the formula stands on the left"):
        read(text, "latex")


SHARES = {
    r"-\log \frac{e^{s_i}}{e^{s_i} + e^{s_j}}": "-log(sigmoid(score))",
    r"-\log \frac{\exp(r_w)}{\exp(r_l) + \exp(r_w)}": "-log(sigmoid(score))",
    r"-\log \frac{e^{s_j}}{e^{s_i} + e^{s_j}}": "-log(sigmoid(-score))",
    r"-\log \frac{\exp(s_{ui}/\tau)}{\exp(s_{ui}/\tau) + \exp(s_{uj}/\tau)}, \tau = 0.1": (
        "-log(sigmoid(score/tau)) where tau = 0.1"
    ),
}


@pytest.mark.parametrize("text", SHARES)
def test_the_share_of_an_exponential_is_a_sigmoid(text: str) -> None:
    found = read(text, "latex")
    assert show(found.tree) == SHARES[text]
    assert found.pairwise
    assert "exp(a)/(exp(a) + exp(b)) is read as sigmoid(a - b), which is the same" in found.notes


@pytest.mark.parametrize(
    "text",
    [
        r"\frac{e^{s_i/2}}{e^{s_i/2} + e^{s_j}}",
        r"\frac{e^{s_i + 1}}{e^{s_i + 1} + e^{s_j + 1}}",
        r"\frac{e^{s_i^2}}{e^{s_i^2} + e^{s_j^2}}",
        r"\frac{e^{s_i}}{e^{s_i} + e^{s_j} + 1}",
        r"\frac{e^{2/s_i}}{e^{2/s_i} + e^{2/s_j}}",
        r"\frac{e^{s_i s_i}}{e^{s_i s_i} + e^{s_j s_j}}",
    ],
)
def test_other_shares_are_refused(text: str) -> None:
    with pytest.raises(LossSyntaxError, match="LD303"):
        read(text, "latex")


def test_sigma_in_an_exponent_is_told() -> None:
    note = r"\sigma is read as the sigmoid; where it is a factor, add `where \sigma = 1`"
    assert note in read(r"\log(1 + e^{-\sigma (s_i - s_j)})", "latex").notes
    found = read(r"\log(1 + e^{-\sigma (s_i - s_j)}), \sigma = 1", "latex")
    assert note not in found.notes
    assert show(found.tree) == "log(1 + exp(-sigma*score)) where sigma = 1"
    assert note not in read(r"-\log\sigma(s_i - s_j)", "latex").notes

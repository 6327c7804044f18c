"""The codes of Python, LaTeX and AutoLossGen texts that cannot stand for a formula: LD3xx."""

from __future__ import annotations

from lossdsl.catalogue import Entry

_POINT = "a formula is the loss of one prediction; training takes the mean over the batch, with weights if given."
_GUESS = "guessing which reading was meant would train another loss than the one on the page."

ENTRIES = (
    Entry(
        "LD301",
        "not the syntax of AutoLossGen's log",
        "The log prints a graph of operators, each in brackets of its own: (a + b), (a * b), max(a , b), min(a , "
        "b), 1 / (x), (x) ^ 2, - (x), Log (x), Sqrt (x), Sigmoid (x), Tanh (x), ReLU (x), e ^ (x), |x|. There is "
        "no subtraction and no division of two.",
        "as trained, every operator's result is clamped: how a text splits into operators changes the loss.",
        "(pred - label)",
        "(pred + - (label))",
        dialect="autolossgen",
    ),
    Entry(
        "LD302",
        "a mean or a sum over the batch stands inside the formula",
        "A mean or a sum around the whole is dropped with a note, also negated, scaled by a constant or added to "
        "another one. Under any other operator it makes a loss of the whole batch. PyTorch's losses take the mean"
        " unless reduction='none'.",
        _POINT,
        "torch.exp(-F.binary_cross_entropy(pred, label))",
        "torch.exp(-F.binary_cross_entropy(pred, label, reduction='none'))",
        dialect="python",
    ),
    Entry(
        "LD303",
        "a member of a pair stands without its partner",
        "Names such as pos_score and neg_score, pos and neg, x1 and x2, or s_i and s_j in LaTeX, are the scores "
        "of the two items of a pair. Their difference is read as score, in a sum of other things too (margin - "
        "pos + neg), and exp(pos)/(exp(pos) + exp(neg)) as its sigmoid; one of them alone has no meaning.",
        "a pairwise loss depends on the difference alone; one score without the other makes none.",
        "F.relu(1 - pos_score)",
        "F.relu(1 - (pos_score - neg_score))",
        dialect="python",
    ),
    Entry(
        "LD304",
        "something of Python that has no meaning in a formula",
        "Read are numbers, names, + - * / **, comparisons, a if c else b, lambda and def in front, assignments, "
        "and the functions of PyTorch, NumPy, TensorFlow, Keras, JAX and math that have one value for one "
        "prediction. Not read: indexing, tuples, strings, and/or/not, //, %, @, equations other than label == 0 "
        "and label == 1, softmax, detach.",
        "the text is never run, so that what has no meaning for one prediction has none at all.",
        "pred[:, 0]",
        "pred",
        dialect="python",
    ),
    Entry(
        "LD305",
        "a LaTeX command that has no meaning in a formula",
        r"Read are \frac \sqrt \log \ln \exp \tanh \cosh \sinh \max \min \sigma, |x|, [x]_+, e^{x}, \cdot \times, "
        r"Greek letters, \hat{y}, \mathrm{name}, \operatorname{softplus} and all other functions of lossdsl by "
        r"name, cases and indicators, \sum and \mathbb{E} around the whole, and brackets of every size.",
        "skipping what is not understood would train another loss than the one on the page.",
        r"\arctan s",
        r"\tanh s",
        dialect="latex",
    ),
    Entry(
        "LD306",
        "a text in LaTeX has two common readings",
        r"\log a b may be log(a*b) or log(a)*b, a/b c may be (a/b)*c or a/(b*c), p^10 is p^1 0 to TeX, cases need one "
        r"that takes the rest, and an index that does not count predictions, as in p_m, means something. Brackets, "
        r"\frac, \text{otherwise} and writing it out say which is meant.",
        _GUESS,
        r"-\log p (1-y)",
        r"-\log(p) (1-y)",
        dialect="latex",
    ),
)

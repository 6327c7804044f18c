"""The codes of formulas that cannot be read: LD0xx."""

from __future__ import annotations

from lossdsl.catalogue import Entry
from lossdsl.grammar.limits import (
    MAX_BRACKETS,
    MAX_CHARACTERS,
    MAX_DEGREE,
    MAX_DEPTH,
    MAX_DISTINCT,
    MAX_EXPONENT,
    MAX_NODES,
)
from lossdsl.grammar.losses import loss_names
from lossdsl.grammar.naming import FUNCTIONS
from lossdsl.grammar.numerals import MAX_DIGITS, MAX_POWER

_UNREADABLE = "nothing can be checked or trained before the formula can be read in one way only."
_GUESS = "guessing what was meant would train another loss than the one on the page."
_LIMIT = "what comes after reading (proof, compiling, printing) answers in bounded time only for bounded formulas."
_BCE = "-(label*log(pred) + (1-label)*log(1-pred))"
_LOSSES = ", ".join(loss_names())

ENTRIES = (
    Entry("LD001", "the formula is empty", "There is no formula, or blanks only.", _UNREADABLE, "", "-log(pred)"),
    Entry(
        "LD002",
        "an unknown function",
        f"The functions are: {' '.join(FUNCTIONS)}. A name in front of a bracket is always a function; there is no "
        "multiplication without a sign.",
        _UNREADABLE,
        "-log(sigmod(score))",
        "-log(sigmoid(score))",
    ),
    Entry(
        "LD003",
        "a name has no value",
        "The variables are pred, label and score (also p, y_hat, y_pred, prob; y, y_true, target; s, logit). Any "
        "other name is a parameter and needs a value, or for checking a range, behind `where`. There are no built-in "
        "constants: e and pi are ordinary names.",
        "the value of a parameter decides which way a loss pushes.",
        "-label*(1-pred)^gamma*log(pred)",
        "-label*(1-pred)^gamma*log(pred) where gamma = 2",
    ),
    Entry(
        "LD004",
        "a value is missing",
        "An operator, a bracket or a comma stands where a value is due, or the formula ends there.",
        _GUESS,
        "label*log(pred) +",
        "label*log(pred) + 1",
    ),
    Entry(
        "LD005",
        "an operator is missing",
        "Two values stand side by side. Multiplication is always written: 2*pred, (1-pred)*(1-label).",
        _GUESS,
        "(1-pred)(1-label)",
        "(1-pred)*(1-label)",
    ),
    Entry(
        "LD006",
        "a bracket is not closed",
        "A `(` or `|` has no partner where the formula, or the bracket around it, ends.",
        _GUESS,
        "-(label*log(pred)",
        "-(label*log(pred))",
    ),
    Entry(
        "LD007",
        "a bracket closes nothing",
        "A `)` stands where no bracket is open.",
        _GUESS,
        "-log(pred))",
        "-log(pred)",
    ),
    Entry(
        "LD008",
        "a wrong number of arguments",
        "min and max take two or more; clamp(x, low, high) and if(a < b, x, y) three; plog, pinv and psqrt one and, "
        "if wanted, an epsilon; the others one.",
        _GUESS,
        "clamp(pred, 0.1)",
        "clamp(pred, 0.1, 0.9)",
    ),
    Entry(
        "LD009",
        "a character that does not belong in a formula",
        "A formula is made of names, numbers, + - * / ^ ( ) | , and < <= > >= in the condition of an `if`.",
        _UNREADABLE,
        "pred[0] - label",
        "pred - label",
    ),
    Entry(
        "LD010",
        "a character that only looks right",
        "A letter of another alphabet that looks like a Latin one (the Cyrillic р for p), or a typographic sign (−). "
        "Such characters come in by copying from papers and web pages.",
        "two names that look the same would be two different names.",
        "(label − рred)^2",
        "(label - pred)^2",
    ),
    Entry(
        "LD011",
        "an assignment or ==",
        "A formula is one expression. `=` stands behind `where` only, to give a parameter its value. There is no `==`: "
        "whether the label is 1 is asked by `label > 0.5`. Python code is read with --dialect python.",
        _UNREADABLE,
        "loss = -log(pred)",
        "-log(pred)",
    ),
    Entry(
        "LD012",
        "attribute access",
        "A dot behind a name, as in torch.log or x.pow. Formulas know no objects; Python code is read with "
        "--dialect python.",
        _UNREADABLE,
        "-torch.log(pred)",
        "-log(pred)",
    ),
    Entry(
        "LD013",
        "a comparison outside a condition",
        "A comparison is true or false, not a number. It stands as the first argument of `if`, and one at a time.",
        "a loss needs a slope, and true and false have none.",
        "label*(pred > 0.5)",
        "label*if(pred > 0.5, 1, 0)",
    ),
    Entry(
        "LD014",
        "a condition that is no comparison",
        "The first argument of `if` compares two values with one of < <= > >=.",
        _GUESS,
        "if(label, 1-pred, pred)",
        "if(label > 0.5, 1-pred, pred)",
    ),
    Entry(
        "LD015",
        "a function without its arguments",
        "The name of a function stands alone. Names of functions cannot be used as parameters.",
        _UNREADABLE,
        "-label*log pred",
        "-label*log(pred)",
    ),
    Entry(
        "LD016",
        "a named loss inside an expression",
        f"The named losses ({_LOSSES}) are whole formulas. They stand alone, with changed parameters behind `where`.",
        "a named loss brings its own parameters, which would meet those of the formula around it.",
        "2*focal",
        "focal where gamma = 1",
    ),
    Entry(
        "LD017",
        "a malformed `where`",
        "Behind `where` stand `name = number` or `name in [low, high]`, with commas between. A number may have a sign, "
        "or be a ratio: -0.5, 1e-6, 1/3. Nothing is computed there.",
        _UNREADABLE,
        "pred^gamma where gamma",
        "pred^gamma where gamma = 2",
    ),
    Entry(
        "LD018",
        "`where` names a parameter that does not occur",
        "`where` gives a value to a name that the formula, or the named loss, does not have. Mostly a slip of the pen.",
        "the parameter that was meant would keep its old value, and nobody would notice.",
        "focal where gama = 1",
        "focal where gamma = 1",
    ),
    Entry(
        "LD019",
        "`where` names a variable or a function",
        "pred, label, score and the names of functions cannot be given values.",
        "a loss whose pred is fixed trains nothing.",
        "-log(pred) where pred = 0.5",
        "-log(pred)",
    ),
    Entry(
        "LD020",
        "a malformed number",
        "Numbers are written as 2, 0.5, .5 and 1e-6.",
        _GUESS,
        "1.2.3*pred",
        "1.23*pred",
    ),
    Entry(
        "LD022",
        "`where` gives a value twice",
        "A parameter has one value, or one range.",
        _GUESS,
        "pred^g where g = 1, g = 2",
        "pred^g where g = 1",
    ),
    Entry(
        "LD023",
        "an epsilon that is not constant",
        "The second argument of plog, pinv and psqrt is a number, or made of numbers and parameters.",
        "the epsilon keeps the argument off zero everywhere; one that moves with pred protects nothing.",
        "plog(pred, label)",
        "plog(pred, 1e-6)",
    ),
    Entry(
        "LD024",
        "an empty range",
        "In `name in [low, high]` the smaller bound comes first.",
        _UNREADABLE,
        "pred^g where g in [2, 1]",
        "pred^g where g in [1, 2]",
    ),
    Entry(
        "LD025",
        "a ratio with zero below",
        "A constant of `where` is divided by zero.",
        _UNREADABLE,
        "pred*g where g = 1/0",
        "pred*g where g = 1/2",
    ),
    Entry(
        "LD030",
        "too many characters",
        f"A formula has at most {MAX_CHARACTERS:,} characters.",
        _LIMIT,
        "pred " + " " * MAX_CHARACTERS,
        "pred",
    ),
    Entry(
        "LD031",
        "brackets nested too deep",
        f"Brackets nest at most {MAX_BRACKETS} deep.",
        _LIMIT,
        "(" * (MAX_BRACKETS + 1) + "pred" + ")" * (MAX_BRACKETS + 1),
        "pred",
    ),
    Entry(
        "LD032",
        "too many parts",
        f"A formula has at most {MAX_NODES:,} parts (names, numbers and operators), written out.",
        _LIMIT,
        "max(" + ", ".join(["pred"] * MAX_NODES) + ")",
        "max(pred, label)",
    ),
    Entry(
        "LD033",
        "too many different parts",
        f"A formula has at most {MAX_DISTINCT} parts that differ from each other.",
        _LIMIT,
        "max(" + ", ".join(map(str, range(MAX_DISTINCT))) + ")",
        "max(1, 2)",
    ),
    Entry(
        "LD034",
        "a number with too many digits",
        f"A number has at most {MAX_DIGITS} significant digits. A double holds 17.",
        _LIMIT,
        "pred*0." + "3" * (MAX_DIGITS + 1),
        "pred*0.3333333333333333",
    ),
    Entry(
        "LD035",
        "a number too large or too small",
        f"Numbers lie between 1e-{MAX_POWER} and 1e{MAX_POWER} in size, or are 0. A float32 ends at 3e38.",
        _LIMIT,
        "pred + 1e400",
        "pred + 1e4",
    ),
    Entry(
        "LD036",
        "an exponent too large",
        f"A constant exponent is at most {MAX_EXPONENT} in size; 0.7 and -1.5 are fine. For more, write exp(n*log(x)).",
        "9^9^9^9 has more digits than there are atoms; nothing that expands it comes to an end.",
        "9^9^9^9",
        "exp(9*log(pred))",
    ),
    Entry(
        "LD037",
        "operators nested too deep",
        f"A formula is at most {MAX_DEPTH} operators deep; a sum of n terms is n - 1 deep.",
        _LIMIT,
        "-" * (MAX_DEPTH + 1) + "pred",
        "pred",
    ),
    Entry(
        "LD038",
        "powers of powers too large",
        f"Constant exponents multiply, from the inside out, to at most {MAX_DEGREE:,}.",
        _LIMIT,
        "(((pred^16)^16)^16)^2",
        "pred^16",
    ),
)

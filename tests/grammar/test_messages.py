"""Malformed text and the whole message that answers it."""

from __future__ import annotations

import pytest

from lossdsl.errors import LossSyntaxError
from lossdsl.grammar.parser import read

# fmt: off
MESSAGES = {
    # missing values
    "pred +": (
        "1:7: LD004 the formula ends behind `+`, where a value is due",
        "  pred +",
        "        ^",
        "  hint: write a value behind `+`, or leave it out",
    ),
    "pred +* 2": (
        "1:7: LD004 there is no value between `+` and `*`",
        "  pred +* 2",
        "        ^",
        "  hint: write a value in front of `*`, or leave it out",
    ),
    "*pred": (
        "1:1: LD004 there is no value in front of `*`",
        "  *pred",
        "  ^",
        "  hint: write a value in front of `*`, or leave it out",
    ),
    "+pred": (
        "1:1: LD004 there is no value in front of `+`",
        "  +pred",
        "  ^",
        "  hint: leave the plus out",
    ),
    "pred++1": (
        "1:6: LD004 there is no value between `+` and `+`",
        "  pred++1",
        "       ^",
        "  hint: leave `+` out",
    ),
    "pred//2": (
        "1:6: LD004 there is no value between `/` and `/`",
        "  pred//2",
        "       ^",
        "  hint: a quotient is written with one `/`",
    ),
    "()": (
        "1:2: LD004 there is nothing between `(` and `)`",
        "  ()",
        "   ^",
        "  hint: write a value in front of `)`",
    ),
    "max(,pred)": (
        "1:5: LD004 there is no value between `(` and `,`",
        "  max(,pred)",
        "      ^",
        "  hint: write a value in front of `,`",
    ),
    "log(pred,)": (
        "1:10: LD004 there is no value between `,` and `)`",
        "  log(pred,)",
        "           ^",
        "  hint: write a value behind `,`, or leave it out",
    ),
    "pred*)": (
        "1:6: LD004 there is no value between `*` and `)`",
        "  pred*)",
        "       ^",
        "  hint: write a value behind `*`, or leave it out",
    ),
    "pred <": (
        "1:7: LD004 the formula ends behind `<`, where a value is due",
        "  pred <",
        "        ^",
        "  hint: write a value behind `<`, or leave it out",
    ),
    "if(pred <= , 1, 0)": (
        "1:12: LD004 there is no value between `<=` and `,`",
        "  if(pred <= , 1, 0)",
        "             ^",
        "  hint: write a value in front of `,`",
    ),
    "log(": (
        "1:5: LD004 the formula ends behind `(`, where a value is due",
        "  log(",
        "      ^",
        "  hint: write a value behind `(`, or leave it out",
    ),
    "where g=1": (
        "1:1: LD004 there is no value in front of `where`",
        "  where g=1",
        "  ^^^^^",
        "  hint: write a value in front of `where`",
    ),
    "-": (
        "1:2: LD004 the formula ends behind `-`, where a value is due",
        "  -",
        "   ^",
        "  hint: write a value behind `-`, or leave it out",
    ),
    # missing operators
    "2 pred": (
        "1:3: LD005 there is no operator between `2` and `pred`",
        "  2 pred",
        "    ^^^^",
        "  hint: to multiply, write `2*pred`",
    ),
    "2pred": (
        "1:2: LD005 there is no operator between `2` and `pred`",
        "  2pred",
        "   ^^^^",
        "  hint: to multiply, write `2*pred`",
    ),
    "(pred)(label)": (
        "1:7: LD005 there is no operator between `)` and `(`",
        "  (pred)(label)",
        "        ^",
        "  hint: to multiply, write `(…)*(…)`",
    ),
    "pred .5": (
        "1:6: LD005 there is no operator between `pred` and `.5`",
        "  pred .5",
        "       ^^",
        "  hint: to multiply, write `pred*.5`",
    ),
    "pred label": (
        "1:6: LD005 there is no operator between `pred` and `label`",
        "  pred label",
        "       ^^^^^",
        "  hint: to multiply, write `pred*label`",
    ),
    "pred if label > 0 else 1": (
        "1:6: LD005 there is no operator before `if`",
        "  pred if label > 0 else 1",
        "       ^^",
        "  hint: write `if(pred > 0.5, a, b)`",
    ),
    "label > 0 and pred": (
        "1:11: LD005 there is no operator before `and`",
        "  label > 0 and pred",
        "            ^^^",
        "  hint: for two conditions, put one `if` into another",
    ),
    "|pred||label|": (
        "1:7: LD005 there is no operator between `|` and `|`",
        "  |pred||label|",
        "        ^",
        "  hint: to multiply, write `|…|*|…|`",
    ),
    "1e": (
        "1:2: LD005 there is no operator between `1` and `e`",
        "  1e",
        "   ^",
        "  hint: to multiply, write `1*e`",
    ),
    "log pred": (
        "1:1: LD015 the function `log` has no brackets",
        "  log pred",
        "  ^^^",
        "  hint: write `log(pred)`",
    ),
    "2 log(pred)": (
        "1:3: LD005 there is no operator between `2` and `log`",
        "  2 log(pred)",
        "    ^^^",
        "  hint: to multiply, write `2*log(…)`",
    ),
    "lambda x: x": (
        "1:8: LD005 there is no operator between `lambda` and `x`",
        "  lambda x: x",
        "         ^",
        "  hint: to multiply, write `lambda*x`",
    ),
    # brackets
    "log(a": (
        "1:6: LD006 the `(` of column 4 is not closed",
        "  log(a",
        "       ^",
        "  hint: add `)` here",
    ),
    "log(pred": (
        "1:9: LD006 the `(` of column 4 is not closed",
        "  log(pred",
        "          ^",
        "  hint: add `)` here",
    ),
    "|pred": (
        "1:6: LD006 the `|` of column 1 is not closed",
        "  |pred",
        "       ^",
        "  hint: add `|` here",
    ),
    "(pred+|label)": (
        "1:13: LD006 the `|` of column 7 is not closed",
        "  (pred+|label)",
        "              ^",
        "  hint: add `|` before this",
    ),
    "pred)": (
        "1:5: LD007 `)` closes no bracket",
        "  pred)",
        "      ^",
        "  hint: leave it out, or add `(` before it",
    ),
    "max(|pred, 1)": (
        "1:10: LD006 the `|` of column 5 is not closed",
        "  max(|pred, 1)",
        "           ^",
        "  hint: add `|` before this",
    ),
    "|(pred|": (
        "1:7: LD006 the `(` of column 2 is not closed",
        "  |(pred|",
        "        ^",
        "  hint: add `)` before this",
    ),
    "(pred where g = 1": (
        "1:7: LD006 the `(` of column 1 is not closed",
        "  (pred where g = 1",
        "        ^^^^^",
        "  hint: add `)` before this",
    ),
    'log(pred\n+1': (
        "2:3: LD006 the `(` of column 4 is not closed",
        "  +1",
        "    ^",
        "  hint: add `)` here",
    ),
    "if(pred > 1, 1, 0": (
        "1:18: LD006 the `(` of column 3 is not closed",
        "  if(pred > 1, 1, 0",
        "                   ^",
        "  hint: add `)` here",
    ),
    # commas
    "pred,label": (
        "1:5: LD009 a comma does not belong here",
        "  pred,label",
        "      ^",
        "  hint: commas stand between the arguments of a function, such as `max(a, b)`, and behind `where`",
    ),
    "(pred,label)": (
        "1:6: LD009 a comma does not belong here",
        "  (pred,label)",
        "       ^",
        "  hint: commas stand between the arguments of a function, such as `max(a, b)`, and behind `where`",
    ),
    "0,5*pred": (
        "1:2: LD009 a comma does not belong here",
        "  0,5*pred",
        "   ^",
        "  hint: decimals have a point: write `0.5…`",
    ),
    # functions
    "sigmod(pred)": (
        "1:1: LD002 unknown function `sigmod`",
        "  sigmod(pred)",
        "  ^^^^^^",
        "  hint: did you mean `sigmoid`?",
    ),
    "sin(pred)": (
        "1:1: LD002 unknown function `sin`",
        "  sin(pred)",
        "  ^^^",
        "  hint: there are no trigonometric functions; `lossdsl explain LD002` lists the functions",
    ),
    "Log (pred)": (
        "1:1: LD002 unknown function `Log`",
        "  Log (pred)",
        "  ^^^",
        "  hint: did you mean `log`?",
    ),
    "ln(pred)": (
        "1:1: LD002 unknown function `ln`",
        "  ln(pred)",
        "  ^^",
        "  hint: did you mean `log`?",
    ),
    "pow(pred,2)": (
        "1:1: LD002 unknown function `pow`",
        "  pow(pred,2)",
        "  ^^^",
        "  hint: write `x^n`",
    ),
    "pred(1-label)": (
        "1:1: LD002 `pred` is no function",
        "  pred(1-label)",
        "  ^^^^",
        "  hint: to multiply, write `pred*(…)`",
    ),
    "log()": (
        "1:1: LD008 `log` takes 1 argument, not 0",
        "  log()",
        "  ^^^^^",
        "  hint: write `log(x)`",
    ),
    "max(pred)": (
        "1:1: LD008 `max` takes 2 or more arguments, not 1",
        "  max(pred)",
        "  ^^^^^^^^^",
        "  hint: write `max(a, b)`",
    ),
    "clamp(pred)": (
        "1:1: LD008 `clamp` takes 3 arguments, not 1",
        "  clamp(pred)",
        "  ^^^^^^^^^^^",
        "  hint: write `clamp(x, low, high)`",
    ),
    "log(pred, label)": (
        "1:1: LD008 `log` takes 1 argument, not 2",
        "  log(pred, label)",
        "  ^^^^^^^^^^^^^^^^",
        "  hint: write `log(x)`",
    ),
    "log": (
        "1:1: LD015 the function `log` has no arguments here",
        "  log",
        "  ^^^",
        "  hint: write `log(x)`",
    ),
    "log*pred": (
        "1:1: LD015 the function `log` has no arguments here",
        "  log*pred",
        "  ^^^",
        "  hint: write `log(x)`",
    ),
    "plog(pred,label)": (
        "1:11: LD023 the epsilon of `plog` is not constant",
        "  plog(pred,label)",
        "            ^^^^^",
        "  hint: write a number such as 1e-6, or a parameter of `where`",
    ),
    # names
    "gama where gamma=2": (
        "1:1: LD003 the name `gama` has no value",
        "  gama where gamma=2",
        "  ^^^^",
        "  hint: did you mean `gamma`?",
    ),
    "Pred": (
        "1:1: LD003 the name `Pred` has no value",
        "  Pred",
        "  ^^^^",
        "  hint: did you mean `pred`?",
    ),
    "lable": (
        "1:1: LD003 the name `lable` has no value",
        "  lable",
        "  ^^^^^",
        "  hint: did you mean `label`?",
    ),
    "foo*pred": (
        "1:1: LD003 the name `foo` has no value",
        "  foo*pred",
        "  ^^^",
        "  hint: a parameter needs one: add `where foo = 1`",
    ),
    "a*abs(b - pred)^gamma": (
        "1:1: LD003 the name `a` has no value",
        "  a*abs(b - pred)^gamma",
        "  ^",
        "  hint: parameters need values: add `where a = 1, b = 1, gamma = 1`",
    ),
    "a*abs(b - pred)^gamma where b = 1": (
        "1:1: LD003 the name `a` has no value",
        "  a*abs(b - pred)^gamma where b = 1",
        "  ^",
        "  hint: parameters need values: add `a = 1, gamma = 1` behind `where`",
    ),
    "CE + a*(1-pred)": (
        "1:1: LD003 the name `CE` has no value",
        "  CE + a*(1-pred)",
        "  ^^",
        "  hint: did you mean the named loss `bce`? it stands alone; `lossdsl show bce` prints its formula",
    ),
    "(1 - p_t)^2": (
        "1:6: LD003 the name `p_t` has no value",
        "  (1 - p_t)^2",
        "       ^^^",
        "  hint: write out what it stands for: `label*pred + (1-label)*(1-pred)`",
    ),
    "diff^2": (
        "1:1: LD003 the name `diff` has no value",
        "  diff^2",
        "  ^^^^",
        "  hint: write the difference out, such as `label-pred`",
    ),
    "max(0, 1 - x)": (
        "1:12: LD003 the name `x` has no value",
        "  max(0, 1 - x)",
        "             ^",
        "  hint: say which it is: pred for a probability, score for a logit",
    ),
    "max(0, 1 - f(score))": (
        "1:12: LD002 unknown function `f`",
        "  max(0, 1 - f(score))",
        "             ^",
        "  hint: the model's output is a name without brackets: pred for a probability, score for a logit",
    ),
    "e^pred": (
        "1:1: LD003 the name `e` has no value",
        "  e^pred",
        "  ^",
        "  hint: there are no built-in constants: write `exp(x)` for e^x, or add `where e = 2.718281828459045`",
    ),
    "pi*pred": (
        "1:1: LD003 the name `pi` has no value",
        "  pi*pred",
        "  ^^",
        "  hint: there are no built-in constants: add `where pi = 3.141592653589793`",
    ),
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx": (
        "1:1: LD003 the name `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` has no value",
        "  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
        "  hint: a parameter needs one: add `where xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… = 1`",
    ),
    # named losses
    "-focal": (
        "1:2: LD016 the named loss `focal` stands inside an expression",
        "  -focal",
        "   ^^^^^",
        "  hint: use `focal` alone, or write its formula out: `lossdsl show focal` prints it",
    ),
    "bce+1": (
        "1:1: LD016 the named loss `bce` stands inside an expression",
        "  bce+1",
        "  ^^^",
        "  hint: use `bce` alone, or write its formula out: `lossdsl show bce` prints it",
    ),
    "bce(pred,label)": (
        "1:1: LD016 the named loss `bce` takes no arguments",
        "  bce(pred,label)",
        "  ^^^",
        "  hint: use `bce` alone, with its parameters behind `where`",
    ),
    "focal(gamma=1)": (
        "1:12: LD011 a formula assigns nothing: `=` stands behind `where` only",
        "  focal(gamma=1)",
        "             ^",
        "  hint: write `focal where gamma = …`",
    ),
    "bce where g=1": (
        "1:11: LD018 `bce` has no parameter `g`",
        "  bce where g=1",
        "            ^",
        "  hint: `bce` has no parameters",
    ),
    "focal where gama=1": (
        "1:13: LD018 `focal` has no parameter `gama`",
        "  focal where gama=1",
        "              ^^^^",
        "  hint: did you mean `gamma`?",
    ),
    "hinge where c=1": (
        "1:13: LD018 `hinge` has no parameter `c`",
        "  hinge where c=1",
        "              ^",
        "  hint: the parameters of `hinge` are `margin`",
    ),
    # assignment and attributes
    "loss = pred": (
        "1:6: LD011 a formula assigns nothing: `=` stands behind `where` only",
        "  loss = pred",
        "       ^",
        "  hint: leave `loss =` out",
    ),
    "pred == 1": (
        "1:6: LD011 there is no `==`",
        "  pred == 1",
        "       ^^",
        "  hint: conditions take < <= > >=; whether the label is 1 is asked by `label > 0.5`",
    ),
    "if(label == 1, 1, 0)": (
        "1:10: LD011 there is no `==`",
        "  if(label == 1, 1, 0)",
        "           ^^",
        "  hint: conditions take < <= > >=; whether the label is 1 is asked by `label > 0.5`",
    ),
    "a < = b": (
        "1:5: LD011 a formula assigns nothing: `=` stands behind `where` only",
        "  a < = b",
        "      ^",
        "  hint: write <= or >=",
    ),
    "torch.log(pred)": (
        "1:1: LD012 `torch.log` reaches into an object, which a formula cannot",
        "  torch.log(pred)",
        "  ^^^^^^^^^",
        "  hint: write `log(…)`, or use --dialect python",
    ),
    "pred.pow(2)": (
        "1:1: LD012 `pred.pow` reaches into an object, which a formula cannot",
        "  pred.pow(2)",
        "  ^^^^^^^^",
        "  hint: use --dialect python",
    ),
    "a.b.c(pred)": (
        "1:1: LD012 `a.b.c` reaches into an object, which a formula cannot",
        "  a.b.c(pred)",
        "  ^^^^^",
        "  hint: use --dialect python",
    ),
    "np.log(p).mean()": (
        "1:1: LD012 `np.log` reaches into an object, which a formula cannot",
        "  np.log(p).mean()",
        "  ^^^^^^",
        "  hint: write `log(…)`, or use --dialect python",
    ),
    "log(pred=1)": (
        "1:9: LD011 a formula assigns nothing: `=` stands behind `where` only",
        "  log(pred=1)",
        "          ^",
        "  hint: give the arguments of `log` by position",
    ),
    # comparisons
    "pred > 0.5": (
        "1:1: LD013 a comparison stands outside the condition of an `if`",
        "  pred > 0.5",
        "  ^^^^^^^^^^",
        "  hint: write `if(a > b, 1, 0)` where a number is meant",
    ),
    "label*(pred > 0.5)": (
        "1:7: LD013 a comparison stands outside the condition of an `if`",
        "  label*(pred > 0.5)",
        "        ^^^^^^^^^^^^",
        "  hint: write `if(a > b, 1, 0)` where a number is meant",
    ),
    "if(pred,1,0)": (
        "1:4: LD014 the first argument of `if` is not a comparison",
        "  if(pred,1,0)",
        "     ^^^^",
        "  hint: write `if(pred > 0.5, a, b)`, with one of < <= > >=",
    ),
    "if(0<pred<1,1,0)": (
        "1:10: LD013 comparisons cannot be chained",
        "  if(0<pred<1,1,0)",
        "           ^",
        "  hint: put one `if` into the other, as in `if(a < b, if(b < c, 1, 0), 0)`",
    ),
    "if(pred > 0.5, pred > 0.1, 0)": (
        "1:16: LD013 a comparison stands outside the condition of an `if`",
        "  if(pred > 0.5, pred > 0.1, 0)",
        "                 ^^^^^^^^^^",
        "  hint: write `if(a > b, 1, 0)` where a number is meant",
    ),
    # characters
    "pred $ 2": (
        "1:6: LD009 `$` does not belong in a formula",
        "  pred $ 2",
        "       ^",
        "  hint: leave the dollar signs out; LaTeX is read with --dialect latex",
    ),
    '\\log p': (
        '1:1: LD009 `\\` does not belong in a formula',
        '  \\log p',
        "  ^",
        "  hint: LaTeX is read with --dialect latex",
    ),
    "pred[0]": (
        "1:5: LD009 `[` does not belong in a formula",
        "  pred[0]",
        "      ^",
        "  hint: a formula is about one prediction: leave the index out; brackets are round",
    ),
    "pred!": (
        "1:5: LD009 `!` does not belong in a formula",
        "  pred!",
        "      ^",
        "  hint: conditions take < <= > >=",
    ),
    "'pred'": (
        "1:1: LD009 `'` does not belong in a formula",
        "  'pred'",
        "  ^",
        "  hint: leave the quotes out",
    ),
    "pred;label": (
        "1:5: LD009 `;` does not belong in a formula",
        "  pred;label",
        "      ^",
        "  hint: one formula at a time; parameters stand behind `where`, with commas between",
    ),
    "{pred}": (
        "1:1: LD009 `{` does not belong in a formula",
        "  {pred}",
        "  ^",
        "  hint: use round brackets ( )",
    ),
    "pred & label": (
        "1:6: LD009 `&` does not belong in a formula",
        "  pred & label",
        "       ^",
        "  hint: for two conditions, put one `if` into another",
    ),
    "рred": (
        "1:1: LD010 `р` (Cyrillic small letter er, U+0440) only looks like the letter `p`",
        "  рred",
        "  ^",
        "  hint: write `pred` in Latin letters",
    ),
    "prеd": (
        "1:3: LD010 `е` (Cyrillic small letter ie, U+0435) only looks like the letter `e`",
        "  prеd",
        "    ^",
        "  hint: write `pred` in Latin letters",
    ),
    "οmega*pred": (
        "1:1: LD010 `ο` (Greek small letter omicron, U+03BF) only looks like the letter `o`",
        "  οmega*pred",
        "  ^",
        "  hint: write `omega` in Latin letters",
    ),
    "σ(score)": (
        "1:1: LD009 `σ` (Greek small letter sigma, U+03C3) is not read",
        "  σ(score)",
        "  ^",
        "  hint: write `sigmoid`",
    ),
    "pred − label": (
        "1:6: LD010 `−` (Minus sign, U+2212) is not read",
        "  pred − label",
        "       ^",
        "  hint: write `-` in its place",
    ),
    "pred × label": (
        "1:6: LD010 `×` (Multiplication sign, U+00D7) is not read",
        "  pred × label",
        "       ^",
        "  hint: write `*` in its place",
    ),
    "pred²": (
        "1:5: LD010 `²` (Superscript two, U+00B2) is not read",
        "  pred²",
        "      ^",
        "  hint: write `^2` in its place",
    ),
    "pred ≤ 1": (
        "1:6: LD010 `≤` (Less-than or equal to, U+2264) is not read",
        "  pred ≤ 1",
        "       ^",
        "  hint: write `<=` in its place",
    ),
    "ｐred": (
        "1:1: LD010 `ｐ` (Fullwidth latin small letter p, U+FF50) is not read",
        "  ｐred",
        "  ^^",
        "  hint: write `p` in its place",
    ),
    'pred\x00': (
        "1:5: LD009 an invisible character, U+0000",
        "  pred�",
        "      ^",
        "  hint: delete it",
    ),
    'pred\u202e+1': (
        "1:5: LD009 an invisible character, RIGHT-TO-LEFT OVERRIDE (U+202E)",
        "  pred�+1",
        "      ^",
        "  hint: delete it",
    ),
    'pred\xa0+1': (
        "1:5: LD010 NO-BREAK SPACE (U+00A0) is not read",
        "  pred�+1",
        "      ^",
        "  hint: write a plain blank in its place",
    ),
    'pred\u200b': (
        "1:5: LD009 an invisible character, ZERO WIDTH SPACE (U+200B)",
        "  pred�",
        "      ^",
        "  hint: delete it",
    ),
    "ŷ": (
        "1:1: LD009 `ŷ` (Latin small letter y with circumflex, U+0177) is not read",
        "  ŷ",
        "  ^",
        "  hint: write `y_hat`",
    ),
    "ž": (
        "1:1: LD009 `ž` (Latin small letter z with caron, U+017E) does not belong in a formula",
        "  ž",
        "  ^",
        "  hint: names have the letters a-z, A-Z, digits and _",
    ),
    "−αy·log(ŷ) – (1−α)·√(σ(s)²)": (
        "1:1: LD010 `−` (Minus sign, U+2212) is not read",
        "  −αy·log(ŷ) – (1−α)·√(σ(s)²)",
        "  ^",
        "  hint: in plain signs: `-alpha*y*log(y_hat) - (1-alpha)*sqrt(sigmoid(s)^2)`",
    ),
    "y−ŷ": (
        "1:2: LD010 `−` (Minus sign, U+2212) is not read",
        "  y−ŷ",
        "   ^",
        "  hint: in plain signs: `y-y_hat`",
    ),
    "y−р": (
        "1:2: LD010 `−` (Minus sign, U+2212) is not read",
        "  y−р",
        "   ^",
        "  hint: write `-` in its place",
    ),
    "x ∈ y": (
        "1:3: LD009 `∈` (Element of, U+2208) does not belong in a formula",
        "  x ∈ y",
        "    ^",
        "  hint: delete it",
    ),
    "😀": (
        "1:1: LD009 `😀` (Grinning face, U+1F600) does not belong in a formula",
        "  😀",
        "  ^^",
        "  hint: delete it",
    ),
    # numbers
    "1.2.3": (
        "1:1: LD020 the number is malformed",
        "  1.2.3",
        "  ^^^^^",
        "  hint: write it as 0.5, 12 or 1e-6",
    ),
    "99999999999999999999999999999999999999999": (
        "1:1: LD034 the number has more than 40 digits",
        "  99999999999999999999999999999999999999999",
        "  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
        "  hint: round it: a float holds 17",
    ),
    "1e400": (
        "1:1: LD035 the number is beyond 1e60 or under 1e-60 in size",
        "  1e400",
        "  ^^^^^",
        "  hint: write a number nearer to 1",
    ),
    "1e-400": (
        "1:1: LD035 the number is beyond 1e60 or under 1e-60 in size",
        "  1e-400",
        "  ^^^^^^",
        "  hint: write a number nearer to 1",
    ),
    "pred^17": (
        "1:6: LD036 the exponent is beyond 16 in size",
        "  pred^17",
        "       ^^",
        "  hint: write exp(n*log(x)) for a power as steep as that",
    ),
    "pred^g where g=20": (
        "1:6: LD036 the exponent is beyond 16 in size",
        "  pred^g where g=20",
        "       ^",
        "  hint: write exp(n*log(x)) for a power as steep as that",
    ),
    "9^9^9^9": (
        "1:5: LD036 the exponent is beyond 16 in size",
        "  9^9^9^9",
        "      ^^^",
        "  hint: write exp(n*log(x)) for a power as steep as that",
    ),
    # where
    "pred where": (
        "1:11: LD017 behind `where` a name is due, not the end",
        "  pred where",
        "            ^",
        "  hint: write `where gamma = 2`, or `where gamma in [0, 5]` for a range to check",
    ),
    "pred*g where g": (
        "1:15: LD017 behind the parameter `g` `=` or `in` is due, not the end",
        "  pred*g where g",
        "                ^",
        "  hint: write `where gamma = 2`, or `where gamma in [0, 5]` for a range to check",
    ),
    "pred*g where g=": (
        "1:16: LD017 behind `=` a number is due, not the end",
        "  pred*g where g=",
        "                 ^",
        "  hint: `where` takes numbers such as -0.5, 1e-6 and 1/3, nothing computed",
    ),
    "pred*g where g=pred": (
        "1:16: LD017 behind `=` a number is due, not `pred`",
        "  pred*g where g=pred",
        "                 ^^^^",
        "  hint: `where` takes numbers such as -0.5, 1e-6 and 1/3, nothing computed",
    ),
    "pred*g where g=1+1": (
        "1:17: LD017 behind the value `1` a comma or the end is due, not `+`",
        "  pred*g where g=1+1",
        "                  ^",
        "  hint: `where` takes numbers such as -0.5, 1e-6 and 1/3, nothing computed",
    ),
    "pred*g where g in": (
        "1:18: LD017 behind `in` `[` is due, not the end",
        "  pred*g where g in",
        "                   ^",
        "  hint: write `where gamma = 2`, or `where gamma in [0, 5]` for a range to check",
    ),
    "pred*g where g in 0": (
        "1:19: LD017 behind `in` `[` is due, not `0`",
        "  pred*g where g in 0",
        "                    ^",
        "  hint: write `where gamma = 2`, or `where gamma in [0, 5]` for a range to check",
    ),
    "pred*g where g in [0": (
        "1:21: LD017 behind the bound `0` `,` is due, not the end",
        "  pred*g where g in [0",
        "                      ^",
        "  hint: write `where gamma = 2`, or `where gamma in [0, 5]` for a range to check",
    ),
    "pred*g where g in [0,1": (
        "1:23: LD017 behind the bound `1` `]` is due, not the end",
        "  pred*g where g in [0,1",
        "                        ^",
        "  hint: write `where gamma = 2`, or `where gamma in [0, 5]` for a range to check",
    ),
    "pred*g where g in [2,1]": (
        "1:20: LD024 the range of `g` is empty",
        "  pred*g where g in [2,1]",
        "                     ^^^",
        "  hint: write the smaller bound first",
    ),
    "pred*g where pred=1": (
        "1:14: LD019 `pred` is a variable and cannot be given a value",
        "  pred*g where pred=1",
        "               ^^^^",
        "  hint: choose another name for the parameter",
    ),
    "pred*g where log=1": (
        "1:14: LD019 `log` is the name of a function and cannot be given a value",
        "  pred*g where log=1",
        "               ^^^",
        "  hint: choose another name for the parameter",
    ),
    "pred*g where g=1,g=2": (
        "1:18: LD022 `g` is given a value twice",
        "  pred*g where g=1,g=2",
        "                   ^",
        "  hint: leave one of the two out",
    ),
    "pred*g where g=1/0": (
        "1:18: LD025 a constant is divided by zero",
        "  pred*g where g=1/0",
        "                   ^",
        "  hint: write another number",
    ),
    "pred*g where g=1,": (
        "1:18: LD017 behind `,` a name is due, not the end",
        "  pred*g where g=1,",
        "                   ^",
        "  hint: write `where gamma = 2`, or `where gamma in [0, 5]` for a range to check",
    ),
    "pred where h=1": (
        "1:12: LD018 the formula has no parameter `h`",
        "  pred where h=1",
        "             ^",
        "  hint: leave `h` out of `where`, or use it",
    ),
    "pred*g where g=1 where h=2": (
        "1:18: LD017 behind the value `1` a comma or the end is due, not `where`",
        "  pred*g where g=1 where h=2",
        "                   ^^^^^",
        "  hint: `where` takes numbers such as -0.5, 1e-6 and 1/3, nothing computed",
    ),
    "pred*g where g=-": (
        "1:17: LD017 behind `-` a number is due, not the end",
        "  pred*g where g=-",
        "                  ^",
        "  hint: `where` takes numbers such as -0.5, 1e-6 and 1/3, nothing computed",
    ),
    "pred*g where 2=g": (
        "1:14: LD017 behind `where` a name is due, not `2`",
        "  pred*g where 2=g",
        "               ^",
        "  hint: write `where gamma = 2`, or `where gamma in [0, 5]` for a range to check",
    ),
    # nothing
    "": (
        "1:1: LD001 the formula is empty",
        "  ",
        "  ^",
        "  hint: write one, such as `-log(pred)`",
    ),
    "  ": (
        "1:1: LD001 the formula is empty",
        "    ",
        "  ^",
        "  hint: write one, such as `-log(pred)`",
    ),
}
# fmt: on


@pytest.mark.parametrize("text", MESSAGES)
def test_whole_message(text: str) -> None:
    with pytest.raises(LossSyntaxError) as caught:
        read(text)
    assert str(caught.value).split("\n") == list(MESSAGES[text])


@pytest.mark.parametrize("text", MESSAGES)
def test_the_span_lies_in_the_text_or_at_its_end(text: str) -> None:
    with pytest.raises(LossSyntaxError) as caught:
        read(text)
    span = caught.value.span
    assert 0 <= span.start <= span.end <= len(text) or (span.start == len(text.rstrip()) and span.end <= span.start + 1)
    assert caught.value.hint


def test_an_error_remembers_its_parts() -> None:
    with pytest.raises(LossSyntaxError) as caught:
        read("-log(sigmod(score))")
    error = caught.value
    assert (error.code, error.line, error.column) == ("LD002", 1, 6)
    assert error.source[error.span.start : error.span.end] == "sigmod"
    assert error.hint == "did you mean `sigmoid`?"

"""Functions in LaTeX: `\\log p`, `\\max(a, b)`, indicators and cases."""

from __future__ import annotations

from fractions import Fraction

from lossdsl.errors import LossSyntaxError
from lossdsl.grammar.dialects.latex_names import Names
from lossdsl.grammar.dialects.latex_scan import COMMAND_FUNCTIONS, WORD_FUNCTIONS
from lossdsl.grammar.dialects.meaning import COMPARISONS, compare, complement
from lossdsl.grammar.dialects.python_functions import FUNCTIONS, Call
from lossdsl.grammar.dialects.scan import Token, apply
from lossdsl.grammar.naming import wrong_count
from lossdsl.grammar.operators import OPERATORS
from lossdsl.grammar.tree import Apply, Name, Node, Number

OPENS = {"(": ")", "[": "]", "{": "}", "|(": ")|"}


class Functions(Names):
    """What is applied to something: the something is read by the class below."""

    def expression(self) -> Node:
        raise NotImplementedError

    def factor(self) -> Node:
        raise NotImplementedError

    def script(self) -> Node:
        raise NotImplementedError

    def starts_operand(self) -> bool:
        raise NotImplementedError

    def surplus(self) -> LossSyntaxError:
        raise NotImplementedError

    def function(self) -> Node:
        token = self.take()
        name = {"sigma": "sigmoid"}.get(token.text) or COMMAND_FUNCTIONS.get(token.text) or WORD_FUNCTIONS[token.text]
        base = power = None
        while self.sees("^", "_"):
            if self.eat("^"):
                power = self.script()
            elif name == "log":
                self.take()
                base = self.script()
            else:
                raise self.mark.at("LD305", "this index has no meaning in a formula", self.next, "write max(a, b)")
        args = self.function_arguments(token)
        node = self.applied(name, args, token)
        if base is not None and base != Name("e"):
            node = apply("div", node, apply("log", base), span=self.since(token))
        if power is not None:
            if isinstance(power, Apply) and power.op == "neg":
                raise self.mark.at("LD306", "an inverse function or a reciprocal?", token, r"write \frac{1}{f(x)}")
            return apply("pow", node, power, span=self.since(token))
        if self.bare is None and self.eat("^"):
            shown = self.mark.spelled(token)
            if name == "log":
                self.notes.append(f"`{shown}(…)^n` is read as ({shown}(…))^n")
            return apply("pow", node, self.script(), span=self.since(token))
        return node

    def function_arguments(self, token: Token) -> list[Node]:
        opened = self.next
        if opened.kind == "sign" and opened.text in ("(", "[", "{"):
            self.take()
            outer, self.bar_open = self.bar_open, False
            args = [self.expression()]
            while self.eat(","):
                args.append(self.expression())
            self.shut(OPENS[opened.text])
            self.bar_open = outer
            self.bare = None
            return args
        if not self.starts_operand():
            spelled = self.mark.spelled(token)
            hint = f"write {spelled}(x)"
            if token.text == "sigma":
                hint += r"; write \hat{y} where it stands for the prediction itself"
            raise self.mark.at("LD015", f"the function `{spelled}` has no argument", token, hint)
        arg = self.factor()
        self.bare = token
        return [arg]

    def applied(self, name: str, args: list[Node], token: Token) -> Node:
        span = self.since(token)
        if name in OPERATORS:
            wrong = wrong_count(name, len(args), span, self.source)
            if wrong is not None:
                raise wrong
            return apply(name, *args, span=span)
        if len(args) != 1:
            raise self.mark.at("LD008", f"`{self.mark.spelled(token)}` takes 1 argument, not {len(args)}", token)
        return FUNCTIONS[name].build(Call({"x": args[0]}, span))

    def indicator(self) -> Node:
        token = self.take()
        if self.eat("_"):
            pass
        if not self.sees("(", "[", "{"):
            raise self.mark.at("LD015", "the indicator has no condition", token, r"\mathbb{1}[y = 1]")
        opened = self.take()
        conditions = self.conditions()
        self.shut(OPENS[opened.text])
        return self.where_all(conditions, Number(Fraction(1)), Number(Fraction(0)), token)

    def where_all(self, conditions: list[Node], yes: Node, no: Node, token: Token) -> Node:
        """`yes` where all conditions hold, else `no`."""
        for condition in reversed(conditions):
            yes = apply("if", condition, yes, no, span=self.since(token))
        return yes

    def cases(self) -> Node:
        r"""`\begin{cases} a & y = 1 \\ b & \text{otherwise} \end{cases}`."""
        token = self.take()
        rows: list[tuple[Node, list[Node]]] = []
        while self.next.kind != "end-cases":
            if self.next.kind == "end":
                raise self.mark.at("LD006", r"`\begin{cases}` is never closed", token, r"add `\end{cases}`")
            value = self.expression()
            self.eat(",")
            rows.append((value, self.case_condition()))
            self.eat(",", ".", ";")
            if not self.eat("\\\\") and self.next.kind != "end-cases":
                raise self.surplus()
        self.take()
        if not rows:
            raise self.mark.at("LD004", "there are no cases", token)
        value, last = rows[-1]
        first = rows[0][1]
        whole = len(rows) == 2 and len(first) == len(last) == 1 and complement(first[0], last[0])
        if last and not whole:
            raise self.mark.at("LD306", "the cases may leave something out", last[0], r"end with & \text{otherwise}")
        for row, conditions in reversed(rows[:-1]):
            if not conditions:
                raise self.mark.at("LD306", "a case without condition is not the last", row)
            value = self.where_all(conditions, row, value, token)
        return value

    def case_condition(self) -> list[Node]:
        r"""What holds in a case: none behind `\text{otherwise}`, two in `0 < x < 1`."""
        self.eat("&")
        words = []
        while self.next.kind == "condition":
            words.append(self.take().text)
        if "otherwise" in words or "else" in words:
            return []
        if self.next.kind == "end-cases" or self.sees("\\\\"):
            return []
        return self.conditions()

    def conditions(self) -> list[Node]:
        left = self.expression()
        sign = self.next
        if sign.kind != "sign" or sign.text not in (*COMPARISONS, "="):
            raise self.mark.at(
                "LD014", "a comparison is needed here", sign if sign.kind != "end" else left, r"y = 1, or x \le 1"
            )
        self.take()
        self.bare = None
        middle = self.expression()
        found = [compare(sign.text, left, middle, sign, self.mark, self.notes)]
        if self.sees(*COMPARISONS) and self.next.text[0] == sign.text[0]:
            sign = self.take()
            self.bare = None
            found.append(compare(sign.text, middle, self.expression(), sign, self.mark, self.notes))
        if self.sees(*COMPARISONS, "="):
            raise self.mark.at("LD304", "these comparisons cannot be chained", self.next, "as in 0 < x < 1, no more")
        return found

    def shut(self, text: str) -> None:
        if not self.sees(text):
            if self.sees(","):
                hint = r"only \max, \min and the like take several; what a model gives, such as f(u, i), is s_{ui}"
                raise self.mark.at("LD004", "`,` does not belong here", self.next, hint)
            raise self.surplus()
        self.take()

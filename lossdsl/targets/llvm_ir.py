"""Prints a Program as LLVM IR: one vector loop over float32 arrays gives the sum of the losses and every slope."""

from __future__ import annotations

from typing import Literal

from lossdsl.program import Program, reachable
from lossdsl.targets.vector import BOOLS, DOUBLES, FLOATS, INTS, LANES, Emitter

# What a kernel writes: slopes and the sum of the losses, slopes and each loss, or slopes alone.
Output = Literal["sum", "each", "slope"]
_BLOCK = 1024  # partial sums of this many elements stay in float32, then join a sum in double

_COMPARE = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq"}


class _Body:
    """Emits the steps of a Program for one vector of inputs."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.e = Emitter()
        self.registers: dict[int, str] = {}
        self.x = "%x"

    def project(self) -> str:
        """Bring pred inside of (0, 1); gives the lanes that lie outside of [0, 1]."""
        e = self.e
        outside = e.either(e.compare("olt", "%x", e.constant(0)), e.compare("ogt", "%x", e.constant(1)))
        self.x = e.floor_at(e.cap_at("%x", 1 - 2.0**-24), 2.0**-126)
        return outside

    def run(self, *roots: int) -> list[str]:
        for number in reachable(self.program.steps, roots):
            self.registers[number] = self._step(number)
        return [self.registers[root] for root in roots]

    def _step(self, number: int) -> str:
        e, steps = self.e, self.program.steps
        step = steps[number]
        op = step.op
        if op == "constant":
            return e.constant(self.program.floats[number])
        if op == "input":
            return "%y" if step.name == "label" else self.x
        a = [self.registers[n] for n in step.args]
        if op == "div" and 2.0**-100 < abs(self.program.floats[step.args[1]]) < 2.0**100:
            # a division takes as long as ten products, and a constant's inverse is right to half an ulp
            return e.mul(a[0], e.constant(1 / self.program.floats[step.args[1]]))
        if op in ("add", "sub", "mul", "div", "neg", "abs", "sqrt", "select", "exp", "expm1", "log", "log1p", "tanh"):
            return getattr(e, op)(*a)
        if op in ("sigmoid", "logsigmoid"):
            return self._score(op, step.args[0])
        if op in _COMPARE:
            return e.compare(_COMPARE[op], *a)
        if op == "mix":
            return e.fma(a[0], a[1], e.mul(e.sub(e.constant(1), a[0]), a[2]))
        if op == "relu":
            return e.floor_at(a[0], 0.0)
        if op == "sign":
            low = e.select(e.compare("olt", a[0], e.constant(0)), e.constant(-1), a[0])
            return e.select(e.compare("ogt", a[0], e.constant(0)), e.constant(1), low)
        if op in ("min", "max"):
            return self._extreme(op, a[0], a[1], steps[step.args[0]].constant is not None)
        if op == "clamp":
            return self._extreme("min", self._extreme("max", a[0], a[1], False), a[2], False)
        assert op == "pow"
        return e.power(a[0], self.program.floats[step.args[1]])

    def _extreme(self, op: str, a: str, b: str, first_is_constant: bool) -> str:
        """NaN in either argument stays; a constant is never NaN."""
        e = self.e
        if first_is_constant:
            a, b = b, a
        beyond = e.compare("ogt" if op == "max" else "olt", b, a)
        if not b.startswith("<"):
            beyond = e.either(beyond, e.compare("uno", b, b))
        return e.select(beyond, b, a)

    def _score(self, op: str, argument: int) -> str:
        """sigmoid and logsigmoid of x and of -x come from one exponential."""
        e, steps = self.e, self.program.steps
        inner = steps[argument]
        negative = inner.op == "neg"
        z = self.registers[inner.args[0]] if negative else self.registers[argument]
        t, p, q = e.sigmoid_pair(z)
        if op == "sigmoid":
            return q if negative else p
        if negative:
            return e.sub(e.neg(self._maximum_with_zero(z)), e.log1p_unit(t))
        return e.sub(e.cap_at(z, 0.0), e.log1p_unit(t))

    def _maximum_with_zero(self, z: str) -> str:
        return self.e.floor_at(z, 0.0)


def ir(program: Program, output: Output, labels: str | None = None, name: str = "kernel") -> str:
    """The kernel as LLVM IR; `labels` names the set whose breach turns the sum into NaN.

    >>> from lossdsl.lowering import lower
    >>> [line for line in ir(lower("mse", axis="pred"), "sum").splitlines() if line.startswith("define")]
    ['define double @kernel(ptr noalias %px, ptr noalias %py, ptr noalias %pg, i64 %n, float %scale) {']
    """
    body = _Body(program)
    e = body.e
    wrong = [body.project()] if program.axis == "pred" and output != "slope" else []
    if program.axis == "pred" and output == "slope":
        body.project()
    if labels is not None and program.uses_label and output != "slope":
        wrong.append(_outside(e, labels))
    if output == "slope":
        (slope,) = body.run(program.slope)
        value = e.constant(0)
    else:
        value, slope = body.run(program.value, program.slope)
    bad = "zeroinitializer"
    for one in wrong:
        bad = one if bad == "zeroinitializer" else e.either(bad, one)
    each = output == "each"
    return _LOOP.format(
        name=name,
        lines="\n".join(e.lines),
        declarations="\n".join(e.needs),
        value=value,
        slope=slope,
        bad=bad,
        n=LANES,
        minus=-LANES,
        F=FLOATS,
        I=INTS,
        B=BOOLS,
        D=DOUBLES,
        all_true="<" + ", ".join(["i1 true"] * LANES) + ">",
        lanes="<" + ", ".join(f"i32 {i}" for i in range(LANES)) + ">",
        low=_BLOCK - 1,
        bits=f"i{LANES}",
        loss_argument=", ptr noalias %pl" if each else "",
        loss_pointer="%L = phi ptr [%pl,%entry],[%L,%cont],[%bufl,%prep]" if each else "",
        loss_store=(
            f"%al = getelementptr float, ptr %L, i64 %i\n  store {FLOATS} {value}, ptr %al, align 4" if each else ""
        ),
        loss_tail=(
            "%tl = getelementptr float, ptr %pl, i64 %main\n"
            "  call void @llvm.memcpy.p0.p0.i64(ptr %tl, ptr %bufl, i64 %fb, i1 false)"
            if each
            else ""
        ),
    )


def _outside(e: Emitter, labels: str) -> str:
    one = e.compare("une", "%y", e.constant(1))
    if labels == "{1}":
        return one
    if labels == "{0,1}":
        return e.emit(f"and {BOOLS} {one}, {e.compare('une', '%y', e.constant(0))}")
    return e.either(e.compare("ult", "%y", e.constant(0)), e.compare("ugt", "%y", e.constant(1)))


# One loop does the whole vectors, then comes back once more for the rest, which lies on the stack by then.
_LOOP = """
{declarations}
declare double @llvm.vector.reduce.fadd.v{n}f64(double, {D})
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
define double @{name}(ptr noalias %px, ptr noalias %py, ptr noalias %pg, i64 %n, float %scale{loss_argument}) {{
entry:
  %bufx = alloca {F}, align 64
  %bufy = alloca {F}, align 64
  %bufg = alloca {F}, align 64
  %bufl = alloca {F}, align 64
  %s0 = insertelement {F} undef, float %scale, i32 0
  %sv = shufflevector {F} %s0, {F} undef, {I} zeroinitializer
  %main = and i64 %n, {minus}
  %rem = sub i64 %n, %main
  %none = icmp eq i64 %main, 0
  br i1 %none, label %tail, label %loop
loop:
  %X = phi ptr [%px,%entry],[%X,%cont],[%bufx,%prep]
  %Y = phi ptr [%py,%entry],[%Y,%cont],[%bufy,%prep]
  %G = phi ptr [%pg,%entry],[%G,%cont],[%bufg,%prep]
  {loss_pointer}
  %end = phi i64 [%main,%entry],[%end,%cont],[{n},%prep]
  %last = phi i1 [false,%entry],[%last,%cont],[true,%prep]
  %mask = phi {B} [{all_true},%entry],[%mask,%cont],[%tm,%prep]
  %i = phi i64 [0,%entry],[%i2,%cont],[0,%prep]
  %acc = phi {D} [zeroinitializer,%entry],[%accn,%cont],[%acct,%prep]
  %fa = phi {F} [zeroinitializer,%entry],[%fan,%cont],[zeroinitializer,%prep]
  %seen = phi {B} [zeroinitializer,%entry],[%seen2,%cont],[%seent,%prep]
  %ax = getelementptr float, ptr %X, i64 %i
  %ay = getelementptr float, ptr %Y, i64 %i
  %ag = getelementptr float, ptr %G, i64 %i
  %x = load {F}, ptr %ax, align 4
  %y = load {F}, ptr %ay, align 4
{lines}
  %gs = fmul {F} {slope}, %sv
  store {F} %gs, ptr %ag, align 4
  {loss_store}
  %vm = select {B} %mask, {F} {value}, {F} zeroinitializer
  %fa2 = fadd {F} %fa, %vm
  %badm = and {B} %mask, {bad}
  %seen2 = or {B} %seen, %badm
  %i2 = add i64 %i, {n}
  %low = and i64 %i2, {low}
  %full = icmp eq i64 %low, 0
  br i1 %full, label %flush, label %cont
flush:
  %vd = fpext {F} %fa2 to {D}
  %acc2 = fadd {D} %acc, %vd
  br label %cont
cont:
  %accn = phi {D} [%acc,%loop],[%acc2,%flush]
  %fan = phi {F} [%fa2,%loop],[zeroinitializer,%flush]
  %more = icmp ult i64 %i2, %end
  br i1 %more, label %loop, label %endl
endl:
  %vdl = fpext {F} %fan to {D}
  %accl = fadd {D} %accn, %vdl
  br i1 %last, label %fin, label %tail
tail:
  %acct = phi {D} [zeroinitializer,%entry],[%accl,%endl]
  %seent = phi {B} [zeroinitializer,%entry],[%seen2,%endl]
  %hz = icmp eq i64 %rem, 0
  br i1 %hz, label %done, label %prep
prep:
  store {F} zeroinitializer, ptr %bufx, align 64
  store {F} zeroinitializer, ptr %bufy, align 64
  %tx = getelementptr float, ptr %px, i64 %main
  %ty = getelementptr float, ptr %py, i64 %main
  %bytes = shl i64 %rem, 2
  call void @llvm.memcpy.p0.p0.i64(ptr %bufx, ptr %tx, i64 %bytes, i1 false)
  call void @llvm.memcpy.p0.p0.i64(ptr %bufy, ptr %ty, i64 %bytes, i1 false)
  %l32 = trunc i64 %rem to i32
  %r0 = insertelement {I} undef, i32 %l32, i32 0
  %rv = shufflevector {I} %r0, {I} undef, {I} zeroinitializer
  %tm = icmp ult {I} {lanes}, %rv
  br label %loop
fin:
  %tg = getelementptr float, ptr %pg, i64 %main
  %fb = shl i64 %rem, 2
  call void @llvm.memcpy.p0.p0.i64(ptr %tg, ptr %bufg, i64 %fb, i1 false)
  {loss_tail}
  br label %done
done:
  %tot = phi {D} [%acct,%tail],[%accl,%fin]
  %seenf = phi {B} [%seent,%tail],[%seen2,%fin]
  %sum = call reassoc double @llvm.vector.reduce.fadd.v{n}f64(double 0.0, {D} %tot)
  %any = bitcast {B} %seenf to {bits}
  %ok = icmp eq {bits} %any, 0
  %result = select i1 %ok, double %sum, double 0x7FF8000000000000
  ret double %result
}}
"""

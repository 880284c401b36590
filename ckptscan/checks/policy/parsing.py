"""A line of policy -> a Rule: a parser that goes down the grammar of the package."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from ckptscan.checks.policy import words
from ckptscan.checks.policy.scanning import Scanner
from ckptscan.checks.policy.values import (
    EVERYTHING,
    Amount,
    Assertion,
    Compared,
    Group,
    Limit,
    NoFiles,
    OfBits,
    OfDTypes,
    OfShape,
    Rule,
    Stated,
    Unwanted,
)
from ckptscan.errors import UsageError

LONGEST = 1000  # characters of a line
_SYMBOLS = {"==": "=", "≤": "<=", "≥": ">="}
_COMPARISONS = ("=", "!=", "<", "<=", ">", ">=")
_SEVERITIES = ("error", "warning", "info")
_MEASURES = ("bytes", "tensors", "parameters")
_MOST_DIMS = 16


def parse_rule(text: str, severity: str = "", reason: str = "", path: str = "") -> Rule:
    """The rule that a line says; raises UsageError that names the column and the nearest word.

    What is given beside the text goes before what the text says.
    """
    text = text.strip()
    if not text or len(text) > LONGEST or not text.isprintable():
        raise UsageError(f"a line of {len(text):,} characters", f"1 to {LONGEST:,}, on one line")
    parser = _Parser(text)
    said = parser.severity()
    assertion = parser.assertion()
    why = parser.reason()
    return Rule(parser.asserted, assertion, severity or said, reason or why, path)


class _Parser(Scanner):
    """What the rules of the grammar make of the tokens at hand."""

    def severity(self) -> str:
        """`warning:` at the start; error where nothing is said."""
        is_said = len(self.tokens) > 1 and self.tokens[1].text == ":"
        if not is_said:
            return "error"
        if self.word() not in _SEVERITIES:
            self.wrong("a severity", _SEVERITIES)
        said = self.word()
        self.place, self.first = 2, self.tokens[1].start + 1
        return said

    def reason(self) -> str:
        """What stands after `because`; nothing else may follow an assertion."""
        if self.token.kind:
            self.wrong("the end, or because", ["because", "or", "over", "in", "of"])
        return self.why

    def assertion(self) -> Assertion:
        """What the line asserts."""
        if self.takes("no"):
            return self._absence()
        figure, count = self.phrase(words.FIGURES)
        if figure is not None and self._compares(count):
            self.place += count
            return self._comparison(figure)
        fact, count = self.phrase(dict(zip(words.FACTS, words.FACTS, strict=True)))
        if fact is not None and self._compares(count):
            self.place += count
            return self._fact(fact)
        group = self._group("a group, a figure, a fact or no")
        if self.takes("are") or self.takes("is"):
            return self._kind(group)
        if not (self.takes("have") or self.takes("has")):
            self.wrong("are, have or a comparison", ["are", "have", "=", "at most", "at least"])
        if not self.takes("shape"):
            self.wrong("shape", ["shape"])
        return OfShape(group, self._shape())

    def _compares(self, count: int) -> bool:
        """Whether what stands behind so many words makes them a figure or a fact."""
        place = self.place + count
        if place >= len(self.tokens):
            return False
        token = self.tokens[place]
        is_number = place + 1 < len(self.tokens) and self.tokens[place + 1].kind == "number"
        if token.text.lower() == "is":
            return is_number or self.word(count + 1) in ("at", "between")
        return token.kind == "symbol" or token.text.lower() in ("of", "at", "between")

    def _group(self, expected: str) -> Group:
        glob = self.take("string")
        if glob is not None:
            if len(glob) < 3:
                self.place -= 1
                self.wrong("a glob between the quotes")
            self.takes("tensors")
            return Group(glob[1:-1], glob=glob[1:-1])
        group, count = self.phrase(words.GROUPS)
        if group is None:
            known = [*words.GROUPS, *words.FIGURES, *words.FACTS, "no"]
            self.wrong(expected, known if "figure" in expected else words.GROUPS)
        self.place += count
        return group

    def _dtypes(self) -> tuple[str, ...]:
        """The dtypes at hand, joined by `or`; none where the first word is no dtype."""
        found: list[str] = []
        while self.word() in words.DTYPE_WORDS:
            found += words.DTYPE_WORDS[self.word()]
            self.place += 1
            if not self.takes("or"):
                return tuple(found)
        if found:
            self.wrong("a dtype", words.DTYPE_WORDS)
        return ()

    def _kind(self, group: Group) -> Assertion:
        if self.token.kind == "number":
            bits = self._whole("bits")
            if not (self.takes("bits") or self.takes("bit")):
                self.wrong("bits", ["bits"])
            return OfBits(group, bits)
        dtypes = self._dtypes()
        if not dtypes:
            self.wrong("a dtype or a number of bits", words.DTYPE_WORDS)
        return OfDTypes(group, dtypes)

    def _whole(self, of_what: str) -> int:
        value = self._amount(())
        if value.value.denominator != 1 or value.value > 1 << 40:
            self.place -= 1
            self.wrong(f"a whole number of {of_what}")
        return int(value.value)

    def _shape(self) -> tuple[int | None, ...]:
        written = self.take("shape")
        dims = (written or "")[1:-1].replace(" ", "").split(",") if written != "[]" else []
        if written is None or len(dims) > _MOST_DIMS or not all(map(_is_dim, dims)):
            self.place -= written is not None
            self.wrong("a shape, as [4096, *]")
        return tuple(None if dim == "*" else int(dim) for dim in dims)

    def _absence(self) -> Assertion:
        if self.takes("pickle") or self.takes("pickles"):
            self.takes("files")
            return NoFiles("pickle files")
        if self.takes("remote", "code"):
            return NoFiles("remote code")
        if self.takes("files"):
            glob = self.take("string")
            if glob is None or len(glob) < 3:
                self.wrong('a glob, as "*.py"')
            return NoFiles("files", glob[1:-1])
        dtypes = self._dtypes()
        if not dtypes:
            self.takes("tensors")
            known = [*words.DTYPE_WORDS, *words.GROUPS, "pickle", "remote", "files"]
            if self.token.kind != "string" and self.phrase(words.GROUPS)[0] is None:
                self.wrong("a dtype, a group, pickle files, remote code or files", known)
            return Unwanted(self._group("a group"), (), self._limit())
        self.takes("tensors")
        limit = self._limit()
        group = self._group("a group") if self.takes("in") else EVERYTHING
        return Unwanted(group, dtypes, limit or self._limit())

    def _limit(self) -> Limit | None:
        if not self.takes("over"):
            return None
        amount = self._amount(words.SIZES)
        if self.take_symbol("%"):
            measure = "bytes"
            if self.takes("of"):
                measure = self.word()
                if measure not in _MEASURES:
                    self.wrong("bytes, tensors or parameters", _MEASURES)
                self.place += 1
            return Limit(amount, measure)
        if not amount.text.endswith(("B", "bytes")):
            self.wrong("% or a unit of size", ["%", *words.SIZES])
        return Limit(amount)

    def _comparison(self, figure: str) -> Compared:
        group = None
        if self.takes("of"):
            if figure not in words.SUMMED:
                self.place -= 1
                self.wrong(f"a comparison: only {', '.join(words.SUMMED)} are of a group")
            group = self._group("a group")
        units = words.SIZES if figure in words.BYTES else words.COUNTS
        is_said = self.takes("is")
        if self.takes("between"):
            low = self._amount(units)
            if not self.takes("and"):
                self.wrong("and", ["and"])
            return Compared(figure, "between", low, self._amount(units), group)
        comparison = self._relation()
        if comparison is None and not is_said:
            self.wrong("a comparison", [*_COMPARISONS, "at most", "at least", "between"])
        return Compared(figure, comparison or "=", self._amount(units), None, group)

    def _relation(self) -> str | None:
        """The sign of a comparison; None where there is none."""
        if self.takes("at", "most"):
            return "<="
        if self.takes("at", "least"):
            return ">="
        sign = _SYMBOLS.get(self.token.text, self.token.text)
        if sign not in _COMPARISONS:
            return None
        self.place += 1
        return sign

    def _amount(self, units: Iterable[str]) -> Amount:
        written = self.take("number")
        if written is None:
            self.wrong("a number")
        whole, _, decimals = written.replace(",", "").replace("_", "").partition(".")
        value = Fraction(f"{whole}.{decimals}" if decimals else whole)
        unit = self.token.text if self.token.kind == "word" else ""
        if unit not in units:
            if unit in words.SIZES or unit in words.COUNTS:
                self.wrong("a unit that fits the figure", units)
            return Amount(value, Fraction(0), written)
        self.place += 1
        scale = {**words.SIZES, **words.COUNTS}[unit]
        step = scale / 10 ** len(decimals) if scale > 1 else Fraction(0)
        return Amount(value * scale, step, f"{written} {unit}")

    def _fact(self, fact: str) -> Stated:
        if not self.take_symbol("="):
            self.wrong("=", ["="])
        token = self.token
        value = token.text.strip("\"'").lower()
        if token.kind not in ("word", "string") or not value:
            self.wrong(f"a value of {fact}")
        self.place += 1
        if fact == "quantization" and self.token.kind == "number":
            bits = self._whole("bits")
            if not (self.takes("bits") or self.takes("bit")):
                self.wrong("bits", ["bits"])
            return Stated(fact, value, bits)
        return Stated(fact, value)


def _is_dim(dim: str) -> bool:
    return dim == "*" or (dim.isascii() and dim.isdigit() and len(dim) < 19)

# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Citations of docs/rules.md and docs/robustness.md: each number that is cited is there, with words beside it.

The grammar, in comments, in Python strings and in Markdown:

    LIST      5.7.4 | 5.7.4, 5.6 and 2.19 | 7.1 to 7.3 | 4.x
    rule      `rule LIST`, `rules LIST`, `section LIST of the rules`
              a number of three parts, wherever it stands (but not after `RFC 1234,`)
              `LIST` at the beginning of a comment or string, or after a parenthesis (not in Markdown)
    fault     `robustness B4`, `robustness A2, B4`, `robustness finding 4`
              `B4:` at the beginning of a comment or string

and in C the names of tests: test_5_6_2_no_range_of_a_family; in tests/packet, where the rule of a test is a
string, strings as well.
"""
import functools
import io
import re
import tokenize

RULES, FAULTS = "docs/rules.md", "docs/robustness.md"
# where numbers stand that are none
LEFT_OUT = (RULES, FAULTS, "tests/linter/citations.py", "tests/e2e/test_lint.py")
NUMBER = r"(?:1[0-2]|[1-9])\.(?:\d{1,2}(?:\.\d{1,2})?|x)"
JOIN = r"(?:, and | and | to | or |, |/)"
END = r"(?!\.?[\w{%])"  # not a part of something longer, such as an address or a share


def listed(item):
    return rf"{item}(?:{JOIN}{item})*"


RULE_LISTS = [re.compile(text) for text in (
    rf"\b[Rr]ules? (?P<list>{listed(NUMBER)}){END}",
    rf"\b[Ss]ections? (?P<list>{listed(r'(?:1[0-2]|[1-9])(?:[.][0-9]{1,2})*')}){END} of the rules",
    rf"(?<![\w.:/-])(?P<list>{NUMBER.replace('|x', '')}){END}",
    rf"(?:^|\()(?P<list>{listed(NUMBER)}){END}(?=[:,;)]| rows?\b| last row| [a-z]{{3}})",
)]
THREE = re.compile(r"\d+\.\d+\.\d+")
FAULT = r"[A-EG]\d{1,2}"
FAULT_LISTS = [re.compile(text) for text in (
    rf"\b[Rr]obustness (?P<list>{listed(FAULT)})\b", rf"^(?P<list>{listed(FAULT)}):",
    r"\b[Rr]obustness (?P<list>finding \d+)\b")]
OTHER_SOURCE = re.compile(r"\bRFC \d+,? (?:section )?$")
TEST_NAME = re.compile(r"\btest_(\d{1,2})_(\d{1,2})(?:_(\d{1,2}))?(?=_[a-z]|\()")
ELSEWHERE = re.compile(r"\bthe design\b|\b[Dd]esign(?:'s)? (?:section|promise|goal)|\b[Pp]romises? \d")
DEFINED_RULE = re.compile(rf"^(?:\*\*({NUMBER})\*\*|##+ (\d+(?:\.\d+)?)[. ])")
DEFINED_FAULT = re.compile(rf"^\*\*({FAULT}|Finding \d+)\.?\*\*")
# what is left of a comment without any word of its own beside the number
EMPTY = re.compile(r"\b(?:robustness|rules?|sections?|and|to|or|of|the|see|by|finding)\b|[\W\d_]|\b\w\b", re.I)


def comments_of_c(text, strings=False):
    """The comments of a C source (and its strings) with the offsets of their first characters."""
    token = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|//[^\n]*|/\*.*?\*/', re.S)
    for found in token.finditer(text):
        if found[0].startswith("//"):
            yield found.start() + 2, found[0][2:]
        elif found[0].startswith("/*"):
            yield found.start() + 2, found[0][2:-2]
        elif strings and found[0].startswith('"'):
            yield found.start() + 1, found[0][1:-1]


def words_of_python(text):
    """Comments and strings."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            at = starts[token.start[0] - 1] + token.start[1]
            if token.type == tokenize.COMMENT:
                yield at + 1, token.string[1:]
            elif token.type == tokenize.STRING:
                quote = re.match(r"\w*(\"\"\"|'''|\"|')", token.string)
                yield at + quote.end(), token.string[quote.end():-len(quote[1])]
    except (tokenize.TokenError, SyntaxError):  # check_python tells of it
        return


def words_of_shell(text):
    for found in re.finditer(r"(?m)(?:^|\s)#([^\n]*)", text):
        yield found.start(1), found[1]


def words_of(tree, name):
    """The texts of a file in which citations are looked for: (line number of the first character, text)."""
    language = tree.language(name)
    if language is None and not name.endswith(".md"):
        return
    text = "\n".join(tree.text[name])
    split = {"c": functools.partial(comments_of_c, strings=name.startswith("tests/packet/")), "python": words_of_python, "shell": words_of_shell,
             "make": words_of_shell}.get(language, lambda whole: [(0, whole)])
    for at, words in split(text):
        yield text.count("\n", 0, at) + 1, words


def plain(words):
    """One line of text of a comment: stars and line breaks become blanks, the length stays."""
    return re.sub(r"\n[ \t]*[*#]?", lambda found: " " * len(found[0]), words)


def squeezed(words):
    """The same with single blanks, and for each character the offset that it had."""
    text, offsets = [], []
    for at, char in enumerate(plain(words)):
        if not char.isspace():
            text.append(char)
            offsets.append(at)
        elif text and text[-1] != " ":
            text.append(" ")
            offsets.append(at)
    return "".join(text), offsets


def cited(text, patterns, item):
    """The citations in a text, by offset: {offset: number}."""
    found = {}
    for pattern in patterns:
        for match in pattern.finditer(text):
            if pattern is RULE_LISTS[2] and (not THREE.fullmatch(match["list"])
                                             or OTHER_SOURCE.search(text, 0, match.start())):
                continue
            for one in re.finditer(item, match["list"]):
                found[match.start("list") + one.start()] = one[0]
    return found


class Defined:
    """What the two documents define."""

    def __init__(self, tree):
        self.rules, self.faults = set(), set()
        for line in tree.text.get(RULES) or []:
            found = DEFINED_RULE.match(line)
            if found:
                self.rules.add(found[1] or found[2])
        for line in tree.text.get(FAULTS) or []:
            found = DEFINED_FAULT.match(line)
            if found:
                self.faults.add(found[1].lower() if found[1][0] == "F" else found[1])

    def missing(self, text, markdown=False):
        """What a text cites and neither document has: {offset: words}."""
        wrong = {}
        patterns = RULE_LISTS[:3] if markdown else RULE_LISTS
        for at, number in cited(text, patterns, rf"{NUMBER}|\d+").items():
            if number.removesuffix(".x") not in self.rules:
                wrong[at] = f"rule {number} is not in {RULES}"
        for at, number in cited(text, FAULT_LISTS, rf"{FAULT}|finding \d+").items():
            if number not in self.faults:
                wrong[at] = f"{number} is not in {FAULTS}"
        return wrong


def alone(text):
    """Whether a comment consists of citations only."""
    if not cited(text, RULE_LISTS, NUMBER) and not cited(text, FAULT_LISTS, FAULT):
        return False
    return not EMPTY.sub("", re.sub(rf"{NUMBER}|\b{FAULT}\b", "", text))


def check_citations(tree):
    if RULES not in tree.text:
        return
    defined = Defined(tree)
    for name in tree.files:
        if tree.text[name] is None or name in LEFT_OUT:
            continue
        for line, words in words_of(tree, name):
            text, offsets = squeezed(words)

            def say(at, what, line=line, words=words, offsets=offsets):
                tree.say(name, line + words.count("\n", 0, offsets[at]), what)

            for at, what in sorted(defined.missing(text, name.endswith(".md")).items()):
                say(at, what)
            for found in ELSEWHERE.finditer(text):
                say(found.start(), f'"{found[0]}": say it, or name ARCHITECTURE.md')
            if tree.language(name) in ("c", "python") and alone(text):
                say(0, "a number alone: say half of the rule beside it")
        if tree.language(name) == "c" and name.startswith("tests/"):
            for number, line in enumerate(tree.text[name], 1):
                for found in TEST_NAME.finditer(line):
                    parts = [part for part in found.groups() if part]
                    # the last number may belong to the words: test_4_2_2_slices
                    if ".".join(parts) not in defined.rules and ".".join(parts[:2]) not in defined.rules:
                        tree.say(name, number, f"rule {'.'.join(parts)} is not in {RULES}")

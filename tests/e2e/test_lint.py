# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""tests/lint finds what it is there for: each check sees a small tree with one thing wrong in it."""
import subprocess
import sys

import pytest

from conftest import REPO

sys.path.insert(0, f"{REPO}/tests/linter")

import citations  # noqa: E402
import rooms  # noqa: E402
import texts  # noqa: E402
import tree as tree_module  # noqa: E402


@pytest.fixture
def find(tmp_path, capsys):
    """Make a tree of these files and say what a check finds in it."""
    def find_in(check, **files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
        tree = tree_module.Tree(str(tmp_path))
        check(tree)
        said = capsys.readouterr().out.splitlines()
        assert len(said) == tree.wrong
        return said
    return find_in


def test_a_room_that_may_not_include_another(find):
    assert find(rooms.check_rooms, lb__base__err_dot_h="", lb__base__err_dot_c='#include "lb/model/plan.h"\n',
                lb__model__plan_dot_h='#include "lb/base/err.h"\n') == [
        "lb/base/err.c:1: room lb/base may not include lb/model (lb/model/plan.h)"]


def test_a_file_in_no_room(find):
    assert find(rooms.check_rooms, cellar__x_dot_c="") == ["cellar/x.c:1: this file is in no room of the house"]


def test_the_leaf_includes_nothing_from_outside(find):
    assert find(rooms.check_rooms, bpf__abi__x_dot_h="#include <linux/types.h>\n#include <stdio.h>\n") == [
        "bpf/abi/x.h:2: room bpf/abi is a leaf and may not include <stdio.h>"]


def test_sources_that_call_each_other(find):
    """a calls b, b calls c, c calls a; what one header needs of another is no call."""
    said = find(rooms.check_circles,
                lb__base__a_dot_h="", lb__base__b_dot_h="", lb__base__c_dot_h='#include "lb/base/a.h"\n',
                lb__base__a_dot_c='#include "lb/base/a.h"\n#include "lb/base/b.h"\n',
                lb__base__b_dot_c='#include "lb/base/c.h"\n', lb__base__c_dot_c='#include "lb/base/a.h"\n')
    assert said == ["lb/base/a.c:1: these include each other: lb/base/a.c, lb/base/b.c, lb/base/c.c"]


def test_headers_that_include_each_other(find):
    said = find(rooms.check_circles, lb__base__a_dot_h='#include "lb/base/b.h"\n',
                lb__base__b_dot_h='#include "lb/base/a.h"\n')
    assert said == ["lb/base/a.h:1: these include each other: lb/base/a.h, lb/base/b.h"]


@pytest.mark.parametrize("text", ["struct thing {\n", "static const struct thing {\n", "enum thing {\n",
                                  "typedef struct thing {\n"])
def test_two_things_with_one_tag(find, text):
    said = find(rooms.check_tags, bpf__x_dot_h="struct thing {\n\tint a;\n};\n", lb__base__x_dot_c=text,
                lb__base__y_dot_c="static struct thing a = {0};\nstruct thing *f(void);\n")
    assert len(said) == 1 and "lb/base/x.c:1:" in said[0] and "is also at bpf/x.h:1" in said[0]


def test_tags_of_tests_may_repeat_in_files_but_not_in_headers(find):
    said = find(rooms.check_tags, tests__unit__a__x_dot_c="struct row {\n", tests__unit__a__y_dot_c="struct row {\n",
                tests__unit__a__x_dot_h="struct world {\n", tests__unit__a__y_dot_h="struct world {\n",
                lb__base__row_dot_h="struct row {\n")
    assert [line.split(":")[0] for line in said] == ["tests/unit/a/y.h"]


RULES = "# Rules\n\n## 5. Traffic\n\n### 5.7 None\n\n**5.7.4** A.\n\n**5.7** B.\n\n**7.1** C.\n\n**7.3** D.\n"
FAULTS = "**B4** Full.\n\n**Finding 4.** Lost.\n"


@pytest.fixture
def citing(find):
    """What the checker finds in a file of this text, beside small documents."""
    def find_in(text, name="tests__e2e__x_dot_py"):
        return find(citations.check_citations, docs__rules_dot_md=RULES, docs__robustness_dot_md=FAULTS,
                    **{name: text})
    return find_in


@pytest.mark.parametrize("text", [
    "# rule 5.7.4 and more\n", "# as rules 7.1 to 7.3 have it\n", "# Rules 5.x are kept\n", '"""5.7: dropped"""\n',
    '"""5.7, 5.7.4: dropped"""\n', "# dropped (7.1, 7.3)\n", "# section 5 of the rules\n", "# robustness B4: full\n",
    "# robustness finding 4 has the figures\n", "# see RFC 5952, 4.2.2\n", "# 1.5 s are enough\n",
    "# 10.96.0.1 is an address\n", "# two parts such as 3.4 may be anything\n", "# 0.1.0 is a version\n", "# some 5.12% of all\n"])
def test_citations_that_are_right(citing, text):
    assert citing(text) == []


@pytest.mark.parametrize("text, words", [
    ("# rule 5.7.5 and more\n", "rule 5.7.5"), ("# rules 7.1 to 7.4 as well\n", "rule 7.4"),
    ("# by 5.7.5, not\n", "rule 5.7.5"), ('"""5.8: dropped"""\n', "rule 5.8"),
    ("# dropped (5.7, 5.9)\n", "rule 5.9"), ("# section 6 of the rules\n", "rule 6"),
    ("# robustness B5, B4 alike\n", "B5 is not"), ("# B6: full\n", "B6 is not"),
    ("# robustness finding 5 tells\n", "finding 5"), ("# as the design has it\n", "the design"),
    ("# promise 2: never\n", "romise 2"), ("# rule 5.7.4\n", "a number alone"), ("# robustness B4\n", "a number alone")])
def test_citations_that_are_wrong(citing, text, words):
    said = citing(text)
    assert len(said) == 1 and words in said[0] and said[0].startswith("tests/e2e/x.py:1:"), said


def test_citations_in_c_are_looked_for_in_comments_and_names_of_tests(citing):
    said = citing('const char *s = "rule 9.9";\n/*\n * First,\n * then rule\n * 9.8 decides.\n */\n'
                  "static void test_5_7_a_name(void **state)\nstatic void test_9_7_another(void **state)\n",
                  "tests__fuzz__x_dot_c")
    assert [line.split(":")[1] for line in said] == ["5", "8"]
    assert "rule 9.8" in said[0] and "rule 9.7" in said[1]


def test_citations_in_packet_tests_are_looked_for_in_strings_too(citing):
    said = citing('\t{"5.7: no endpoint", CHECK(f)},\n\t{"5.8: not there", CHECK(g)},\n\t{"10.96.0.10", 1},\n',
                  "tests__packet__x_dot_c")
    assert said == ["tests/packet/x.c:2: rule 5.8 is not in docs/rules.md"]


def test_markdown_cites_by_name(citing):
    """A number in parentheses is a version there."""
    assert citing("Linux (6.6), rule 5.7.4, rule 5.7.9\n", "docs__x_dot_md") == [
        "docs/x.md:1: rule 5.7.9 is not in docs/rules.md"]


def test_comments_that_clang_format_has_torn(find):
    assert find(texts.check_comments, lb__base__a_dot_c="/* one line that was too long\n */\n/*\n * a block\n */\n"
                                                        "/* two\n * lines */\n") == [
        "lb/base/a.c:2: the end of a comment alone on its line, though the comment begins beside text"]


def test_banners(find):
    assert find(texts.check_comments, lb__base__a_dot_c="/* ---- the loop */\n/* - a list\n * - of things */\n") == [
        "lb/base/a.c:1: a banner: a heading needs no dashes"]

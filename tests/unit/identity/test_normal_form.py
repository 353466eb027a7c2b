"""The normal form of source text: what enters a digest, and which outer names code uses."""

import json

import pytest

from pytest_kepler.identity.normal_form import GLOBAL, Definition, FileTable, Import, read_file


def table_of(text: str) -> FileTable:
    table = read_file(text)
    assert table is not None
    return table


def only(text: str, name: str = "f") -> Definition:
    (definition,) = table_of(text).named(name)
    return definition


@pytest.mark.parametrize(
    ("text", "refs"),
    [
        pytest.param("def f(x): return x + y", ["y"], id="argument"),
        pytest.param("def f(*a, k, **kw): return a, k, kw, z", ["z"], id="every-kind-of-argument"),
        pytest.param("def f():\n y = 1\n return y", [], id="local"),
        pytest.param("def f():\n y = y1; y1 = 2", [], id="read-before-bound"),
        pytest.param("def f():\n global y\n y = 1\n return y", [f"{GLOBAL}y"], id="global"),
        pytest.param("def f():\n global y\n y += 1", [f"{GLOBAL}y"], id="global-added-to"),
        pytest.param("def f(): return a.b.c(d.e)", ["a.b.c", "d.e"], id="dotted"),
        pytest.param("def f(): return a().b.c", ["a"], id="attribute-of-a-call"),
        pytest.param("def f(): return [x for x in y]", ["y"], id="comprehension"),
        pytest.param("def f(): return [x for x in x]", ["x"], id="first-iterable-is-outside"),
        pytest.param("def f(): return [b for a in c for b in a]", ["c"], id="two-loops"),
        pytest.param("def f(): return {k: v for k, v in p if q}", ["p", "q"], id="dictionary"),
        pytest.param("def f():\n [y := 1 for _ in z]\n return y", ["z"], id="walrus-binds-outside"),
        pytest.param("def f(): return lambda x: x + y", ["y"], id="lambda"),
        pytest.param("def f(a=b, *, c=d): return a", ["b", "d"], id="defaults"),
        pytest.param("def f(a: b) -> c: return a", [], id="annotations"),
        pytest.param("def f():\n a: b = c\n return a", ["c"], id="local-annotation"),
        pytest.param("def f():\n try: pass\n except E as e: return e", ["E"], id="exception"),
        pytest.param("def f():\n with o() as h: return h", ["o"], id="with"),
        pytest.param("def f():\n for i in r: j = i\n return j", ["r"], id="for"),
        pytest.param("def f():\n def g(): return h\n return g", ["h"], id="nested"),
        pytest.param("def f(x):\n def g(): return x\n return g", [], id="closure"),
        pytest.param("def f(x):\n class C(B):\n  y = x\n return C", ["B"], id="class-inside"),
        pytest.param(
            "def f(m):\n match m:\n  case {'a': y, **r}: return y, r\n  case [s, *t]: return s, t",
            [],
            id="patterns",
        ),
        pytest.param(
            "def f(m):\n match m:\n  case K(x=1): return L.x", ["K", "L.x"], id="class-pattern"
        ),
        pytest.param("async def f():\n async for x in y: await z(x)", ["y", "z"], id="async"),
        pytest.param('def f(): return f"{a:{b}} {c!r}"', ["a", "b", "c"], id="f-string"),
        pytest.param("def f():\n import m.n as o\n return o.p", [], id="import-inside"),
        pytest.param("def f():\n y[0] = 1\n z.a = 2", ["y", "z.a"], id="changed-in-place"),
        pytest.param("def f():\n del y", [], id="deleted-is-local"),
    ],
)
def test_a_function_uses_the_names_that_it_does_not_bind(text, refs):
    assert only(text).refs == refs


def test_a_lambda_in_a_class_does_not_see_the_class():
    text = "class C:\n    y = 1\n    z = y\n    f = lambda s: y\n"
    (cls,) = table_of(text).named("C")
    assert cls.refs == ["y"]
    assert only(text, "C.<lambda>").refs == ["y"]


def test_a_name_bound_by_the_class_before_is_the_classs_own():
    (cls,) = table_of("class C:\n    y = 1\n    z = y\n").named("C")
    assert cls.refs == []


def test_imports_inside_a_function_are_listed():
    definition = only("def f():\n    from ..m import a\n    import n.o\n    return a\n")
    assert definition.imports == [Import(2, "m", "a"), Import(0, "n.o", "")]


def test_imports_of_the_module_are_listed_by_the_name_that_they_bind():
    table = table_of(
        "import a.b\nimport c.d as e\nfrom .f import g as h\ntry: import i\nexcept E: i = 1"
    )
    assert table.imports == {
        "a": [Import(0, "a", "")],
        "e": [Import(0, "c.d", "")],
        "h": [Import(1, "f", "g")],
        "i": [Import(0, "i", "")],
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('return "a" "b"', "return 'ab'"),
        ('return f"a"', 'return "a"'),
        ("return f'{x:}'", "return f'{x}'"),
        ("return f'a' f'{x}' 'b'", "return f'a{x}b'"),
        ("return 0x10", "return 16"),
        ("return 1_000.0", "return 1e3"),
        ("return (x)", "return x"),
        ("if x: return 1\n else: pass", "if x: return 1"),
        ("...\n return x", "pass\n return x"),
        ("'text'\n return x", "return x"),
        ("y: int = 1\n return y", "y = 1\n return y"),
        ("y: int\n return x", "return x"),
        ("return u'a'", "return 'a'"),
    ],
)
def test_two_spellings_of_one_thing_have_one_digest(one, other):
    assert only(f"def f(x):\n {one}").digest == only(f"def f(x):\n {other}").digest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("return 1", "return 1.0"),
        ("return 1", "return True"),
        ("return 'a'", "return b'a'"),
        ("return ('a', 'b')", "return 'ab'"),
        ("return x.a.b", "return x.a_b"),
        ("return x, y", "return [x, y]"),
        ("return f'{x}'", "return f'{x!r}'"),
        ("return f'{x}'", "return '{x}'"),
        ("return x - (y - z)", "return x - y - z"),
        ("return x if y else z", "return z if y else x"),
        ("return g(*x)", "return g(**x)"),
        ("return g(x=y)", "return g(y, x)"),
        ("global x1", "nonlocal_ = 1"),
        ("return [a for a in x]", "return {a for a in x}"),
        ("return x[1:2]", "return x[1, 2]"),
        ("return x < y < z", "return x < y and y < z"),
        ("for a in x: b\n else: c", "for a in x: b\n c"),
        ("return 10 ** 5000", "return 10 ** 5001"),
        ("return '\\ud800'", "return '\\ud801'"),
        ("yield x", "await x"),
    ],
)
def test_two_things_have_two_digests(one, other):
    head = "async def f(x, *, y=1):\n "
    assert only(head + one).digest != only(head + other).digest


def test_which_parameter_has_a_default_counts():
    assert only("def f(a, b=1): pass").digest != only("def f(a=1, b=1): pass").digest
    assert only("def f(a, *, b): pass").digest != only("def f(a, b): pass").digest
    assert only("def f(a, /, b): pass").digest != only("def f(a, b): pass").digest


def test_annotations_are_kept_apart_for_decorators_that_may_read_them():
    one, other = only("@d\ndef f(a: int): pass"), only("@d\ndef f(a: str): pass")
    assert one.digest == other.digest
    assert one.annotations != other.annotations
    assert only("@property\ndef f(a: int): pass").annotations.digest == ""


def test_a_table_survives_json():
    text = (
        "import a\nX: int = a.b\nX += 1\n@d.e(1)\ndef f(x: int):\n    import q\n    return x.y\n"
        "class C(B):\n    z = 1\n    def m(self): return self.n\nG = lambda: X\n"
    )
    table = table_of(text)
    again = FileTable.from_json(json.loads(json.dumps(table.to_json())))
    assert json.dumps(again.to_json()) == json.dumps(table.to_json())
    assert again.at(4, "f")[0].decorators[0].name == "d.e"
    assert again.named("C.m")[0].attributes == ["n"]
    assert [row.refs for row in again.assignments["X"]] == [["a.b"], ["X"]]


@pytest.mark.parametrize("text", ["def f(:", "x = '\0'", "(" * 5000 + ")" * 5000])
def test_text_that_cannot_be_parsed_has_no_table(text):
    assert read_file(text) is None


def test_an_invalid_escape_warns_nobody():
    assert read_file(r"x = '\d'") is not None

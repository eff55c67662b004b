"""The language of transforms: what is read, how it is refused, and what runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import passes, transforms
from harness.errors import FormatError, UsageError
from harness.importers.graphdef_ops import TF_OPS
from harness.ops import OPS
from harness.transforms import Transform, bind, parse
from tests.support.graphs import Builder, small_network
from tests.support.pass_graphs import GRAPHS, assert_same_outputs

ROW_2 = """
    strip_unused_nodes(type=float, shape="1,299,299,3")
    remove_nodes(op=Identity, op=CheckNumerics) \\
    fold_constants(ignore_errors=true) fold_batch_norms
    fold_old_batch_norms quantize_weights quantize_nodes sort_by_execution_order add_default_attributes
"""


def test_what_transform_graph_is_given():
    first, second, third, *rest = parse(ROW_2)
    assert first == Transform("strip_unused_nodes", (("type", "float"), ("shape", "1,299,299,3")))
    assert second == Transform("remove_nodes", (("op", "Identity"), ("op", "CheckNumerics")))
    assert third == Transform("fold_constants", (("ignore_errors", "true"),))
    assert [transform.name for transform in rest] == [
        "fold_batch_norms",
        "fold_old_batch_norms",
        "quantize_weights",
        "quantize_nodes",
        "sort_by_execution_order",
        "add_default_attributes",
    ]


NAMES = st.from_regex(r"[A-Za-z0-9_]+", fullmatch=True)
VALUES = st.text().filter(lambda text: '"' not in text)
TRANSFORMS = st.builds(Transform, NAMES, st.lists(st.tuples(NAMES, VALUES), max_size=4).map(tuple))


@given(st.lists(TRANSFORMS, min_size=1, max_size=5), st.sampled_from([" ", "\n", " \\\n  "]))
def test_what_is_written_is_read_again(written, space):
    assert parse(space.join(map(str, written))) == written


@given(st.text(alphabet='ab_1(),="\\ \n', max_size=30))
def test_any_text_is_read_or_refused_with_a_place_in_it(text):
    try:
        read = parse(text)
    except UsageError as error:
        problem = str(error)
    else:
        problem = ""
        assert parse(" ".join(map(str, read))) == read
    assert not problem or problem.startswith(("--transforms: line ", "--transforms: names no"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no transform"),
        ("a b(c d)", "line 1, column 7: expected '=' after b's c, found 'd\\)'"),
        ("a\n  b(c=)", r"line 2, column 7: expected a value for b's c, found '\)'"),
        ('a(b="c)', "line 1, column 8: expected the closing '\"' of a's b, found the end"),
        ("a(b=c", r"line 1, column 6: expected the '\)' of a, found the end"),
        ("a(=c)", r"column 3: expected a parameter of a, or its '\)', found '=c\)'"),
        ("fold_constants)", r"column 15: expected the name of a transform, found '\)'"),
    ],
)
def test_a_syntax_error_says_where(text, message):
    with pytest.raises(UsageError, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strip_unused_node", "unknown transform 'strip_unused_node': did you mean strip_unused_nodes"),
        ("remove_nodes(ops=Identity)", "unknown parameter of remove_nodes 'ops': did you mean op"),
        ("fold_constants(ignore_errors=maybe)", "ignore_errors is true or false, not 'maybe'"),
        ('strip_unused_nodes(shape="1,x")', "shape is a shape like \"1,224,224,3\", not '1,x'"),
        ('strip_unused_nodes(shape="1,-1")', "not '1,-1'"),
        ("round_weights(num_steps=few)", "num_steps is a whole number, not 'few'"),
        ("set_device(device=a, device=b)", "takes device once, not 2 times"),
        ("rename_op(old_op_name=A)", "transform rename_op needs new_op_name"),
        ("quantize_nodes(calibrate=x)", "unknown parameter of quantize_nodes 'calibrate'"),
    ],
)
def test_what_no_pass_takes(text, message):
    with pytest.raises(UsageError, match=message):
        bind(parse(text)[0])


def test_values_become_what_the_signature_says():
    call = bind(
        parse('strip_unused_nodes(shape="1,2", name=a, shape_for_name="", name=b, shape_for_name=3)')[0]
    )
    assert call.arguments == {"shape": (1, 2), "name": ["a", "b"], "shape_for_name": [(), (3,)]}
    assert bind(parse("set_device(if_default=TRUE)")[0]).arguments == {"if_default": True}


def test_tensorflows_names_of_ops_mean_the_irs():
    assert bind(parse("remove_nodes(op=AvgPool, op=Relu)")[0]).arguments == {"op": ["AveragePool2D", "Relu"]}
    assert all(name in OPS or transforms.TF_OPS[name] in OPS for name in TF_OPS)


@pytest.mark.parametrize("name", passes.NAMES)
def test_every_pass_can_be_named(name):
    params = {
        "remove_attribute": {"attribute_name": "a"},
        "rename_attribute": {"old_attribute_name": "a", "new_attribute_name": "b"},
        "rename_op": {"old_op_name": "a", "new_op_name": "b"},
    }
    bind(Transform(name, tuple(params.get(name, {}).items())))


def test_each_runs_once_in_order():
    graph, seen = GRAPHS["batch_norm_chain"](), []
    text = "fold_constants sort_by_execution_order fold_old_batch_norms"
    after = transforms.apply(graph, parse(text), lambda name, before, after: seen.append(name))
    assert seen == text.split()
    assert_same_outputs(graph, after)


def failing():
    b = Builder()
    return b.build(b.node("Relu", b.input((1, 4))))


def test_an_error_names_its_transform():
    with pytest.raises(FormatError, match=r"transform rename_op: .*inputs do not fit"):
        transforms.apply(failing(), parse("rename_op(old_op_name=Relu, new_op_name=Conv2D)"))


def test_ignored_errors_leave_the_graph_and_are_reported():
    reports = []
    bad = "rename_op(old_op_name=Relu, new_op_name=Conv2D, ignore_errors=true)"
    text = f"{bad} rename_op(old_op_name=Relu, new_op_name=Relu6)"
    after = transforms.apply(failing(), parse(text), report=reports.append)
    assert [node.op for node in after.nodes] == ["Relu6"]
    assert len(reports) == 1
    assert reports[0].startswith("transform rename_op left out: ")


def test_nothing_runs_before_all_is_understood():
    seen = []
    with pytest.raises(UsageError):
        transforms.apply(small_network(), parse("fold_constants bogus"), lambda *step: seen.append(step))
    assert seen == []

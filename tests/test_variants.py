import numpy as np
import pytest

from harness.errors import UsageError
from harness.formats import runtime_ops
from harness.passes import quantize_weights
from harness.quantize import int8
from harness.quantize.calibrate import Range
from harness.sources import Source
from harness.variants import AS_IT_IS, VARIANTS, kinds_of
from tests.support.graphs import small_network
from tests.support.learned import Learned

MADE = {name: kind for name, kind in VARIANTS.items() if not kind.trained}  # from a float network


@pytest.fixture(scope="module")
def learned():
    return Learned(np.random.default_rng(0).normal(size=(4, 9, 9, 3)))


@pytest.fixture(scope="module")
def ranges():
    return {name: Range(-3.0, 3.0) for name in small_network().tensors}


def test_default_variants_or_those_asked_for_in_their_order():
    source = Source("m", small_network())
    assert list(kinds_of(source, None)) == ["f32", "hybrid", "int8"]
    assert list(kinds_of(source, ["int8", "f32", "int8"])) == ["int8", "f32"]


@pytest.fixture
def with_qat(ranges):
    return Source("m", small_network(), qat=Source("m", int8.quantize(small_network(), ranges)))


def test_all_is_what_can_be_made_and_leaves_studies_out(with_qat):
    made = [name for name, kind in MADE.items() if kind.in_all]
    assert list(kinds_of(Source("m", small_network()), ["all"])) == made
    assert set(kinds_of(with_qat, ["all", "int8-stage1"])) == {*made, "qat", "int8-stage1"}


def test_all_without_samples_leaves_out_what_is_calibrated():
    source = Source("m", small_network())
    assert "int8" not in kinds_of(source, ["all"], samples=False)
    assert list(kinds_of(source, ["all", "int8"], samples=False))[-1] == "int8"


def test_the_trained_network_runs_as_it_is_beside_what_is_made_of_the_float_one(with_qat):
    kinds = kinds_of(with_qat, None)
    assert list(kinds) == ["f32", "hybrid", "int8", "qat"]
    assert kinds["qat"].arithmetic == "int8-qat"
    assert kinds["qat"].make(kinds["qat"].of(with_qat).graph, None) is with_qat.qat.graph
    assert kinds["int8"].of(with_qat) is with_qat


def test_qat_without_its_file_says_what_to_give():
    with pytest.raises(UsageError, match="model 'm': qat is .*give its file with --qat FILE"):
        kinds_of(Source("m", small_network()), ["f32", "qat"])


def test_unknown_variant_suggests_the_nearest():
    with pytest.raises(UsageError, match="unknown variant 'hybird': did you mean hybrid"):
        kinds_of(Source("m", small_network()), ["hybird"])


def test_a_quantized_file_runs_as_it_is_and_becomes_nothing_else(ranges):
    source = Source("m", int8.quantize(small_network(), ranges))
    (kind,) = kinds_of(source, None).values()
    assert kind.arithmetic == "int8"
    assert kind.make(source.graph, None) is source.graph
    with pytest.raises(UsageError, match="quantized already.*cannot become f32, hybrid"):
        kinds_of(source, ["f32", "int8", "hybrid"])
    assert list(kinds_of(source, ["all"])) == ["int8"]


def test_a_file_with_16_bit_activations_says_so(ranges):
    graph = int8.quantize(small_network(), ranges)
    for tensor in graph.tensors.values():
        if tensor.quant is not None and not tensor.is_const:
            tensor.dtype = np.dtype(np.int16)
    (kind,) = kinds_of(Source("m", graph), ["int16"]).values()
    assert kind.arithmetic == "int16"


def test_every_variant_uses_an_arithmetic_that_the_runtime_has(ranges):
    offered = set().union(*(op.arithmetics for op in runtime_ops().values()))
    assert {kind.arithmetic.split("-")[0] for kind in (VARIANTS | AS_IT_IS).values()} == offered


def test_making_a_variant_changes_dtypes_as_its_name_says(learned):
    dtypes = {}
    for name, kind in MADE.items():
        graph = kind.make(small_network(), learned)
        convolution = next(node for node in graph.nodes if node.op == "Conv2D")
        weights = graph.tensors[convolution.inputs[1]].dtype
        dtypes[name] = (weights, graph.tensors[graph.inputs[0]].dtype)
    f32, i8 = np.float32, np.int8
    assert dtypes == {
        "f32": (f32, f32),
        "f16": (np.float16, f32),
        "int8-weights": (f32, f32),
        "hybrid": (i8, f32),
        "int8": (i8, i8),
        "int8-per-tensor": (i8, i8),
        "int8-stage1": (i8, f32),
        "int8-stage2": (i8, f32),
    }


def test_weights_stored_as_int8_make_every_variant(learned):
    small = quantize_weights.run(small_network(), minimum_size=1)
    for name, kind in MADE.items():
        graph = kind.make(small, learned)
        assert ("Dequantize" in {node.op for node in graph.nodes}) == name.startswith("int8-stage"), name


def test_other_steps_make_other_int8_files_and_leave_the_baseline_alone(learned):
    source = Source("m", small_network())
    kinds = kinds_of(source, ["f32", "int8", "int8-per-tensor"], "round")
    assert [kind.steps for kind in kinds.values()] == [None, "round", "one_scale"]
    usual, other = (k["int8"].make(source.graph, learned) for k in (VARIANTS, kinds))
    weights = [graph.const(graph.nodes[0].inputs[1]) for graph in (usual, other)]
    assert not np.array_equal(*weights)


def test_steps_without_a_variant_that_takes_them_are_refused():
    source = Source("m", small_network())
    with pytest.raises(UsageError, match="--ptq goes with a variant that is quantized after training"):
        kinds_of(source, ["f32", "hybrid", "int8-per-tensor"], "equalize")
    with pytest.raises(UsageError, match="unknown quantization step 'equalice'"):
        kinds_of(source, None, "equalice")

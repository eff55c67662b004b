"""Batch norms found in imported graphs, folded in the module, following batches until they are frozen."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from harness import passes  # noqa: E402
from harness.ops import run_reference  # noqa: E402
from harness.train.network import Network  # noqa: E402
from harness.train.norms import batch_norms  # noqa: E402
from tests.support.pass_graphs import batch_norm_chain, fused_batch_norm  # noqa: E402


def chain():
    """Batch norm as arithmetic, as the passes before fold_constants leave it."""
    return passes.apply(batch_norm_chain(), ["remove_nodes"])


@pytest.mark.parametrize("make", [chain, fused_batch_norm])
def test_norms_fold_to_what_the_optimizer_folds(make):
    imported = make()
    optimized = passes.apply(imported)
    norms = batch_norms(imported, optimized)
    assert len(norms) == 2
    x = np.random.default_rng(0).normal(size=imported.tensors["x"].shape).astype(np.float32)
    expected = run_reference(optimized, {"x": x})[optimized.outputs[0]]
    network = Network(optimized, norms, None).eval()
    with torch.no_grad():
        (found,) = network(torch.from_numpy(x), (optimized.outputs[0],))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-4)
    again = run_reference(network.float_graph(), {"x": x})[optimized.outputs[0]]
    np.testing.assert_allclose(again, expected, rtol=1e-4, atol=1e-4)


def test_weights_that_were_changed_further_are_left_folded():
    imported = fused_batch_norm()
    optimized = passes.apply(imported)
    node = next(node for node in optimized.nodes if node.op == "Conv2D")
    optimized.tensors[node.inputs[1]].data *= 2
    assert node.name not in batch_norms(imported, optimized)


def test_living_norms_normalize_by_the_batch_and_frozen_ones_by_what_they_kept():
    imported = chain()
    optimized = passes.apply(imported)
    network = Network(optimized, batch_norms(imported, optimized), None)
    first = network.layer(network.order[0])
    x = torch.from_numpy(np.random.default_rng(0).normal(3, 2, size=(64, 6, 6, 3)).astype(np.float32))
    network.train()
    before = first.norm.mean.clone()
    y = first.norm.by_batch(first._linear(x, first.folded()[0], None))
    np.testing.assert_allclose(y.mean((0, 1, 2)).detach(), first.norm.beta.detach(), atol=1e-4)
    assert not torch.equal(first.norm.mean, before)
    network.freeze_norms(True)
    kept = first.norm.mean.clone()
    network.scores(x)
    assert torch.equal(first.norm.mean, kept)


def test_following_batches_long_enough_gives_the_statistics_of_the_data():
    imported = chain()
    optimized = passes.apply(imported)
    network = Network(optimized, batch_norms(imported, optimized), None).train()
    first = network.layer(network.order[0])
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(256, 6, 6, 3)).astype(np.float32))
    with torch.no_grad():
        for _ in range(100):
            network.scores(x)
        raw = first._linear(x, first.weights * first.size, None)
    np.testing.assert_allclose(first.norm.mean, raw.mean((0, 1, 2)), atol=1e-2)
    np.testing.assert_allclose(first.norm.variance, raw.var((0, 1, 2)), rtol=1e-2)

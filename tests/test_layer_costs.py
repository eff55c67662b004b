"""What nodes take is measured on the device, under its lease."""

from __future__ import annotations

from contextlib import closing

import pytest

import devices
from harness import lease
from harness.deploy import deploy_built
from harness.errors import DeviceError
from harness.layer_costs import Meter
from tests.support.graphs import small_network


def silent(*_shown):
    pass


def test_every_node_has_a_cost(tmp_path):
    graph = small_network()
    with closing(devices.open_device("local")) as device:
        meter = Meter(device)
        costs = meter.costs(graph, tmp_path, silent)
        assert meter.identity == Meter(device).identity
    assert costs.keys() == {node.name for node in graph.nodes}
    assert min(costs.values()) > 0
    assert costs["conv2d"] > costs["reshape"]


def test_nothing_is_measured_on_a_device_that_somebody_else_uses(tmp_path):
    with closing(devices.open_device("local")) as device:
        runner = deploy_built(device).runner
        with lease.held(device, runner), pytest.raises(DeviceError, match="in use"):
            Meter(device).costs(small_network(), tmp_path, silent)

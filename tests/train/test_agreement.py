"""What training simulates is what the runtime predicts, on real networks and images."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

import devices  # noqa: E402
from harness import ptq  # noqa: E402
from harness.datasets import Dataset, open_dataset  # noqa: E402
from harness.predict import predict_all  # noqa: E402
from harness.prepare import open_calibration  # noqa: E402
from harness.sources import Source, open_source  # noqa: E402
from harness.train.fitting import Settings  # noqa: E402
from harness.train.initial import initial  # noqa: E402
from harness.train.network import Network  # noqa: E402
from harness.train.training import train  # noqa: E402

AGREEMENT = 0.999
SHORT = Settings(epochs=2)


def quiet(*_):
    pass


def solar_cells(samples: int | None = None) -> tuple[Source, Dataset]:
    pytest.importorskip("elpv_dataset", reason="needs the extra 'solar'")
    source = open_source("solar_cells")
    return source, open_dataset("solar_cells", source.preprocess, source.input_shape, samples)


def untrained(source: Source, work, steps: str = ptq.DEFAULT, dataset=None):
    """The graph and the arithmetic that training begins with."""
    calibration = open_calibration(source, dataset, work, quiet)
    return initial(ptq.draft(source.trial_graph, calibration, ptq.parse(steps)))


def agreement(network: Network, dataset: Dataset, work) -> float:
    """The share of the data set for which the simulation and the C runtime name the same class."""
    x = np.concatenate([dataset.reals(index) for index in range(len(dataset))])
    graph = network.int8_graph()
    stored = graph.tensors[graph.inputs[0]].quant.quantize(x, np.int8)
    (deployed,) = predict_all(devices.open_device("local"), graph, stored, work, quiet)
    with torch.no_grad():
        output = (network.graph.outputs[0],)
        parts = [network(part, output, exact=True)[0] for part in torch.from_numpy(x).split(50)]
    simulated = torch.cat(parts).flatten(1).argmax(1).numpy()
    return float(np.mean(simulated == deployed.reshape(len(x), -1).argmax(1)))


def test_some_solar_cells_agree(tmp_path):
    source, dataset = solar_cells(40)
    graph, arithmetic = untrained(source, tmp_path)
    assert agreement(Network(graph, {}, arithmetic).eval(), dataset, tmp_path) == 1


@pytest.mark.slow
@pytest.mark.parametrize("steps", [ptq.DEFAULT, "one_scale equalize"])
def test_a_trained_network_agrees_on_the_test_split(tmp_path, steps):
    source, dataset = solar_cells()
    graph, arithmetic = untrained(source, tmp_path, steps)
    trained = train(graph, source.trial_graph, dataset, SHORT, arithmetic, tmp_path, quiet)
    assert agreement(trained.network, dataset, tmp_path) >= AGREEMENT


@pytest.mark.slow
def test_a_trained_mobilenet_agrees_on_the_labs_images(lab, tmp_path):
    """1001 classes, of which the first ones are often a step apart."""
    name = "mobilenet_v1_0.25_128"
    source = open_source(name, str(lab / "models" / f"{name}_frozen.pb"))
    folder = lab / "imagenet_sample"
    dataset = open_dataset(folder, source.preprocess, source.input_shape)
    graph, arithmetic = untrained(source, tmp_path, dataset=str(folder))
    trained = train(graph, source.trial_graph, dataset, SHORT, arithmetic, tmp_path, quiet)
    assert agreement(trained.network, dataset, tmp_path) >= AGREEMENT

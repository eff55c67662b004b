"""`bench predict`: a model's raw output tensors for raw input tensors, on any device."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from devices import Device
from harness import runner_output
from harness.deploy import deploy_built
from harness.errors import FormatError, UsageError
from harness.graph import Graph
from harness.pack import write
from harness.trial import SLOWEST_RUN_S, START_S, Progress

MAX_NPY_BYTES = 4 << 30


def read_inputs(path: Path, graph: Graph) -> np.ndarray:
    """The .npy array of one or more samples in the dtype and shape of the graph's input, batch first.

    Raises UsageError where the file is missing, FormatError where it does not suit the model.
    """
    tensor = graph.tensors[graph.inputs[0]]
    try:
        values = np.load(path, allow_pickle=False, mmap_mode="r")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise FormatError(f"{path} is not a .npy array: {error}") from error
    wanted = f"{np.dtype(tensor.dtype)} of shape (samples, {', '.join(map(str, tensor.shape[1:]))})"
    if not isinstance(values, np.ndarray) or values.nbytes > MAX_NPY_BYTES or not values.size:
        raise FormatError(f"{path} does not hold one array; the model takes {wanted}")
    if values.dtype != tensor.dtype or values.shape[1:] != tensor.shape[1:] or len(values) % tensor.shape[0]:
        raise FormatError(f"{path} holds {values.dtype} of shape {values.shape}; the model takes {wanted}")
    return np.ascontiguousarray(values)


def predict(
    device: Device, graph: Graph, inputs: np.ndarray, work: Path, progress: Progress, *, steps: bool = False
) -> np.ndarray:
    """Runs every sample on the device; returns the first output in its dtype, batch first.

    steps: samples are the steps of one stream: the network's state stays from one to the next, where else
    each begins anew.
    work: a folder on this machine for the files in between. Raises DeviceError or TrialError.
    """
    return predict_all(device, graph, inputs, work, progress, steps=steps)[0]


def predict_all(
    device: Device, graph: Graph, inputs: np.ndarray, work: Path, progress: Progress, *, steps: bool = False
) -> list[np.ndarray]:
    """`predict`, with all outputs of the graph."""
    model, sent, received = work / "predict.qbm", work / "input.bin", work / "output.bin"
    write(graph, model)
    inputs.tofile(sent)
    there = deploy_built(device, [model, sent], lambda text: progress(text, 0, 0))
    output = f"{Path(there.files[sent]).stem}.out"
    nonce = runner_output.new_nonce()
    argv = [there.runner, "predict", "--model", there.files[model], "--nonce", nonce]
    argv += ["--input", there.files[sent], "--output", output]
    argv += ["--state", "keep"] if steps else []
    progress("predicting", 0, len(inputs))
    result = device.run(argv, START_S + SLOWEST_RUN_S * len(inputs))
    runner_output.read(result, nonce, "predict")
    device.pull(output, received)
    return _outputs(received, graph, len(inputs))


def _outputs(path: Path, graph: Graph, samples: int) -> list[np.ndarray]:
    """The arrays of a file that holds, for each run, the outputs one after the other."""
    tensors = [graph.tensors[name] for name in graph.outputs]
    runs = samples // graph.tensors[graph.inputs[0]].shape[0]
    content, size = path.read_bytes(), sum(tensor.nbytes for tensor in tensors)
    if len(content) != runs * size:
        raise FormatError(f"the device returned {len(content)} bytes instead of {runs * size}")
    rows = np.frombuffer(content, np.uint8).reshape(runs, size)
    parts = np.split(rows, np.cumsum([tensor.nbytes for tensor in tensors])[:-1], axis=1)
    return [
        np.ascontiguousarray(part).view(tensor.dtype).reshape(runs * (*tensor.shape, 1)[0], *tensor.shape[1:])
        for part, tensor in zip(parts, tensors, strict=True)
    ]


def npy_bytes(values: np.ndarray) -> bytes:
    """The content of a .npy file."""
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=False)
    return stream.getvalue()

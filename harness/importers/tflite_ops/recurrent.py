"""Recurrent layers and embeddings."""

from __future__ import annotations

import numpy as np
import tflite

from harness.graph import OPTIONAL
from harness.importers.tflite_operator import ACTIVATIONS, Operator, Translation, Translator

CELL_FUNCTIONS = ACTIVATIONS | {tflite.ActivationFunctionType.TANH: "tanh"}


def _inputs(operator: Operator, *counts: int) -> list[str]:
    """All inputs, gaps included: what an input means follows from its place."""
    if len(operator.inputs) not in counts:
        expected = " or ".join(map(str, counts))
        raise operator.error(f"has {len(operator.inputs)} inputs, expected {expected}")
    for name in operator.inputs:
        if name != OPTIONAL and operator.graph.tensors[name].dtype == np.uint8:
            raise operator.error(f"has uint8 weights '{name}', which are not supported: int8 are")
    return operator.inputs


def _cell(operator: Operator, options) -> dict:
    number = options.FusedActivationFunction()
    if number not in CELL_FUNCTIONS:
        raise operator.error(f"has fused activation {number}, which is not supported")
    asymmetric = {"asymmetric": True} if options.AsymmetricQuantizeInputs() else {}
    return {"function": CELL_FUNCTIONS[number]} | asymmetric


def svdf(operator: Operator) -> Translation:
    options = operator.required("SVDFOptions")
    return "Svdf", _inputs(operator, 5), _cell(operator, options) | {"rank": options.Rank()}


def rnn(operator: Operator) -> Translation:
    return "Rnn", _inputs(operator, 5), _cell(operator, operator.required("RNNOptions"))


def sequence_rnn(operator: Operator) -> Translation:
    options = operator.required("SequenceRNNOptions")
    attrs = _cell(operator, options) | {"time_major": options.TimeMajor()}
    return "UnidirectionalSequenceRnn", _inputs(operator, 5), attrs


def bidirectional_rnn(operator: Operator) -> Translation:
    options = operator.required("BidirectionalSequenceRNNOptions")
    attrs = {"time_major": options.TimeMajor(), "merge": options.MergeOutputs()}
    return "BidirectionalSequenceRnn", _inputs(operator, 12), _cell(operator, options) | attrs


def sequence_lstm(operator: Operator) -> Translation:
    options = operator.required("UnidirectionalSequenceLSTMOptions")
    if options.DiagonalRecurrentTensors():
        raise operator.error("has diagonal recurrent weights, which are not supported")
    if options.FusedActivationFunction() == tflite.ActivationFunctionType.NONE:
        raise operator.error("has no activation: TFLite's kernel then reads what it never wrote")
    if operator.graph.tensors[operator.outputs[0]].quant is not None:
        _check_hidden(operator)
    attrs = {
        "time_major": options.TimeMajor(),
        "cell_clip": options.CellClip(),
        "projection_clip": options.ProjClip(),
    }
    return "UnidirectionalSequenceLstm", _inputs(operator, 20, 24), _cell(operator, options) | attrs


def _check_hidden(operator: Operator) -> None:
    """The last of an int8 LSTM's five intermediates gives the quantization of o·act(c), which without a
    projection is the output.
    """
    names, indices = list(operator.graph.tensors), operator.record.IntermediatesAsNumpy()
    if isinstance(indices, int) or len(indices) != 5 or not 0 <= indices[4] < len(names):
        raise operator.error("is int8 and lacks its five intermediate tensors")
    hidden, out = (operator.graph.tensors[name].quant for name in (names[indices[4]], operator.outputs[0]))
    if hidden is None or (hidden.scale[0], hidden.zero_point[0]) != (out.scale[0], out.zero_point[0]):
        raise operator.error("quantizes o·act(c) otherwise than its output, which is not supported")


def embedding_lookup(operator: Operator) -> Translation:
    return "EmbeddingLookup", _inputs(operator, 2), {}


OPERATORS: dict[str, Translator] = {
    "EMBEDDING_LOOKUP": embedding_lookup,
    "SVDF": svdf,
    "RNN": rnn,
    "UNIDIRECTIONAL_SEQUENCE_RNN": sequence_rnn,
    "BIDIRECTIONAL_SEQUENCE_RNN": bidirectional_rnn,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": sequence_lstm,
}

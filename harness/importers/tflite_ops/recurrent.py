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
    attrs = {
        "time_major": options.TimeMajor(),
        "cell_clip": options.CellClip(),
        "projection_clip": options.ProjClip(),
    }
    return "UnidirectionalSequenceLstm", _inputs(operator, 20, 24), _cell(operator, options) | attrs


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

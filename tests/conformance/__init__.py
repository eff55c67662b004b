"""Random small .tflite models of every op: our runtime against LiteRT's reference kernels.

    python -m tests.conformance [--device local,qemu,qemu-armv7] [--per-op 50] [--op NAME] [--arithmetic int8]
    python -m tests.conformance --op ADD --arithmetic int8 --seed 17      one configuration again

An op's configurations come from one function in `cases/` (a file per op family, found by itself):

    @case("ADD", "f32", "int8")
    def add(draw: Draw) -> None:
        shape = draw.shape()
        a, b = draw.input(shape), draw.input(shape)
        draw.operator("ADD", [a, b], [draw.output()], "AddOptions", FusedActivationFunction=draw.activation())

It is called once per seed and adds one operator (or a few) with inputs and outputs of its own to a model of
many; `draw.rng` is the only source of chance and depends on op, arithmetic and seed alone. The files are
written with the schema's bindings, not by our exporter, so that its errors and our importer's cannot cancel.
`draw.arithmetic` is the one drawn for: it decides the dtype and the quantization that `draw.input()` and
`draw.output()` give where the function states none. Names of arithmetics: f32, int8, int16, uint8, int32,
int64, bool; a family may use names of its own ("hybrid") and then states dtypes itself.

Integers must be equal. Floats agree within 1e-6 of each value or, with `relative_to="sums"`, within 1e-6 of
the same op's output on absolute values without an activation: what rounding errors of sums are relative to.
With `relative_to="largest"` the largest
magnitude of the output takes its place. NaN equals NaN.
"""

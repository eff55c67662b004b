import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.quantize.calibrate import Range, activation_quantization

FINITE = st.floats(-1e6, 1e6)


@given(FINITE, FINITE)
def test_zero_is_exact_and_the_range_is_covered(a, b):
    seen = Range(min(a, b), max(a, b))
    quant = activation_quantization(seen)
    stored_zero = quant.quantize(np.float32([0.0]), np.int8)
    assert quant.dequantize(stored_zero) == 0.0
    step = float(quant.scale[0])
    low, high = quant.dequantize(np.int8([-128, 127]))
    if step != 1.0:
        assert low <= min(seen.low, 0) + step
        assert high >= max(seen.high, 0) - step


def test_relu6_range():
    quant = activation_quantization(Range(0.0, 6.0))
    assert quant.zero_point[0] == -128
    np.testing.assert_allclose(quant.scale, 6 / 255, rtol=1e-6)


def test_activation_that_is_always_zero_has_a_usable_scale():
    quant = activation_quantization(Range(0.0, 0.0))
    assert quant.scale[0] > 0
    assert quant.dequantize(quant.quantize(np.float32([0.0]), np.int8)) == 0

"""Float graph → hybrid or int8 graph, following the TFLite 8-bit quantization specification."""

"""The one ONNX graph of a model: building, loading, quantizing. Only home of ONNX and ONNX Runtime."""

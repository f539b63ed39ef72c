"""Sessions of onnxruntime, all opened the same way."""

import onnxruntime


def single_threaded_session(model: str | bytes) -> onnxruntime.InferenceSession:
    """A model by its path or its bytes. It runs in the calling thread alone, and many threads may call it:
    load scales over calls, not inside one."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

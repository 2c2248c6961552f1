"""Simulated EEG that depends on an age: background noise, alpha rhythm and artefacts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# In the order that most files have.
CHANNELS = tuple("FP1 FP2 F3 F4 C3 C4 P3 P4 O1 O2 F7 F8 T3 T4 T5 T6 A1 A2 FZ CZ PZ".split())  # noqa: SIM905
_FRONT = {"FP1": 1.0, "FP2": 1.0, "F7": 0.5, "F8": 0.5, "F3": 0.4, "F4": 0.4, "FZ": 0.35}
_BACK = {"O1": 1.0, "O2": 1.0, "P3": 0.7, "P4": 0.7, "PZ": 0.75, "T5": 0.7, "T6": 0.7}
_SIDE = {"T3": 1.0, "T4": 1.0, "F7": 0.6, "F8": 0.6, "A1": 0.5, "A2": 0.5}
_BACKGROUND = 12  # independent noise sources that are mixed into the channels


@dataclass(frozen=True)
class Brain:
    """The parameters of all recordings of one person at one age.

    The exponent of the spectrum, its offset and the peak of the alpha rhythm fall with age. Each also differs between
    people, so that the age can only be estimated roughly.
    """

    exponent: float
    offset: float  # log10 of the power at 1 Hz, in uV^2/Hz
    peak: float  # Hz
    alpha: float  # log10 of the rhythm's power
    mixing: NDArray[np.float64]  # (channels, sources)


def draw_brain(age: float, generator: np.random.Generator, slowing: float = 0.0) -> Brain:
    """Draw the spectrum of a person of a given age.

    Args:
        age: In years.
        generator: Source of the differences between people.
        slowing: Slow-wave power added as in abnormal recordings (log10); 0 in normal ones.
    """
    return Brain(
        exponent=1.6 - 0.008 * (age - 20) + generator.normal(0, 0.14) + 0.4 * slowing,
        offset=1.9 - 0.006 * (age - 20) + generator.normal(0, 0.16) + slowing,
        peak=10.4 - 0.022 * (age - 20) + generator.normal(0, 0.5) - slowing,
        alpha=1.6 - 0.007 * (age - 20) + generator.normal(0, 0.25),
        mixing=generator.normal(0, 1, (len(CHANNELS), _BACKGROUND)) / np.sqrt(_BACKGROUND) + 0.15,
    )


def simulate_eeg(brain: Brain, seconds: float, rate: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Simulate a recording of the 21 channels.

    Args:
        brain: The parameters of the person.
        seconds: Duration.
        rate: Sampling rate in Hz.
        generator: Source of the signals and the artefacts.

    Returns:
        (21, seconds * rate) in microvolts, from -1000 to 1000.
    """
    length = round(seconds * rate)
    frequencies = np.fft.rfftfreq(length, 1 / rate)
    density = 10**brain.offset / np.maximum(frequencies, 0.3) ** brain.exponent
    background = _noise(np.sqrt(density), _BACKGROUND, length, rate, generator)
    bell = 10**brain.alpha * np.exp(-np.square((frequencies - brain.peak) / 1.2) / 2)
    rhythm = _noise(np.sqrt(bell), 2, length, rate, generator)
    signal = brain.mixing @ background
    left = np.array([name[-1] in "13579" for name in CHANNELS])
    signal += _channel_weights(_BACK, 0.25)[:, None] * np.where(
        left[:, None], rhythm[0], 0.6 * rhythm[0] + 0.8 * rhythm[1]
    )
    signal += _channel_weights(_FRONT)[:, None] * _blinks(length, rate, generator)
    signal += _muscles(length, rate, generator)
    signal += generator.uniform(0, 3) * np.sin(2 * np.pi * 60 * np.arange(length) / rate)  # mains hum
    signal += generator.normal(0, 1, signal.shape)
    signal += generator.normal(0, 15, (len(CHANNELS), 1))  # offsets of the electrodes
    return np.clip(signal, -1000, 1000)


def simulate_ecg(seconds: float, rate: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Simulate an electrocardiogram, (seconds * rate,) in microvolts."""
    time = np.arange(round(seconds * rate)) / rate
    phase = (time * generator.uniform(0.9, 1.6)) % 1
    wave = 700 * np.exp(-np.square((phase - 0.3) / 0.012)) + 120 * np.exp(-np.square((phase - 0.55) / 0.05))
    return wave + generator.normal(0, 8, len(time))


def photic_marker(seconds: float, rate: int) -> NDArray[np.float64]:
    """The channel that marks the flashes of photic stimulation, (seconds * rate,)."""
    time = np.arange(round(seconds * rate)) / rate
    return np.where((time % 10 > 6) & (time * 8 % 1 < 0.3), 200.0, 0.0)


def _noise(
    amplitude: NDArray[np.float64], rows: int, length: int, rate: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Gaussian noise, (rows, length), whose one-sided power density is amplitude squared."""
    spectrum = generator.normal(size=(rows, len(amplitude))) + 1j * generator.normal(size=(rows, len(amplitude)))
    spectrum[:, 0] = 0
    return np.fft.irfft(spectrum * amplitude * np.sqrt(length * rate) / 2, length)


def _channel_weights(weights: dict[str, float], default: float = 0.03) -> NDArray[np.float64]:
    return np.array([weights.get(name, default) for name in CHANNELS])


def _blinks(length: int, rate: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Bumps of about a third of a second, about one every four seconds."""
    blinks = np.zeros(length)
    blinks[generator.integers(length, size=generator.poisson(length / rate / 4))] = 1
    width = round(0.35 * rate)
    bump = np.hanning(width) * generator.uniform(60, 150)
    return np.convolve(blinks, bump)[:length]


def _muscles(length: int, rate: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Occasional bursts of fast activity at the temples."""
    burst = np.zeros(length)
    for _ in range(generator.poisson(length / rate / 20)):
        start = int(generator.integers(length))
        burst[start : start + int(rate * generator.uniform(0.3, 2))] = generator.uniform(8, 40)
    fast = np.diff(generator.normal(0, 1, (len(CHANNELS), length + 1)), axis=1) / np.sqrt(2)
    return _channel_weights(_SIDE, 0.1)[:, None] * burst * fast

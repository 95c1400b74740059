"""MP4 videos in H.264, encoded by PyAV (the extra ``video``).

FFmpeg's scaler enlarges a frame and turns it into YUV in one go. The lines of text are put into the planes afterwards:
they are grey, and so need no conversion.
"""

from __future__ import annotations

import importlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from gym_h5record.errors import MissingDependencyError, WriterError
from gym_h5record.media.films import Film
from gym_h5record.media.mosaic import shown_size

__all__ = ["Mp4Film"]

_CODEC = "libx264"
_OPTIONS = {"preset": "ultrafast", "crf": "20"}
"""Encodes 160x210 pixels at 3.4 times, 320x420 pixels at 1.7 times the speed of ``medium``, which RecordVideo uses for
160x210; files are up to twice as large."""

_SECONDS_BETWEEN_KEYFRAMES = 2  # what a player goes through at most when one jumps into the video
_BT601 = 6  # SMPTE 170M: how FFmpeg's scaler turns RGB into YUV
_BLACK, _WHITE, _NO_COLOUR = 16, 235, 128


def _av() -> Any:
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise MissingDependencyError(
            'MP4 needs PyAV, which is not installed: pip install "gym_h5record[video]". A name that ends with .gif '
            "needs nothing else."
        ) from error


class Mp4Film(Film):
    """Writes an MP4 that every browser and phone plays.

    Args:
        path: The file.
        size: Height and width of the pictures.
        fps: Frames per second.
        scale: How many times as large they are shown.
        header: The lines above them, ``(height, width)`` uint8, as wide as the shown picture; or None.
        caption_height: Pixels of the lines below them.

    Raises:
        MissingDependencyError: If PyAV is not installed.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        *,
        fps: float,
        scale: float,
        header: np.ndarray | None,
        caption_height: int,
    ) -> None:
        self._av = _av()
        self._height, self._width = shown_size(size, scale)
        self._interpolation = "POINT" if float(scale).is_integer() else "AREA" if scale < 1 else "BICUBIC"
        self._header = None if header is None else _luma(header)
        self._top = 0 if header is None else _even(len(header))
        self._below = self._top + _even(self._height)  # where the caption begins
        self._shape = (self._below + _even(caption_height), _even(self._width))
        self._is_plain = self._shape == (self._height, self._width)
        self._reformatter = self._av.video.reformatter.VideoReformatter()
        self._container = self._av.open(str(path), "w", format="mp4", options={"movflags": "faststart"})
        try:
            self._stream = self._make_stream(fps)
        except BaseException:
            self._container.close()
            raise

    def _make_stream(self, fps: float) -> Any:
        rate = Fraction(fps).limit_denominator(1001)
        stream = self._container.add_stream(_CODEC, rate=rate, options=_OPTIONS)
        stream.height, stream.width = self._shape
        stream.pix_fmt = "yuv420p"
        stream.thread_type = "AUTO"
        stream.gop_size = max(1, round(_SECONDS_BETWEEN_KEYFRAMES * fps))
        for name in ("colorspace", "color_primaries", "color_trc"):
            setattr(stream.codec_context, name, _BT601)
        return stream

    def add(self, picture: np.ndarray, caption: np.ndarray | None, duration_ms: int) -> None:
        """Encode a frame. All frames are shown for the same time."""
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        scaled = self._reformatter.reformat(
            frame, width=self._width, height=self._height, format="yuv420p", interpolation=self._interpolation
        )
        self._encode(scaled if self._is_plain else self._framed(scaled, caption))

    def close(self) -> None:
        """Encode what the encoder still has, and write the index of the file."""
        self._encode(None)
        self._container.close()

    def abandon(self) -> None:
        """Close the file after an error."""
        self._container.close()

    def _encode(self, frame: Any) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except self._av.error.FFmpegError as error:
            raise WriterError(f"the video cannot be encoded: {error}") from error

    def _framed(self, scaled: Any, caption: np.ndarray | None) -> Any:
        """The frame with the lines above and below it, and an even number of pixels in both directions."""
        frame = self._av.VideoFrame(self._shape[1], self._shape[0], "yuv420p")
        for plane, source, empty in zip(frame.planes, scaled.planes, (_BLACK, _NO_COLOUR, _NO_COLOUR), strict=True):
            to, pixels = _rows_of(plane), _rows_of(source)
            top = self._top * len(to) // self._shape[0]
            to[:] = empty
            to[top : top + len(pixels), : source.width] = pixels[:, : source.width]
        luma = _rows_of(frame.planes[0])
        if self._header is not None:
            luma[: len(self._header), : self._header.shape[1]] = self._header
        if caption is not None:
            luma[self._below : self._below + len(caption), : caption.shape[1]] = _luma(caption)
        return frame


def _rows_of(plane: Any) -> np.ndarray:
    """The memory of a plane as rows, ``(height, bytes of a row)`` uint8."""
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)


_LUMA = np.linspace(_BLACK, _WHITE, 256).round().astype(np.uint8)


def _luma(strip: np.ndarray) -> np.ndarray:
    """Greys from 0 to 255 as the brightness in a video, from 16 to 235."""
    found: np.ndarray = _LUMA[strip]
    return found


def _even(length: int) -> int:
    """The next even number: H.264 has one colour for two pixels."""
    return length + length % 2

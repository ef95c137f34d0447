"""Bytes in a declared encoding as UTF-8, block by block."""

import codecs

_UTF8_BOM = codecs.BOM_UTF8
# Bytes that are no character become ones that UTF-8 has not, so that the reader names their row.
_UNDECODABLE = "lakehouse-undecodable"
_SURROGATES = 0xDC00


def _keep_bytes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(_SURROGATES + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(_UNDECODABLE, _keep_bytes)


class Transcoder:
    """An incremental decoder from a declared encoding to UTF-8.

    What is not of the encoding comes out as bytes that are not UTF-8 either: the row that they are in is
    unreadable, and the others are not. Blocks may be cut anywhere, also within a character.
    """

    def __init__(self, encoding: str) -> None:
        self._decoder = None if encoding == "utf-8" else codecs.getincrementaldecoder(encoding)(_UNDECODABLE)

    def decode(self, block: bytes, *, final: bool = False) -> bytes:
        """The next bytes as UTF-8."""
        if self._decoder is None:
            return block
        return self._decoder.decode(block, final).encode("utf-8", "surrogatepass")


def bom_problem(encoding: str, first: bytes) -> str | None:
    """Why a file that begins so is not in the declared encoding; None where it may be."""
    is_utf16 = first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if encoding in ("utf-16", "utf-32") and not is_utf16 and not first.startswith(codecs.BOM_UTF32_BE):
        return f"has no byte-order mark: declare encoding {encoding}-le or {encoding}-be"
    if is_utf16 and not encoding.startswith(("utf-16", "utf-32")):
        return f"begins with the byte-order mark of UTF-16, and its encoding is declared as {encoding}"
    if first.startswith(_UTF8_BOM) and not encoding.startswith("utf-8"):
        return f"begins with the byte-order mark of UTF-8, and its encoding is declared as {encoding}"
    return None


def without_bom(first: bytes) -> int:
    """How many bytes of UTF-8 its byte-order mark takes: 3 or 0."""
    return len(_UTF8_BOM) if first.startswith(_UTF8_BOM) else 0


def text_problem(encoding: str, raw: bytes) -> str | None:
    """Why a row, as `Transcoder` gives it, is not text of its encoding; None where it is."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return "is not UTF-8" if encoding == "utf-8" else f"is not {encoding}"
    return None


def as_text(raw: bytes) -> str:
    """A row as people see it: what is not text as `\\xfc`."""
    try:
        text = raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return raw.decode(errors="backslashreplace")
    return "".join(
        f"\\x{ord(character) - _SURROGATES:02x}"
        if _SURROGATES <= ord(character) < _SURROGATES + 256
        else character
        for character in text
    )

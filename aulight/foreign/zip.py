"""Members of zip files that anybody may have made: they may claim little and unpack to a thousand times the file."""

import lzma
import zipfile
import zlib
from collections.abc import Iterator

_BLOCK = 4096
"""Packed bytes that are unpacked at once; bzip2 and LZMA make of each whatever it holds."""

UNREADABLE = (OSError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
"""What reading raises of files that are damaged, or made in ways that :mod:`zipfile` does not know: with a password."""


def member_blocks(archive: zipfile.ZipFile, name: str, most: int) -> Iterator[bytes]:
    """The content of a member, piece by piece.

    Args:
        archive: The zip file.
        name: Of the member.
        most: Bytes that it may claim to be; it does not give more than it claims.

    Raises:
        zipfile.BadZipFile: When it claims more, or its content is not what it claims.
    """
    claimed = archive.getinfo(name).file_size
    if claimed > most:
        raise zipfile.BadZipFile(f"unpacks to {claimed >> 20} MB, larger than {most >> 20} MB")
    with archive.open(name) as file:
        while block := file.read(_BLOCK):
            yield block


def read_member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """The whole content of a member; see :func:`member_blocks`."""
    return b"".join(member_blocks(archive, name, most))

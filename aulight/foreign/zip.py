"""Members of zip files that anybody may have made: they may claim little and unpack to a thousand times the file."""

import zipfile
import zlib
from collections.abc import Iterator

_BLOCK = 4096

_BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Ways of packing that are unpacked piece by piece; of bzip2 and LZMA some bytes can become gigabytes at once."""

UNREADABLE = (OSError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What reading raises of files that are damaged, or made in ways that :mod:`zipfile` does not know: with a password."""


def member_blocks(archive: zipfile.ZipFile, name: str, most: int) -> Iterator[bytes]:
    """The content of a member, piece by piece.

    Args:
        archive: The zip file.
        name: Of the member.
        most: Bytes that it may claim to be; it does not give more than it claims.

    Raises:
        zipfile.BadZipFile: When it claims more, its content is not what it claims, or it is packed in an unusual way.
    """
    about = archive.getinfo(name)
    if about.compress_type not in _BOUNDED:
        raise zipfile.BadZipFile("packed by another method than deflate; pack it anew")
    claimed = about.file_size
    if claimed > most:
        raise zipfile.BadZipFile(f"unpacks to {claimed >> 20} MB, larger than {most >> 20} MB")
    with archive.open(name) as file:
        while block := file.read(_BLOCK):
            yield block


def read_member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """The whole content of a member; see :func:`member_blocks`."""
    return b"".join(member_blocks(archive, name, most))

"""Records and messages laid out by hand, in a few lines that share nothing with the library."""

import struct


def crc32c(content):
    """Checksum bit by bit, from the polynomial."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def checksum(content):
    crc = crc32c(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def record(content):
    length = struct.pack("<Q", len(content))
    return length + checksum(length) + content + checksum(content)


def varint(number, *, padding=0):
    number &= (1 << 64) - 1
    out = b""
    while number > 127 or padding > 0:
        out, number, padding = out + bytes([number & 127 | 128]), number >> 7, padding - (number <= 127)
    return out + bytes([number])


def part(number, content, *, padding=0):
    return varint(number << 3 | 2) + varint(len(content), padding=padding) + content


def feature(values):
    if values is None:
        return b""
    if values and isinstance(values[0], bytes):
        return part(1, b"".join(part(1, value) for value in values))
    if values and isinstance(values[0], float):
        return part(2, part(1, struct.pack(f"<{len(values)}f", *values)))
    return part(3, part(1, b"".join(varint(value) for value in values)))


def entry(name, content):
    return part(1, part(1, name.encode()) + part(2, content))


def features(**values):
    return b"".join(entry(name, feature(each)) for name, each in values.items())


def example(**values):
    return part(1, features(**values))


def sequence(context, **steps):
    lists = (entry(name, b"".join(part(1, feature(each)) for each in values)) for name, values in steps.items())
    return part(1, features(**context)) + part(2, b"".join(lists))

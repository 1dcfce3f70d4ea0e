"""One end of an SCTP association, as far as its first two packets, without sockets of SCTP.

answer FAMILY PORT...    says `ready`, then answers each INIT for one of the ports with an INIT ACK
ask ADDRESS PORT         sends an INIT, and says from where it is acknowledged, or `no answer`
"""

import socket
import struct
import sys

SCTP = 132  # RFC 9260; Linux has raw sockets of it whether it speaks it or not
INIT, INIT_ACK = 1, 2
OWN_PORT, OWN_TAG = 5555, 0x1234567
WAIT_SECONDS = 2


def checksum(packet):
    """CRC32c over the packet with its checksum field as zero, RFC 9260, appendix A."""
    crc = 0xFFFFFFFF
    for byte in packet[:8] + bytes(4) + packet[12:]:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return struct.pack("<I", crc ^ 0xFFFFFFFF)


def packet(source, destination, tag, chunk, own_tag):
    body = struct.pack(">BBHIIHHI", chunk, 0, 20, own_tag, 65536, 1, 1, 1)
    bare = struct.pack(">HHII", source, destination, tag, 0) + body
    return bare[:8] + checksum(bare) + bare[12:]


def read(data, family):
    """Ports, kind of chunk and its tag; nothing where it is no such packet or its checksum is wrong."""
    if family == socket.AF_INET:
        data = data[(data[0] & 15) * 4 :]
    if len(data) < 32 or data[8:12] != checksum(data):
        return None
    source, destination = struct.unpack(">HH", data[:4])
    return source, destination, data[12], struct.unpack(">I", data[16:20])[0]


def answer(family, ports):
    raw = socket.socket(family, socket.SOCK_RAW, SCTP)
    print("ready", flush=True)
    while True:
        data, sender = raw.recvfrom(2048)
        found = read(data, family)
        if found and found[2] == INIT and found[1] in ports:
            raw.sendto(packet(found[1], found[0], found[3], INIT_ACK, OWN_TAG), (sender[0], 0))


def ask(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    raw = socket.socket(family, socket.SOCK_RAW, SCTP)
    raw.settimeout(WAIT_SECONDS)
    raw.sendto(packet(OWN_PORT, port, 0, INIT, OWN_TAG), (address, 0))
    try:
        while True:
            data, sender = raw.recvfrom(2048)
            found = read(data, family)
            if found and found[1] == OWN_PORT and found[2] == INIT_ACK:
                return f"{sender[0]} {found[0]}"
    except TimeoutError:
        return "no answer"


if sys.argv[1] == "ask":
    print(ask(sys.argv[2], int(sys.argv[3])))
else:
    answer(socket.AF_INET6 if sys.argv[2] == "6" else socket.AF_INET, [int(port) for port in sys.argv[3:]])

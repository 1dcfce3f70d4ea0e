"""A server of a container that speaks SCTP: `sctp-echo.py ADDRESS PORT`. Says its port, and what it sees.

Each message is answered with the same, as it came; but these are told to do something:

describe...  is answered with what it came as: stream, payload protocol, whether out of order, length
count        from here on, nothing is answered; at the end, says how many messages of how many bytes came
stop         from here on, nothing is read
end          ends the association
abort        breaks it off
"""

import socket
import struct
import sys
import threading

SCTP_RECVRCVINFO, SCTP_INITMSG = 32, 2  # linux/sctp.h
SCTP_SNDINFO, SCTP_RCVINFO, SCTP_UNORDERED = 2, 3, 1
MSG_EOR, SO_SNDBUFFORCE = 0x80, 32
MAX_BYTES = 2 << 20


def say(text):
    print(text, flush=True)


def receive(connection):
    """A whole message with its stream, flags and payload protocol; empty at the end."""
    message = b""
    while True:
        data, control, flags, _ = connection.recvmsg(MAX_BYTES, 128)
        message += data
        if not data or flags & MSG_EOR:
            break
    for level, kind, info in control:
        if (level, kind) == (socket.IPPROTO_SCTP, SCTP_RCVINFO):
            stream, _, flags, protocol = struct.unpack("=HHHxxI", info[:12])
            return message, stream, flags, protocol
    return message, 0, 0, 0


def send(connection, message, stream, flags, protocol):
    info = struct.pack("=HHIII", stream, flags & SCTP_UNORDERED, protocol, 0, 0)
    connection.sendmsg([message], [(socket.IPPROTO_SCTP, SCTP_SNDINFO, info)])


def answer(connection):
    messages = size = counts = 0
    try:
        while True:
            message, stream, flags, protocol = receive(connection)
            if not message:
                break
            messages, size = messages + 1, size + len(message)
            if counts:
                continue
            if message == b"count":
                messages, size, counts = 0, 0, 1
            elif message == b"stop":
                threading.Event().wait()
            elif message == b"end":
                break
            elif message == b"abort":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                break
            elif message.startswith(b"describe"):
                text = f"stream {stream} protocol {protocol} unordered {flags & SCTP_UNORDERED} length {len(message)}"
                send(connection, text.encode(), stream, flags, protocol)
            else:
                send(connection, message, stream, flags, protocol)
        say(f"ended after {messages} messages of {size} bytes")
    except OSError as error:
        say(f"broken off: {error.strerror}")
    connection.close()


address, port = sys.argv[1], int(sys.argv[2])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
server = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
server.setsockopt(socket.IPPROTO_SCTP, SCTP_RECVRCVINFO, 1)
server.setsockopt(socket.IPPROTO_SCTP, SCTP_INITMSG, struct.pack("=HHHH", 100, 100, 0, 0))
server.bind((address, port))
server.listen(64)
say(server.getsockname()[1])
while True:
    accepted, _ = server.accept()
    accepted.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, MAX_BYTES)
    threading.Thread(target=answer, args=(accepted,), daemon=True).start()

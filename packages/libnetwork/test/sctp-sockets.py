"""Real sockets of SCTP, where the kernel has them.

serve PORT...           says `ready`, then answers each message with what it is, on every address
ask ADDRESS PORT        says something, and what comes back, or why nothing does
"""

import socket
import sys
import threading

WAIT_SECONDS = 5


def answer(connection):
    while message := connection.recv(65536):
        connection.send(message)
    connection.close()


def listen(server):
    while True:
        accepted, _ = server.accept()
        threading.Thread(target=answer, args=(accepted,), daemon=True).start()


def serve(ports):
    for port in ports:
        server = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
        server.bind(("::", port))
        server.listen(16)
        threading.Thread(target=listen, args=(server,), daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


def ask(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    client = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
    client.settimeout(WAIT_SECONDS)
    try:
        client.connect((address, port))
        client.send(b"hello")
        return client.recv(65536).decode()
    except OSError as error:
        return str(error.strerror or error)


if sys.argv[1] == "ask":
    print(ask(sys.argv[2], int(sys.argv[3])))
else:
    serve([int(port) for port in sys.argv[2:]])

# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Something that is no API server: python3 impostor.py ADDRESS PORT [CERTIFICATE KEY]. Says `ready`.

It answers each connection in words of another protocol; with a certificate it asks for TLS first, and says `told`
once somebody sends it anything within that.
"""
import socket
import ssl
import sys
import threading


def answer(connection, context):
    try:
        with connection:
            if context is None:
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                return
            with context.wrap_socket(connection, server_side=True) as inner:
                if inner.recv(1):
                    print("told", flush=True)
    except OSError:
        pass


def main():
    context = None
    if len(sys.argv) > 3:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[3], sys.argv[4])
    with socket.create_server((sys.argv[1], int(sys.argv[2]))) as listener:
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=answer, args=(connection, context), daemon=True).start()


if __name__ == "__main__":
    main()

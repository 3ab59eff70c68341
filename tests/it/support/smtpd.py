"""A real SMTP server (aiosmtpd) on a port of loopback: prints the port, then each mail as a line of JSON.

Usage: smtpd.py plain|starttls|implicit CERTIFICATE KEY. The password of `graphkeeper` is PASSWORD; with TLS it is required.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


PASSWORD = b"CANARY-of-the-mail-server"


class Mailbox:
    async def handle_DATA(self, server, session, envelope):
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "content": envelope.content.decode(),
            "tls": session.ssl is not None,
            "authenticated": bool(session.authenticated),
        }
        print(json.dumps(mail), flush=True)
        return "250 taken"


def authenticate(server, session, envelope, mechanism, login):
    return AuthResult(success=login.login == b"graphkeeper" and login.password == PASSWORD, handled=False)


async def serve(mode, certificate, key):
    options, context = {}, None
    if mode != "plain":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        options = {"authenticator": authenticate, "auth_required": True}
    if mode == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    if mode == "implicit":
        # aiosmtpd does not see a TLS that was there before it, and would offer no AUTH.
        options |= {"auth_require_tls": False}
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(Mailbox(), **options), "127.0.0.1", 0, ssl=context if mode == "implicit" else None
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(serve(*sys.argv[1:4]))

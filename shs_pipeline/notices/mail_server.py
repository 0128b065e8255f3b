"""The mail server: how to reach it, and what its refusals mean."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import parseaddr
from typing import TYPE_CHECKING

from shs_pipeline.base.errors import ShsError
from shs_pipeline.notices.texts import one_line

if TYPE_CHECKING:
    from email.message import EmailMessage

    from shs_pipeline.settings.settings import Settings

TIMEOUT_SECONDS = 15
_TOO_LARGE = 552
_LONGEST_ANSWER = 300
# A signed link, to the end of the answer: a server may have broken it over several lines.
_LINK = re.compile(r"\S*x-amz-.*", re.IGNORECASE | re.DOTALL)


class MailServerError(ShsError):
    """The server cannot be used for any mail."""


class MailRefusedError(ShsError):
    """One mail was not taken; others may be.

    Attributes:
        is_final: it will not be taken later either.
        is_too_large: it may be taken without its attachments.
    """

    def __init__(self, problem: str, *, is_final: bool = False, is_too_large: bool = False) -> None:
        super().__init__(
            problem, "Correct the address in the sales_reps workbook, or ask whoever runs the mail server."
        )
        self.is_final = is_final
        self.is_too_large = is_too_large


class MailServer:
    """What the `SHS_SMTP_*` settings name.

    Args:
        settings: with a host and a sender.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.sender = settings.smtp_sender
        self.sender_address = parseaddr(settings.smtp_sender)[1]
        self._place = f"{settings.smtp_host}:{settings.smtp_port}"
        self._session: smtplib.SMTP | None = None

    def __repr__(self) -> str:
        return f"MailServer({self._place})"

    def check(self) -> None:
        """Connect and log in, and send nothing.

        Raises:
            MailServerError: the server cannot be used.
        """
        self._open()
        self.close()

    def send(self, message: EmailMessage, recipient: str) -> None:
        """Hand over a mail, on the connection that is open or a new one.

        Raises:
            MailServerError: the server cannot be used at all.
            MailRefusedError: it does not take this mail, or the connection broke over it.
        """
        session = self._open()
        try:
            session.send_message(message, self.sender_address, [recipient])
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            raise self._refused(recipient, code, said, is_final=code >= 500) from None
        except smtplib.SMTPSenderRefused as error:
            if error.smtp_code == _TOO_LARGE:
                raise self._refused(recipient, error.smtp_code, error.smtp_error) from None
            raise MailServerError(
                f"The mail server {self._place} rejected the sender {self.sender_address} "
                f"({_answer(error.smtp_code, error.smtp_error)}).",
                "Correct SHS_SMTP_SENDER, or allow that address on the server.",
            ) from None
        except smtplib.SMTPNotSupportedError:
            raise MailRefusedError(
                f"The mail server {self._place} does not accept the letters in this address: "
                f"{one_line(recipient)}.",
                is_final=True,
            ) from None
        except smtplib.SMTPResponseException as error:
            raise self._refused(recipient, error.smtp_code, error.smtp_error) from None
        except (smtplib.SMTPException, OSError) as error:
            self.close()
            raise MailRefusedError(
                f"The connection to the mail server {self._place} broke ({_reason(error)})."
            ) from None

    def _refused(
        self, recipient: str, code: int, said: bytes | str, *, is_final: bool = False
    ) -> MailRefusedError:
        whom = one_line(recipient)
        return MailRefusedError(
            f"The mail server {self._place} rejected the mail to {whom} ({_answer(code, said)}).",
            is_final=is_final,
            is_too_large=code == _TOO_LARGE,
        )

    def close(self) -> None:
        """End the connection if there is one."""
        session, self._session = self._session, None
        if session is not None:
            with suppress(smtplib.SMTPException, OSError):
                session.quit()
            session.close()

    def _open(self) -> smtplib.SMTP:
        if self._session is None:
            with self._explained():
                session = self._connected()
                try:
                    self._greet(session)
                except BaseException:
                    session.close()
                    raise
                self._session = session
        return self._session

    def _connected(self) -> smtplib.SMTP:
        host, port = self._settings.smtp_host, self._settings.smtp_port
        if self._settings.smtp_tls == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=context)
        return smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)

    def _greet(self, session: smtplib.SMTP) -> None:
        settings = self._settings
        if settings.smtp_tls == "starttls":
            session.ehlo_or_helo_if_needed()
            if not session.has_extn("starttls"):
                raise MailServerError(
                    f"The mail server {self._place} does not offer STARTTLS, and nothing is sent "
                    "unencrypted.",
                    "Set SHS_SMTP_TLS=tls with its port (465), or SHS_SMTP_TLS=none in a closed network.",
                )
            session.starttls(context=ssl.create_default_context())
        if settings.smtp_user and settings.smtp_password is not None:
            session.login(settings.smtp_user, settings.smtp_password.get_secret_value())

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what fails before the first mail into a sentence, which never holds the password."""
        try:
            yield
        except smtplib.SMTPAuthenticationError as error:
            # Not what the server says: some repeat what was sent.
            raise MailServerError(
                f"The mail server {self._place} rejected the user name and password (code "
                f"{error.smtp_code}).",
                "Correct SHS_SMTP_USER and SHS_SMTP_PASSWORD.",
            ) from None
        except smtplib.SMTPNotSupportedError:
            raise MailServerError(
                f"The mail server {self._place} does not support logging in.",
                "Remove SHS_SMTP_USER and SHS_SMTP_PASSWORD, or use the port for clients (587).",
            ) from None
        except UnicodeError:
            raise MailServerError(
                "SHS_SMTP_USER or SHS_SMTP_PASSWORD contains characters that mail servers do not accept.",
                "Choose a password of plain letters, digits and symbols.",
            ) from None
        except ssl.SSLCertVerificationError as error:
            raise MailServerError(
                f"The certificate of the mail server {self._place} cannot be verified "
                f"({one_line(error.verify_message)}).",
                "Correct SHS_SMTP_HOST; if you use your own certificate authority, set SSL_CERT_FILE to its "
                "file.",
            ) from None
        except ssl.SSLError as error:
            raise MailServerError(
                f"The mail server {self._place} does not work with SHS_SMTP_TLS={self._settings.smtp_tls} "
                f"({error.reason or 'no TLS'}).",
                "Use starttls with port 587, or tls with port 465.",
            ) from None
        except (smtplib.SMTPException, OSError) as error:
            raise MailServerError(
                f"The mail server {self._place} cannot be reached ({_reason(error)}).",
                "Correct SHS_SMTP_HOST and SHS_SMTP_PORT, or start that server; mails wait until then.",
            ) from None


def mail_server(settings: Settings) -> MailServer | None:
    """Return the server that the settings name, None where there is none; nothing is opened yet."""
    return MailServer(settings) if settings.smtp_host else None


def _answer(code: int, said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    # Some servers repeat the link for whose sake they reject a mail, and it opens a statement.
    text = _LINK.sub("[link]", text)
    return one_line(f"{code} {text}", _LONGEST_ANSWER)


def _reason(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    if isinstance(error, TimeoutError):
        return "it does not answer"
    if isinstance(error, smtplib.SMTPResponseException):
        return _answer(error.smtp_code, error.smtp_error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return one_line(str(error), _LONGEST_ANSWER) or type(error).__name__

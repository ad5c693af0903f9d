"""An MKE (UCP) controller as the endpoint: log in, then the Docker API with a bearer token."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from msrctl.engine import patience
from msrctl.engine.transport import TlsContextAdapter, fingerprint_of
from msrctl.errors import Unreachable, UsageFault

if TYPE_CHECKING:
    import ssl

    from msrctl.secret import Secret

LOGIN_SECONDS = 20.0


def base_of(url: str) -> str:
    """``https://host:port`` of what a user gave as --ucp-url, with or without scheme and path.

    Raises:
        UsageFault: it is no https URL; a password is sent there.
    """
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme != "https" or not parts.hostname or parts.username:
        raise UsageFault(
            f"--ucp-url {parts.scheme}://{parts.hostname or ''}: it must be https, without user and password",
            code="UCP-URL",
            hint="Give it as https://HOST[:PORT], with --ucp-username and the password in UCP_PASSWORD.",
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"https://{host}:{parts.port or 443}"


class MkeLogin(AuthBase):
    """Adds the bearer token to requests; logs in when there is none, and once more when one has expired.

    Shared by all clones of an engine, from any thread. MKE documentation: `POST /auth/login` with `username`
    and `password` answers `auth_token`.

    Arguments:
        base: ``https://host:port``.
        username: who logs in.
        password: theirs; it goes into the request's body and nowhere else.
        context: what to trust.
    """

    def __init__(self, base: str, username: str, password: Secret, context: ssl.SSLContext) -> None:
        self._base, self._username, self._password, self._context = base, username, password, context
        self._token: str | None = None
        self._guard = threading.Lock()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Prepares one request."""
        token = self._token_other_than(None)
        request.headers["Authorization"] = f"Bearer {token}"

        def again(answer: requests.Response, **kwargs: Any) -> requests.Response:
            return self._login_again(answer, token, **kwargs)

        request.register_hook("response", again)  # type: ignore[no-untyped-call]
        return request

    def _login_again(self, answer: requests.Response, used: str, **kwargs: Any) -> requests.Response:
        if answer.status_code != 401:
            return answer
        body = answer.request.body
        if body is not None and not isinstance(body, (str, bytes)):
            if not hasattr(body, "seek"):
                return answer  # a stream that is gone cannot be sent twice
            body.seek(0)
        _ = answer.content  # read to the end, so that the connection can be used again
        answer.close()
        request = answer.request.copy()
        request.hooks["response"] = []
        request.headers["Authorization"] = f"Bearer {self._token_other_than(used)}"
        second: requests.Response = answer.connection.send(request, **kwargs)
        second.history.append(answer)
        return second

    def _token_other_than(self, used: str | None) -> str:
        """The token; a new one if there is none, or if the present one is the one that was refused."""
        with self._guard:
            if self._token is None or self._token == used:
                self._token = self._login()
            return self._token

    def _login(self) -> str:
        session = requests.Session()
        session.trust_env = False
        session.mount("https://", TlsContextAdapter(self._context))
        body = {"username": self._username, "password": self._password.reveal_text()}
        with contextlib.closing(session):
            try:
                answer = patience.asked(
                    lambda: session.post(f"{self._base}/auth/login", json=body, timeout=LOGIN_SECONDS),
                    again=True,
                )
            except requests.exceptions.SSLError as error:
                # `from None`: the exception of requests holds the request, and with it the password.
                raise self._untrusted(error) from None
            except requests.RequestException as error:
                raise self._no_answer(error) from None
        if answer.status_code in {400, 401, 403}:
            raise Unreachable(
                f"MKE at {self._base} refuses user {self._username} (HTTP {answer.status_code})",
                code="UCP-LOGIN",
                hint="Check --ucp-username and the password (UCP_PASSWORD).",
            )
        if answer.status_code in patience.GATEWAY:
            raise patience.gateway_fault(answer.status_code, doing="log in", endpoint=self._base)
        try:
            return str(answer.json()["auth_token"])
        except (ValueError, KeyError, TypeError):
            raise Unreachable(
                f"what answers at {self._base}/auth/login (HTTP {answer.status_code}) is not MKE",
                code="UCP-LOGIN",
                hint="Check --ucp-url: it names the controller, for example https://ucp.example.com:443.",
            ) from None

    def _untrusted(self, error: Exception) -> Unreachable:
        parts = urlsplit(self._base)
        print_ = fingerprint_of(parts.hostname or "", parts.port or 443)
        return Unreachable(
            f"the certificate of MKE at {self._base} cannot be trusted: {_reason(error)}",
            code="UCP-CERTIFICATE",
            state="Nothing was sent but the greeting of TLS.",
            hint='If that is your controller\'s certificate, give its CA with --ucp-ca "$(cat ca.pem)" '
            "(MKE shows it at https://HOST/ca), or use --ucp-insecure-tls.",
            details=(f"It shows a certificate with SHA-256 fingerprint {print_}",) if print_ else (),
        )

    def _no_answer(self, error: Exception) -> Unreachable:
        return Unreachable(
            f"no MKE answers at {self._base} ({type(error).__name__})",
            code="NO-ENGINE",
            hint="Check --ucp-url, and that the controller's port can be reached from here.",
        )


def _reason(error: BaseException) -> str:
    """OpenSSL's own words, for example "self-signed certificate"."""
    seen: list[BaseException] = [error]
    for current in seen:
        if message := getattr(current, "verify_message", ""):
            return str(message).rstrip(".")
        inner = [current.__context__, getattr(current, "reason", None), *current.args]
        seen += [e for e in inner if isinstance(e, BaseException) and e not in seen]
    return "the TLS handshake failed"

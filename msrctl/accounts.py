"""The administrator's account: where its password comes from, what is accepted, and its htpasswd line."""

from __future__ import annotations

import secrets
import stat
import string
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msrctl.errors import UsageFault
from msrctl.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

# The registry (CNCF Distribution 2.8.3) keeps no session: it verifies bcrypt on EVERY request, and a push of
# an image is dozens of them. A generated password has 128 random bits, which nobody guesses however fast the
# hash is, so it needs no stretching (2 ms). One that a person chose needs it (about 60 ms a request).
GENERATED_ROUNDS = 5
CHOSEN_ROUNDS = 10

PASSWORD_VARIABLE = "MSRCTL_ADMIN_PASSWORD"  # noqa: S105  # a name, not a password

# bcrypt looks at no more than this many bytes.
_PASSWORD_BYTES = 72
_USERNAME_LENGTH = 64
_USERNAME_CHARACTERS = frozenset(string.ascii_letters + string.digits + "._-@")
# No 0 and o, no 1 and l and i: 31 characters, so 28 of them hold 138 bits.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP_LENGTH = 4, 7

Origin = Literal["file", "environment", "prompt", "generated"]


@dataclass(frozen=True)
class SecretFile:
    """A file that holds a secret in its first line.

    Arguments:
        secret: the first line without its end.
        mode: the file's permission bits.
    """

    secret: Secret
    mode: int


@dataclass(frozen=True)
class PasswordSources:
    """Where a password may come from, in this order: file, environment, prompt, else a generated one.

    Arguments:
        file: path of a file that the operator named; None: none was named.
        environment: value of the environment variable; None: it is not set.
        prompt: asks a person; None: there is no terminal.
    """

    file: str | None = None
    environment: str | None = None
    prompt: Callable[[], Secret] | None = None


@dataclass(frozen=True)
class ChosenPassword:
    """A password and where it came from.

    Arguments:
        secret: the password.
        origin: which source it is from; a generated one has to be shown, once.
        warnings: lines for the operator.
    """

    secret: Secret
    origin: Origin
    warnings: tuple[str, ...] = ()

    @property
    def rounds(self) -> int:
        """The bcrypt cost that suits it."""
        return GENERATED_ROUNDS if self.origin == "generated" else CHOSEN_ROUNDS


def generate_password() -> Secret:
    """A random password of more than 128 bits, in groups, without characters that look like others."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS))
    return Secret("-".join(groups))


def check_username(name: str) -> list[str]:
    """What is wrong with a user name, in words; empty when nothing is."""
    if not name:
        return ["a user name may not be empty"]
    problems = []
    if len(name) > _USERNAME_LENGTH:
        problems.append(f"a user name may have at most {_USERNAME_LENGTH} characters, not {len(name)}")
    if wrong := sorted(set(name) - _USERNAME_CHARACTERS):
        shown = " ".join(each if each.isprintable() and each != " " else repr(each) for each in wrong)
        problems.append(f"a user name has letters a-z, digits and . _ - @ only, not {shown}")
    elif not name[0].isalnum():
        problems.append("a user name begins with a letter or a digit")
    return problems


def check_password(password: Secret) -> list[str]:
    """What is wrong with a password, in words and without any part of it; empty when nothing is."""
    raw = password.reveal()
    if not raw:
        return ["a password may not be empty"]
    problems = []
    if len(raw) > _PASSWORD_BYTES:
        problems.append(
            f"a password may have at most {_PASSWORD_BYTES} bytes, this one has {len(raw)}: bcrypt would "
            f"ignore the rest"
        )
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return [*problems, "a password has to be text in UTF-8"]
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        problems.append("a password may not have line breaks, tabs or other control characters in it")
    return problems


def htpasswd_line(user: str, password: Secret, *, rounds: int) -> Secret:
    """A line for the registry's htpasswd file, without a line end.

    Arguments:
        user: the user name.
        password: the password.
        rounds: bcrypt's cost, `GENERATED_ROUNDS` or `CHOSEN_ROUNDS`.

    Raises:
        UsageFault: the name or the password is not acceptable.
    """
    import bcrypt  # `msrctl --help` does without it

    problems = check_username(user) + check_password(password)
    if problems:
        raise UsageFault("the account is not acceptable", code="ACCOUNT", details=tuple(problems))
    hashed = bcrypt.hashpw(password.reveal(), bcrypt.gensalt(rounds))
    # Same algorithm under the name that Apache's htpasswd writes and every reader of such files knows.
    return Secret(f"{user}:$2y$".encode() + hashed.removeprefix(b"$2b$"))


def verify(htpasswd: Secret, user: str, password: Secret) -> bool:
    """Whether an htpasswd file lets a user in with a password.

    As in the registry the last line of a name counts.

    Arguments:
        htpasswd: the file's text.
        user: the user name.
        password: the password.
    """
    import bcrypt  # `msrctl --help` does without it

    lines = [line for line in htpasswd.reveal().splitlines() if b":" in line and not line.startswith(b"#")]
    entries = dict(line.split(b":", 1) for line in lines)
    hashed = entries.get(user.encode())
    if hashed is None or check_password(password):
        return False
    try:
        return bcrypt.checkpw(password.reveal(), hashed.strip())
    except ValueError:
        return False


def read_secret_file(path: str) -> SecretFile:
    """Read a secret from the first line of a file.

    Raises:
        UsageFault: the file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            first = file.readline().rstrip(b"\r\n")
        mode = stat.S_IMODE(Path(path).stat().st_mode)
    except OSError as error:
        raise UsageFault(
            f"the password file {path} cannot be read: {error.strerror}",
            code="PASSWORD-FILE",
            hint="Name a file that this user may read; its first line is the password.",
        ) from error
    return SecretFile(Secret(first), mode)


def read_password(
    sources: PasswordSources,
    *,
    read_file: Callable[[str], SecretFile] = read_secret_file,
    generate: Callable[[], Secret] = generate_password,
) -> ChosenPassword:
    """Take a password from the first source that there is, and check it.

    A source that is there but holds nothing is an error: to fall through to a generated password would hide
    that, for example, a pipeline's secret is not set.

    Arguments:
        sources: where to look.
        read_file: reads a password file.
        generate: makes a password when there is no source.

    Raises:
        UsageFault: the source cannot be read, or its password is not acceptable; the text has no part of it.
    """
    chosen, where = _first_source(sources, read_file, generate)
    if problems := check_password(chosen.secret):
        raise UsageFault(
            f"the administrator's password {where} is not acceptable",
            code="PASSWORD",
            state="Nothing was changed.",
            hint=f"Give another one; with no file and {PASSWORD_VARIABLE} not set one is asked for or made.",
            details=tuple(problems),
        )
    return chosen


def _first_source(
    sources: PasswordSources, read_file: Callable[[str], SecretFile], generate: Callable[[], Secret]
) -> tuple[ChosenPassword, str]:
    if sources.file is not None:
        found = read_file(sources.file)
        warnings = (
            (f"the password file {sources.file} can be read by everybody: chmod 600 {sources.file}",)
            if found.mode & stat.S_IROTH
            else ()
        )
        return ChosenPassword(found.secret, "file", warnings), f"in the first line of {sources.file}"
    if sources.environment is not None:
        return ChosenPassword(Secret(sources.environment), "environment"), f"in {PASSWORD_VARIABLE}"
    if sources.prompt is not None:
        return ChosenPassword(sources.prompt(), "prompt"), "that was typed"
    return ChosenPassword(generate(), "generated"), "that was made"

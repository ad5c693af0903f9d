"""Obligations of the administrator's account."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msrctl.accounts import (
    CHOSEN_ROUNDS,
    GENERATED_ROUNDS,
    PasswordSources,
    SecretFile,
    check_password,
    check_username,
    generate_password,
    htpasswd_line,
    read_password,
    verify,
)
from msrctl.errors import UsageFault
from msrctl.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path


def test_a_generated_password_holds_128_bits_without_look_alikes() -> None:
    passwords = {generate_password().reveal_text() for _ in range(200)}
    assert len(passwords) == 200
    used = {character for password in passwords for character in password} - {"-"}
    assert not used & set("0oO1lI")
    length = len(next(iter(passwords)).replace("-", ""))
    assert length * math.log2(len(used)) >= 128
    assert all(check_password(Secret(password)) == [] for password in passwords)


@pytest.mark.parametrize("name", ["admin", "ops-1", "a.b_c", "ops@example.com", "1st"])
def test_ordinary_user_names_are_accepted(name: str) -> None:
    assert check_username(name) == []


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("", "empty"),
        ("a:b", "not :"),
        ("a b", "not ' '"),
        ("a\nb", r"not '\n'"),
        ("#admin", "not #"),
        ("-admin", "begins with"),
        ("jürgen", "not ü"),
        ("x" * 65, "at most 64"),
    ],
)
def test_a_user_name_that_would_break_the_file_is_refused_in_words(name: str, part: str) -> None:
    assert part in " ".join(check_username(name))


@pytest.mark.parametrize(
    ("password", "part"),
    [
        ("", "empty"),
        ("x" * 73, "has 73"),
        ("ü" * 37, "has 74"),
        ("a\nb", "line breaks"),
        ("a\0b", "control"),
        (b"\xff", "UTF-8"),
    ],
)
def test_a_password_that_would_not_work_is_refused_without_quoting_it(
    password: str | bytes, part: str
) -> None:
    problems = " ".join(check_password(Secret(password)))
    assert part in problems
    assert not password or str(password) not in problems


@settings(max_examples=25, deadline=None)
@given(password=st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=18))
def test_what_is_accepted_lets_its_user_in_and_nobody_else(password: str) -> None:
    line = htpasswd_line("admin", Secret(password), rounds=4)
    assert line.reveal().startswith(b"admin:$2y$04$")
    assert b"\n" not in line.reveal()
    assert verify(line, "admin", Secret(password))
    assert not verify(line, "admin", Secret(password + "x"))
    assert not verify(line, "root", Secret(password))


def test_a_password_of_exactly_72_bytes_counts_to_its_last_byte() -> None:
    line = htpasswd_line("admin", Secret("x" * 72), rounds=4)
    assert verify(line, "admin", Secret("x" * 72))
    assert not verify(line, "admin", Secret("x" * 71 + "y"))


@pytest.mark.parametrize(("user", "password"), [("a:b", "x"), ("admin", ""), ("admin", "x" * 73)])
def test_an_unacceptable_account_gets_no_line(user: str, password: str) -> None:
    with pytest.raises(UsageFault):
        htpasswd_line(user, Secret(password), rounds=4)


def test_a_file_with_comments_damage_and_a_later_line_is_read_as_the_registry_reads_it() -> None:
    old, new = (htpasswd_line("admin", Secret(word), rounds=4).reveal() for word in ("old", "new"))
    file = Secret(b"# users\n\nbroken\nother:not-a-hash\n" + old + b"\r\n" + new + b"\n")
    assert verify(file, "admin", Secret("new"))
    assert not verify(file, "admin", Secret("old"))
    assert not verify(file, "other", Secret("x"))


def test_the_hash_costs_little_for_a_generated_password_and_more_for_a_chosen_one() -> None:
    assert read_password(PasswordSources()).rounds == GENERATED_ROUNDS == 5
    assert read_password(PasswordSources(environment="chosen")).rounds == CHOSEN_ROUNDS == 10


def never() -> Secret:
    pytest.fail("this source may not be asked")


def test_the_named_file_comes_before_environment_and_prompt() -> None:
    chosen = read_password(
        PasswordSources(file="f", environment="env", prompt=never),
        read_file=lambda _: SecretFile(Secret("from file"), 0o600),
        generate=never,
    )
    assert (chosen.secret.reveal_text(), chosen.origin, chosen.warnings) == ("from file", "file", ())


def test_the_environment_comes_before_the_prompt_and_the_prompt_before_a_generated_one() -> None:
    by_environment = read_password(PasswordSources(environment="env", prompt=never), generate=never)
    assert (by_environment.secret, by_environment.origin) == (Secret("env"), "environment")
    by_prompt = read_password(PasswordSources(prompt=lambda: Secret("typed")), generate=never)
    assert (by_prompt.secret, by_prompt.origin) == (Secret("typed"), "prompt")
    assert read_password(PasswordSources()).origin == "generated"


@pytest.mark.parametrize(
    "sources",
    [PasswordSources(environment=""), PasswordSources(file="f"), PasswordSources(prompt=lambda: Secret(""))],
)
def test_an_empty_source_is_an_error_and_does_not_fall_through(sources: PasswordSources) -> None:
    with pytest.raises(UsageFault, match="not acceptable"):
        read_password(sources, read_file=lambda _: SecretFile(Secret(""), 0o600), generate=never)


def test_a_file_gives_its_first_line_and_a_warning_when_everybody_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b" pass word \r\nsecond line\n")
    file.chmod(0o600)
    chosen = read_password(PasswordSources(file=str(file)))
    assert (chosen.secret, chosen.warnings) == (Secret(" pass word "), ())
    file.chmod(0o644)
    assert "chmod 600" in read_password(PasswordSources(file=str(file))).warnings[0]


def test_a_missing_file_is_named() -> None:
    with pytest.raises(UsageFault, match=r"/nowhere/password cannot be read: No such file"):
        read_password(PasswordSources(file="/nowhere/password"))


def test_nothing_shows_a_password() -> None:
    chosen = read_password(PasswordSources(environment="hunter2"))
    assert "hunter2" not in repr(chosen)
    with pytest.raises(UsageFault) as caught:
        read_password(PasswordSources(environment="hunter2\t"))
    assert "hunter2" not in repr((caught.value, caught.value.details, caught.value.hint))

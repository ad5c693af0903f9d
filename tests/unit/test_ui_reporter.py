"""Progress: log lines without a terminal, live lines on one."""

from __future__ import annotations

import io
import re

import pytest

from msrctl.model.names import service
from msrctl.plan.step import Plan, Step
from msrctl.ui import reporter as reporting
from msrctl.ui.live import TerminalReporter
from msrctl.ui.reporter import PlainReporter, make_reporter
from msrctl.workflows.reporter import Reporter

PLAN = Plan("install", (Step("create", "network", "dtr-ol"),))


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def messages(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str]]:
    out, err = capsys.readouterr()
    assert out == ""
    return [m.groups() for m in re.finditer(r'^time="\S+" level=(\w+) msg="(.*)"$', err, re.MULTILINE)]  # type: ignore[misc]


def test_both_reporters_are_reporters() -> None:
    reporters: list[Reporter] = [PlainReporter(), TerminalReporter(color=False, stream=Terminal())]
    assert len(reporters) == 2


def test_without_a_terminal_every_line_is_a_log_line(capsys: pytest.CaptureFixture[str]) -> None:
    plain = make_reporter()
    plain.info("a")
    plain.warn('b "c"\nd')
    plain.plan(PLAN)
    with plain.step("preflight") as progress:
        progress.detail("9 checks")
    found = messages(capsys)
    assert found[:4] == [
        ("info", "a"),
        ("warning", r"b \"c\"\nd"),
        ("info", "Plan: install"),
        ("info", "  + network dtr-ol"),
    ]
    assert found[4] == ("info", "preflight: begins")
    assert re.fullmatch(r"preflight: done, 9 checks \(0\.\d s\)", found[5][1])
    assert not plain.interactive


def test_a_failing_step_is_an_error_line_and_the_error_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), PlainReporter().step("switch", "5f0c"):
        raise KeyboardInterrupt
    level, message = messages(capsys)[-1]
    assert level == "error"
    assert message.startswith("switch: failed, 5f0c (")


def test_without_a_terminal_a_question_is_answered_with_no(capsys: pytest.CaptureFixture[str]) -> None:
    assert PlainReporter().confirm("Erase all tags?") is False


def test_a_plan_that_is_the_result_is_not_progress_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    PlainReporter(show_plans=False).plan(PLAN)
    assert messages(capsys) == []


@pytest.mark.parametrize("color", [True, False])
def test_on_a_terminal_a_step_stays_as_a_line_with_its_outcome_and_time(color: bool) -> None:
    stream = Terminal()
    live = TerminalReporter(color=color, stream=stream)
    with live.step("preflight") as progress:
        live.info("in between [not markup]")
        progress.detail("9 checks")
        with live.step("inner", "x"):
            pass
    with pytest.raises(ValueError, match="x"), live.step("registry"):
        raise ValueError("x")
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    lines = [line.rstrip() for line in shown.replace("\r", "\n").splitlines()]
    assert "in between [not markup]" in lines
    for pattern in (
        r" ✓ preflight {17}9 checks {33}0\.\d s",
        r" ✓ inner {21}x +0\.\d s",
        r" ✗ registry +0\.\d s",
    ):
        assert any(re.fullmatch(pattern, line) for line in lines), (pattern, lines)
    assert ("\x1b[" in stream.getvalue()) is color


def test_on_a_terminal_titles_of_all_lengths_are_one_column_and_lines_fit() -> None:
    stream = Terminal()
    live = TerminalReporter(color=False, stream=stream)
    for title, detail in (
        ("preflight", "5 checks on node-1"),
        (service("registry", "5f0c2a9be417"), "healthy, an upload opens"),
        (service("nginx", "5f0c2a9be417"), "it answers over HTTPS"),
    ):
        with live.step(title, detail):
            pass
    lines = stream.getvalue().splitlines()
    assert (
        len({line.index(word) for line, word in zip(lines, ("5 checks", "healthy,", "it "), strict=True)})
        == 1
    )
    assert len({line.index("0.") for line in lines}) == 1
    assert max(map(len, lines)) < 80


def test_on_a_terminal_warnings_are_marked_and_kept() -> None:
    stream = Terminal()
    live = TerminalReporter(color=False, stream=stream)
    live.warn("look\x1b[2J here")
    live.plan(PLAN)
    assert live.warnings == ["look\x1b[2J here"]
    assert stream.getvalue().startswith("! look\\x1b[2J here\nPlan: install\n")


def test_a_narrow_encoding_gets_words_for_marks() -> None:
    stream = Terminal()
    stream.encoding = "latin-1"  # type: ignore[misc]
    with TerminalReporter(color=False, stream=stream).step("a"):
        pass
    assert stream.getvalue().startswith(" ok a ")


def test_a_question_is_asked_once_nothing_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    live = TerminalReporter(color=True, stream=Terminal())
    monkeypatch.setattr("msrctl.ui.live.ask", lambda question: question == "Really?" and live._status is None)
    with live.step("preflight"):
        assert live.confirm("Really?")
        assert live._status is not None
    assert live._status is None


@pytest.mark.parametrize(
    ("nocolor", "env", "moving"),
    [
        (False, {}, True),
        (True, {}, False),
        (False, {"NO_COLOR": "1"}, False),
        (False, {"TERM": "dumb"}, False),
    ],
)
def test_colour_can_be_switched_off(
    nocolor: bool, env: dict[str, str], moving: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    live = make_reporter(nocolor=nocolor)
    assert isinstance(live, TerminalReporter)
    assert live._moving is moving


def test_debug_logging_is_in_the_log_form(capsys: pytest.CaptureFixture[str]) -> None:
    import logging

    logger = logging.getLogger("msrctl.test")
    handlers = logging.getLogger("msrctl").handlers[:]
    try:
        reporting.log_to_stderr()
        reporting.log_to_stderr()
        logger.debug("asked %s", "nicely")
        assert messages(capsys) == [("debug", "msrctl.test: asked nicely")]
    finally:
        logging.getLogger("msrctl").handlers[:] = handlers
        logging.getLogger("msrctl").propagate = True

"""The user's Ctrl-C always ends the work; a KeyboardInterrupt that other code raises by itself is that code's fault."""

import os
import signal
import threading

import pytest

from tagxai.contract.foreign import call_foreign
from tagxai.errors import TagxaiError


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000):  # the handler runs between two instructions of Python
        pass


def raise_it():
    raise KeyboardInterrupt


def swallow():
    try:
        press_ctrl_c()
    except BaseException:
        return "done"


def replace():
    try:
        press_ctrl_c()
    except BaseException:
        raise ValueError("something else") from None


def exit_instead():
    try:
        press_ctrl_c()
    except BaseException:
        raise SystemExit(0) from None


def nested():
    return call_foreign("the inner", swallow)


@pytest.mark.parametrize("code", [press_ctrl_c, swallow, replace, exit_instead, nested])
def test_ctrl_c_ends_whatever_other_code_does_with_it(code):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        call_foreign("the plugin", code)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, type("Own", (BaseException,), {})])
def test_what_nobody_pressed_is_an_error_of_the_plugin(error):
    def code():
        raise error

    with pytest.raises(TagxaiError, match="the plugin failed: "):
        call_foreign("the plugin", code)


def test_in_a_thread_no_interrupt_is_the_users():
    seen = []

    def work():
        try:
            call_foreign("the plugin", raise_it)
        except BaseException as error:
            seen.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert [type(error) for error in seen] == [TagxaiError]


@pytest.fixture
def handler(request):
    before = signal.signal(signal.SIGINT, request.param)
    yield request.param
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("handler", [signal.SIG_IGN], indirect=True)
def test_an_ignored_ctrl_c_stays_ignored(handler):
    assert call_foreign("the plugin", lambda: press_ctrl_c() or "done") == "done"
    with pytest.raises(TagxaiError):
        call_foreign("the plugin", raise_it)


CALLS = []


@pytest.mark.parametrize("handler", [lambda number, frame: CALLS.append(number)], indirect=True)
def test_a_program_with_its_own_handler_gets_the_signal(handler):
    with pytest.raises(KeyboardInterrupt):
        call_foreign("the plugin", press_ctrl_c)
    assert CALLS == [signal.SIGINT]

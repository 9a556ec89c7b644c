"""Errors around those of real SDKs, which a loopback server made them raise."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import anthropic
import openai
import pytest

from fallback_exec import AllProvidersFailedError, StandInError
from helpers import PATIENCE
from sdk_vendors import HANG_UP, failing_sdks, raise_failing_sdks, refusing_server
from vendors.sdks import API_KEY

KINDS: dict[str, tuple[type[Exception], type[Exception]]] = {
    "400": (openai.BadRequestError, anthropic.BadRequestError),
    "401": (openai.AuthenticationError, anthropic.AuthenticationError),
    "429": (openai.RateLimitError, anthropic.RateLimitError),
    "500": (openai.InternalServerError, anthropic.InternalServerError),
    HANG_UP: (openai.APIConnectionError, anthropic.APIConnectionError),
}

JOURNEYS: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda error: pickle.loads(pickle.dumps(error)),
    "deepcopy": copy.deepcopy,
    "pickle of a deepcopy": lambda error: pickle.loads(pickle.dumps(copy.deepcopy(error))),
}

every_trouble = pytest.mark.parametrize("trouble", KINDS)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server that refuses everybody."""
    with refusing_server() as url:
        yield url


def survives(error: Exception) -> bool:
    """Return whether the error itself can be pickled and unpickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return False
    return True


def assert_arrived(arrived: AllProvidersFailedError, error: AllProvidersFailedError) -> None:
    """Assert that the group has come through a journey as it should."""
    assert type(arrived) is AllProvidersFailedError
    assert str(arrived) == str(error)
    assert len(arrived.exceptions) == len(error.exceptions) == 2
    for after, before in zip(arrived.exceptions, error.exceptions, strict=True):
        if survives(before):
            assert type(after) is type(before)
        else:
            assert isinstance(after, StandInError)
            assert after.type_name == f"{type(before).__module__}.{type(before).__qualname__}"
        assert str(after) == str(before)
    assert [attempt.error for attempt in arrived.attempts] == list(arrived.exceptions)


class TestErrorsOfSdks:
    """What becomes of vendors' real errors inside of ours."""

    @every_trouble
    def test_are_the_members_as_they_were_raised(self, url: str, trouble: str) -> None:
        """Each vendor's own class, in order, the last one the cause."""
        error = failing_sdks(f"{url}/{trouble}")
        assert tuple(map(type, error.exceptions)) == KINDS[trouble]
        assert error.__cause__ is error.exceptions[-1]

    @every_trouble
    def test_of_openai_cannot_be_unpickled(self, url: str, trouble: str) -> None:
        """Which is what stand-ins are for."""
        first, _ = failing_sdks(f"{url}/{trouble}").exceptions
        with pytest.raises(TypeError):
            pickle.loads(pickle.dumps(first))

    @every_trouble
    @pytest.mark.parametrize("travel", JOURNEYS.values(), ids=JOURNEYS)
    def test_survive_a_journey(self, url: str, trouble: str, travel: Callable[[Any], Any]) -> None:
        """As themselves where they can, else as a stand-in with the same name and text."""
        error = failing_sdks(f"{url}/{trouble}")
        assert_arrived(travel(error), error)

    @every_trouble
    def test_leave_their_requests_behind_as_stand_ins(self, url: str, trouble: str) -> None:
        """A stand-in is text: the request, whose headers hold the API key, does not travel with it."""
        first, _ = failing_sdks(f"{url}/{trouble}").exceptions
        assert API_KEY.encode() in pickle.dumps(first)
        stood_in, _ = pickle.loads(pickle.dumps(failing_sdks(f"{url}/{trouble}"))).exceptions
        assert API_KEY.encode() not in pickle.dumps(stood_in)

    @every_trouble
    def test_are_shared_by_a_copy(self, url: str, trouble: str) -> None:
        """`copy.copy()` copies ours alone."""
        error = failing_sdks(f"{url}/{trouble}")
        copied = copy.copy(error)
        assert copied is not error
        assert copied.exceptions == error.exceptions
        assert copied.__cause__ is error.__cause__

    def test_come_out_of_a_process_pool(self, url: str) -> None:
        """A worker that calls the SDKs raises ours, and the pool goes on."""
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            for trouble in KINDS:
                with pytest.raises(AllProvidersFailedError) as caught:
                    pool.submit(raise_failing_sdks, f"{url}/{trouble}").result(PATIENCE)
                here = failing_sdks(f"{url}/{trouble}")
                assert str(caught.value) == str(here)
                assert [str(error) for error in caught.value.exceptions] == [
                    str(error) for error in here.exceptions
                ]
                assert isinstance(caught.value.exceptions[0], StandInError)

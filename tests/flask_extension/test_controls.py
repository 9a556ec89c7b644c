"""Cooling down and resetting by hand, and who may not."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient
from freezegun.api import FrozenDateTimeFactory
from itsdangerous import URLSafeTimedSerializer

from fallback_exec import BreakerCooldownTracker, InvalidConfigError
from fallback_exec.flask import FallbackExec
from fallback_exec.shared import InMemoryCooldownStore
from flask_sites import Element, Site, read, site

PATHS = ("/providers/cool-down", "/providers/reset")


@pytest.fixture
def tried(clock: FrozenDateTimeFactory) -> Site:
    """An app with controls, and a provider that is cooling down."""
    tried = site(providers=["grok", "gemini"], controls=True)
    tried.open("gemini")
    return tried


def fields(page: Element, provider: str) -> dict[str, str]:
    """Return what the form of a provider brings with it."""
    (card,) = [card for card in page.all("li", class_="card") if card.one("h2").text == provider]
    return {each.attributes["name"]: each.attributes["value"] for each in card.all("input", type="hidden")}


def loaded(client: FlaskClient, provider: str = "grok") -> dict[str, str]:
    """Load the page with a client, which keeps its cookie; return the fields of a form."""
    return fields(read(client.get("/providers/")), provider)


def state(tried: Site, name: str) -> str:
    """Return the state of a provider, which is closed where nothing is known."""
    known = tried.tracker.snapshot().get(name)
    return "closed" if known is None else known.state


class TestControls:
    """What an operator may do."""

    def test_cool_a_provider_down(self, tried: Site) -> None:
        """For as long as a cooldown lasts; then the page is shown again."""
        client = tried.app.test_client()
        answer = client.post("/providers/cool-down", data=loaded(client))
        assert (answer.status_code, answer.headers["Location"]) == (303, "/providers/")
        assert tried.tracker.snapshot()["grok"].cooldown_remaining == 30.0

    def test_reset_a_provider(self, tried: Site) -> None:
        """Its breaker closes."""
        client = tried.app.test_client()
        answer = client.post("/providers/reset", data=loaded(client, "gemini"))
        assert (answer.status_code, answer.headers["Location"]) == (303, "/providers/")
        assert state(tried, "gemini") == "closed"

    def test_have_buttons_with_names(self, tried: Site) -> None:
        """Each says whose it is to who cannot see where it stands."""
        page = read(tried.get("/providers/"))
        labels = [button.attributes["aria-label"] for button in page.all("button")]
        assert labels == ["Cool down grok", "Reset grok", "Cool down gemini", "Reset gemini"]
        assert {form.attributes["method"] for form in page.all("form")} == {"post"}

    def test_work_with_a_store(self) -> None:
        """Then what a hand does is done for all processes."""
        store = InMemoryCooldownStore()
        tried = site(tracker=BreakerCooldownTracker(shared=store), providers=["grok"], controls=True)
        client = tried.app.test_client()
        client.post("/providers/cool-down", data=loaded(client))
        other = BreakerCooldownTracker(shared=store)
        other.acquire("grok")
        assert not other.is_available("grok")

    def test_go_by_the_name_of_one(self, tried: Site) -> None:
        """Whatever stands in the form that no provider is called by is not found."""
        client = tried.app.test_client()
        form = loaded(client)
        assert re.fullmatch("[0-9a-f]{16}", form["provider"])
        for unknown in ("grok", "0" * 16, "", "é"):
            answer = client.post("/providers/cool-down", data={**form, "provider": unknown})
            assert answer.status_code == 404
        assert client.post("/providers/cool-down", data={"token": form["token"]}).status_code == 404
        assert tried.tracker.snapshot().keys() == {"gemini"}


class TestWithout:
    """By default there are none."""

    def test_there_is_no_button_and_no_cookie(self) -> None:
        """Nothing of them shows, and no key is needed."""
        tried = site(providers=["grok"])
        tried.app.secret_key = None
        answer = tried.get("/providers/")
        assert "Set-Cookie" not in answer.headers
        assert read(answer).all("form") == []

    @pytest.mark.parametrize("path", PATHS)
    def test_there_is_nothing_to_post_to(self, tried: Site, path: str) -> None:
        """Not even with a token that another app with the same key has handed out."""
        client = tried.app.test_client()
        form = loaded(client)
        tried.ext.init_app(tried.app, controls=False)
        assert client.post(path, data=form).status_code == 404
        assert (state(tried, "grok"), state(tried, "gemini")) == ("closed", "open")

    def test_there_is_no_way_to_begin_without_a_key(self) -> None:
        """The first request says what is missing."""
        tried = site(controls=True)
        tried.app.secret_key = None
        tried.app.testing = True
        rule = "SECRET_KEY must be set in an app that has controls=True"
        with pytest.raises(InvalidConfigError, match=rule):
            tried.get("/providers/")
        with pytest.raises(InvalidConfigError, match=rule):
            tried.app.test_client().post("/providers/reset")


class TestForgery:
    """Requests that the page has not made."""

    @pytest.mark.parametrize("path", PATHS)
    def test_links_do_nothing(self, tried: Site, path: str) -> None:
        """What a GET may do, an image in a letter may."""
        client = tried.app.test_client()
        for response in (client.get(path, query_string=loaded(client)), client.head(path)):
            assert response.status_code == 405
        assert set(client.options(path).allow or ()) == {"OPTIONS", "POST"}
        assert (state(tried, "grok"), state(tried, "gemini")) == ("closed", "open")

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("token", [None, "", "x", "a.b.c", "é", "\x00"])
    def test_without_a_token_is_refused(self, tried: Site, path: str, token: str | None) -> None:
        """A form of another site's has none, or makes one up."""
        client = tried.app.test_client()
        form = {**loaded(client), "token": token}
        answer = client.post(path, data={key: value for key, value in form.items() if value is not None})
        assert answer.status_code == 403
        assert (state(tried, "grok"), state(tried, "gemini")) == ("closed", "open")

    def test_without_the_cookie_is_refused(self, tried: Site) -> None:
        """A browser sends a strict cookie with no request of another site's."""
        form = loaded(tried.app.test_client())
        assert tried.app.test_client().post("/providers/cool-down", data=form).status_code == 403
        assert state(tried, "grok") == "closed"

    @pytest.mark.parametrize("cookie", ["", "x", "é", "A" * 43])
    def test_with_another_cookie_is_refused(self, tried: Site, cookie: str) -> None:
        """A token belongs to one browser."""
        form = loaded(tried.app.test_client())
        client = tried.app.test_client()
        client.set_cookie("fallback_exec_controls", cookie, path="/providers/")
        assert client.post("/providers/cool-down", data=form).status_code == 403
        assert state(tried, "grok") == "closed"

    def test_with_somebody_else_s_token_is_refused(self, tried: Site) -> None:
        """Also where that somebody may see the page themselves."""
        attacker, victim = tried.app.test_client(), tried.app.test_client()
        loaded(victim)
        assert victim.post("/providers/cool-down", data=loaded(attacker)).status_code == 403
        assert state(tried, "grok") == "closed"

    @pytest.mark.parametrize(
        ("site_of_origin", "code"),
        [("same-origin", 303), ("same-site", 403), ("cross-site", 403), ("none", 403)],
    )
    def test_from_elsewhere_is_refused(self, tried: Site, site_of_origin: str, code: int) -> None:
        """A neighbour in the same domain can set a cookie to go with its token: browsers tell on it."""
        client = tried.app.test_client()
        headers = {"Sec-Fetch-Site": site_of_origin}
        answer = client.post("/providers/cool-down", data=loaded(client), headers=headers)
        assert answer.status_code == code

    def test_with_a_token_for_something_else_is_refused(self, tried: Site) -> None:
        """What the same key has signed for another purpose is no token, nor is a list."""
        client = tried.app.test_client()
        client.set_cookie("fallback_exec_controls", "A" * 43, path="/providers/")
        form = loaded(client)
        key = "of the tests"
        for value, salt in (("A" * 43, "cookie-session"), (["A" * 43], "fallback_exec.flask.controls")):
            token = URLSafeTimedSerializer(key, salt=salt).dumps(value)
            assert client.post("/providers/cool-down", data={**form, "token": token}).status_code == 403
        token = URLSafeTimedSerializer(key, salt="fallback_exec.flask.controls").dumps("")
        bare = tried.app.test_client()
        assert bare.post("/providers/cool-down", data={**form, "token": token}).status_code == 403
        assert state(tried, "grok") == "closed"


class TestToken:
    """How long, and where, a token is good."""

    def test_is_good_for_an_hour(self, tried: Site, clock: FrozenDateTimeFactory) -> None:
        """The page that somebody sees renews it all the time."""
        client = tried.app.test_client()
        form = loaded(client)
        clock.tick(3600)
        assert client.post("/providers/reset", data=form).status_code == 303
        clock.tick(1)
        answer = client.post("/providers/reset", data=form)
        assert answer.status_code == 403
        assert "Load the page again." in answer.text

    def test_is_good_in_every_tab(self, tried: Site) -> None:
        """A page that was loaded later takes nothing from one that is there."""
        client = tried.app.test_client()
        first = loaded(client)
        loaded(client)
        assert client.post("/providers/reset", data=first).status_code == 303

    def test_is_good_with_every_worker(self, tried: Site, clock: FrozenDateTimeFactory) -> None:
        """Workers have the key in common, and nothing else."""
        client = tried.app.test_client()
        form = loaded(client)
        cookie = client.get_cookie("fallback_exec_controls", path="/providers/")
        assert cookie is not None
        other = site(providers=["grok"], controls=True)
        there = other.app.test_client()
        there.set_cookie("fallback_exec_controls", cookie.value, path="/providers/")
        assert there.post("/providers/cool-down", data=form).status_code == 303
        assert state(other, "grok") == "open"

    def test_outlives_a_change_of_the_key(self, tried: Site) -> None:
        """As sessions do, with Flask's own setting."""
        client = tried.app.test_client()
        form = loaded(client)
        tried.app.config.update(SECRET_KEY="a new one", SECRET_KEY_FALLBACKS=["of the tests"])
        assert client.post("/providers/reset", data=form).status_code == 303
        fresh = loaded(client)
        tried.app.config["SECRET_KEY_FALLBACKS"] = None
        assert client.post("/providers/reset", data=form).status_code == 403
        assert client.post("/providers/reset", data=fresh).status_code == 303

    def test_has_a_cookie_that_no_script_and_no_other_site_gets(self, tried: Site) -> None:
        """Nor does it go anywhere but to the page."""
        secret, *attributes = tried.get("/providers/").headers["Set-Cookie"].split("; ")
        assert len(secret.removeprefix("fallback_exec_controls=")) == 43
        assert sorted(attributes) == ["HttpOnly", "Path=/providers/", "SameSite=Strict"]
        secure = tried.get("/providers/", base_url="https://localhost").headers["Set-Cookie"]
        assert "Secure" in secure.split("; ")

    def test_has_a_new_cookie_where_the_present_one_is_none_of_ours(self, tried: Site) -> None:
        """What is not as we make them is replaced."""
        client = tried.app.test_client()
        client.set_cookie("fallback_exec_controls", "guessable", path="/providers/")
        assert client.post("/providers/reset", data=loaded(client)).status_code == 303
        cookie = client.get_cookie("fallback_exec_controls", path="/providers/")
        assert cookie is not None
        assert cookie.value != "guessable"


class TestAccess:
    """Who may is the user's affair."""

    def test_is_checked_before_anything_else(self) -> None:
        """A check of the blueprint's holds for the controls, too."""
        tried = site(providers=["grok"])
        ext = FallbackExec(tried.app, tracker=tried.tracker, controls=True)
        ext.blueprint.before_request(lambda: ("who are you?", 401))
        tried.app.register_blueprint(ext.blueprint, name="checked", url_prefix="/checked")
        assert tried.app.test_client().post("/checked/cool-down").status_code == 401

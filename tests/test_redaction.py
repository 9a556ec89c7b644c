"""What is masked in texts that reach logs, what is not, and at what cost."""

# ruff: noqa: E501  # the texts of vendors are as long as they are

from __future__ import annotations

import enum
import re
import string
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fallback_exec import redaction
from fallback_exec.redaction import _RULES, MASK, MAX_LENGTH, MAX_SEARCHED, _masked, _may_have_secrets, redact

# Keys of the right shapes, put together here so that no scanner takes this file for a leak.
LETTERS = "abcdEFGH1234"
GOOGLE = "AI" + "za" + "x" * 35
OPENAI = "sk" + "-" + LETTERS * 4
JWT = "ey" + "JhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxIn0" + ".abc-_123"
PEM = "-----BEGIN RSA " + "PRIVATE KEY-----\nabc+/=\n-----END RSA " + "PRIVATE KEY-----"

SHAPED = {
    "openai": OPENAI,
    "openai of a project": "sk" + "-proj-" + LETTERS * 4,
    "anthropic": "sk" + "-ant-api03-" + LETTERS * 4,
    "stripe": "sk" + "_live_" + LETTERS * 2,
    "stripe, restricted": "rk" + "_live_" + LETTERS * 2,
    "stripe, published": "pk" + "_test_" + LETTERS * 2,
    "stripe's webhooks": "whsec" + "_" + LETTERS * 3,
    "google": GOOGLE,
    "google's tokens": "ya" + "29." + LETTERS * 8,
    "google's clients": "GOC" + "SPX-" + LETTERS * 2 + "abcd",
    "aws": "AK" + "IA" + "ABCDEFGH23456723",
    "aws sessions": "AS" + "IA" + "ABCDEFGH23456723",
    "github": "gh" + "p_" + LETTERS * 3,
    "github, servers": "gh" + "s_" + LETTERS * 3,
    "github, fine-grained": "github" + "_pat_" + LETTERS * 3,
    "gitlab": "gl" + "pat-" + LETTERS * 2,
    "slack": "xox" + "b-123456789012-" + LETTERS,
    "slack's apps": "xa" + "pp-1-A1-" + LETTERS,
    "sendgrid": "S" + "G." + LETTERS * 2 + "." + LETTERS * 4,
    "twilio": "S" + "K" + "0123456789abcdef" * 2,
    "hugging face": "hf" + "_" + LETTERS * 3,
    "xai": "xa" + "i-" + LETTERS * 7,
    "groq": "gs" + "k_" + LETTERS * 5,
    "npm": "np" + "m_" + LETTERS * 3,
    "replicate": "r" + "8_" + LETTERS * 3,
    "perplexity": "pp" + "lx-" + LETTERS * 4,
    "nvidia": "nv" + "api-" + LETTERS * 5,
    "jwt": JWT,
    "pem": PEM,
}

MASKED = [
    (
        "HTTPConnectionPool(host='localhost', port=1): Max retries exceeded with url: /v1beta/models/x:generateContent?key="
        + GOOGLE
        + " (Caused by NewConnectionError(\"HTTPConnection(host='localhost', port=1): Failed to establish a new connection: [Errno 111] Connection refused\"))",
        "HTTPConnectionPool(host='localhost', port=1): Max retries exceeded with url: /v1beta/models/x:generateContent?key=[redacted] (Caused by NewConnectionError(\"HTTPConnection(host='localhost', port=1): Failed to establish a new connection: [Errno 111] Connection refused\"))",
    ),
    (
        "Client error '400 Bad Request' for url 'http://h/v1?key=abc&x=1'\nFor more information check: https://developer.mozilla.org/400",
        "Client error '400 Bad Request' for url 'http://h/v1?key=[redacted]&x=1'\nFor more information check: https://developer.mozilla.org/400",
    ),
    ("Failed to parse: http://user:pa#ss@host/x", "Failed to parse: http://[redacted]@host/x"),
    ("https://user:pass@host/p", "https://[redacted]@host/p"),
    ("https://tok@host", "https://[redacted]@host"),
    ("redis://:p@ss'w@host:1/0", "redis://[redacted]@host:1/0"),
    ("postgresql+psycopg://u:p/w@h/db", "postgresql+psycopg://[redacted]@h/db"),
    (
        "Error code: 401 - {'error': {'message': 'Incorrect API key provided: sk-abc***********xyz. You can find your API key at https://platform.openai.com/account/api-keys.', 'type': 'invalid_request_error', 'param': None, 'code': 'invalid_api_key'}}",
        "Error code: 401 - {'error': {'message': 'Incorrect API key provided: [redacted]. You can find your API key at https://platform.openai.com/account/api-keys.', 'type': 'invalid_request_error', 'param': None, 'code': 'invalid_api_key'}}",
    ),
    ("Incorrect API key provided: xa***xx. You can", "Incorrect API key provided: [redacted]. You can"),
    ("x-api-key: abc, y: 1", "x-api-key: [redacted], y: 1"),
    ("api-key: abc", "api-key: [redacted]"),
    ("Authorization: Bearer abc rejected", "Authorization: Bearer [redacted] rejected"),
    ("Authorization: Basic dXNlcg==", "Authorization: Basic [redacted]"),
    (
        "Authorization: AWS4-HMAC-SHA256 Credential=AKX/2020/us/s3/aws4_request, SignedHeaders=host;x, Signature=abcdef",
        "Authorization: AWS4-HMAC-SHA256 Credential=[redacted], SignedHeaders=host;x, Signature=[redacted]",
    ),
    ("Authorization: GenieKey abc-1", "Authorization: GenieKey [redacted]"),
    ("Authorization: Foo abc1", "Authorization: [redacted]"),
    ("Authorization: abc1", "Authorization: [redacted]"),
    ('Authorization: Digest username="M", realm="x"\nnext', "Authorization: Digest [redacted]\nnext"),
    ('"api_key": "abc"', '"api_key": "[redacted]"'),
    ("'password': 'x y z', 'b': 1", "'password': '[redacted]', 'b': 1"),
    ("OpenAI(api_key='" + OPENAI + "')", "OpenAI(api_key='[redacted]')"),
    ("OpenAI(api_key=abc, base_url=None)", "OpenAI(api_key=[redacted], base_url=None)"),
    ("(b'api-key', b'abc')", "(b'api-key', b'[redacted]')"),
    ("[('authorization', 'Bearer x'), ('a', 'b')]", "[('authorization', 'Bearer [redacted]'), ('a', 'b')]"),
    (
        "_Metadatum(key='authorization', value='Bearer x')",
        "_Metadatum(key='authorization', value='Bearer [redacted]')",
    ),
    ("_Metadatum(key='x-api-key', value='abc')", "_Metadatum(key='x-api-key', value='[redacted]')"),
    ("Cookie: a=b; c=d", "Cookie: [redacted]"),
    ("Set-Cookie: sid=abc; Path=/; HttpOnly", "Set-Cookie: [redacted]"),
    ("{'Cookie': 'a=b; c=d', 'x': 'y'}", "{'Cookie': '[redacted]', 'x': 'y'}"),
    ('{\\"password\\": \\"ab c\\", \\"u\\": 1}', '{\\"password\\": \\"[redacted]\\", \\"u\\": 1}'),
    (
        "?redirect=https%3A%2F%2Fh%3Fkey%3Dabc%26x%3D1&y=2",
        "?redirect=https%3A%2F%2Fh%3Fkey%3D[redacted]%26x%3D1&y=2",
    ),
    (
        "X-Amz-Security-Token=abc&X-Amz-Credential=AKX%2F2&X-Amz-Expires=3",
        "X-Amz-Security-Token=[redacted]&X-Amz-Credential=[redacted]&X-Amz-Expires=3",
    ),
    (
        "AccountName=foo;AccountKey=abc==;EndpointSuffix=core",
        "AccountName=foo;AccountKey=[redacted];EndpointSuffix=core",
    ),
    ("auth=('user', 'pa ss')", "auth=([redacted])"),
    ("x-auth: abc", "x-auth: [redacted]"),
    ("token=abc&y=1", "token=[redacted]&y=1"),
    ('{"access_token":"abc","expires_in":3}', '{"access_token":"[redacted]","expires_in":3}'),
    ("pwd=a)b, x", "pwd=[redacted], x"),
    ("Bearer abc", "Bearer [redacted]"),
    ("Basic dXNlcjpwYXNz", "Basic [redacted]"),
    ("task: password=hunter2; user=x", "task: password=[redacted]; user=x"),
    ("b'api-key: abc\\r\\nHost: x'", "b'api-key: [redacted]\\r\\nHost: x'"),
    (
        "client_secret=a&refresh_token=b&id_token=c&sig=d&subscription-key=e&sharedaccesskey=f",
        "client_secret=[redacted]&refresh_token=[redacted]&id_token=[redacted]&sig=[redacted]&subscription-key=[redacted]&sharedaccesskey=[redacted]",
    ),
    ("Invalid token: abc123def456gh", "Invalid token: [redacted]"),
    ("password: hunter2", "password: [redacted]"),
    ("https%3A%2F%2Fuser%3Apw%40host", "https%3A%2F%2F[redacted]%40host"),
    ("GEMINI_API_KEY=abc", "GEMINI_API_KEY=[redacted]"),
    ("OPENAI_KEY: abc", "OPENAI_KEY: [redacted]"),
    ('os.environ["API_KEY"] = "x"', 'os.environ["API_KEY"] = "[redacted]"'),
    ("headers={'x-goog-api-key': 'abc'}", "headers={'x-goog-api-key': '[redacted]'}"),
    ("session token: abcdef123456", "session token: [redacted]"),
    ("SecurityToken='abc'", "SecurityToken='[redacted]'"),
    ("?code=4/0AabcdefghijklmnoP", "?code=[redacted]"),
    ('{"key": ["abc"]}', '{"key": ["[redacted]"]}'),
    ("sr=x&sig=a%2Bb%3D&se=1", "sr=x&sig=[redacted]&se=1"),
    ("&auth=1abc", "&auth=[redacted]"),
]

MASKED += [
    # A name in a value of another is a name.
    ('&api_key={"secret": "abc"}', '&api_key={"secret": "[redacted]"}'),
    ("Authorization: Bearer  x-api-key: abc", f"Authorization: {MASK}  x-api-key: {MASK}"),
    ("token=password: abc", "token=password: [redacted]"),
]

MASKED += [
    # Headers that h11, http.client and requests refuse.
    (r"Illegal header value b'Zq7Vw3Kd\n'", "Illegal header value b'[redacted]'"),
    (r"Invalid header value b'Bearer Zq7Vw3Kd\n'", "Invalid header value b'Bearer [redacted]'"),
    (
        r"or return character(s) in header value: ' Zq7Vw3Kd\n'",
        "or return character(s) in header value: ' [redacted]'",
    ),
    ("'me:12345678' is not a valid host or port", "'[redacted]' is not a valid host or port"),
    # What urllib.parse, httpx and urllib3 take for a port where a password has a `#`.
    (
        "Port could not be cast to integer value as 'swordfish'",
        "Port could not be cast to integer value as '[redacted]'",
    ),
    ("Invalid port: 'swordfish'", "Invalid port: '[redacted]'"),
    (
        "Failed to parse: 'me:swordfish' is not a valid host or port",
        "Failed to parse: '[redacted]' is not a valid host or port",
    ),
]

HARMLESS = [
    "Failed to parse: 'example.com:99999' is not a valid host or port",
    "Invalid header value type: int",
    "Invalid port number",
    "connection refused",
    "gemini",
    "Error code: 429 - rate limit reached",
    "status_code=429",
    "error_code: 3",
    "max_tokens=100",
    "tokens: 12",
    "token_count=3",
    "key 'foo' not found",
    "KeyError: 'name'",
    "monkey=1",
    "primary_key=3",
    "Bearer token is missing",
    'WWW-Authenticate: Bearer realm="x", error="invalid_token"',
    "Basic authentication required",
    "api key not valid. Please pass a valid API key.",
    "Unexpected token: } in JSON",
    "Unexpected token < in JSON at position 0",
    "'reason': 'API_KEY_INVALID', 'domain': 'googleapis.com'",
    "Unable to locate credentials",
    "An error occurred (NoSuchKey) when calling the GetObject operation: The specified key does not exist.",
    "botocore.errorfactory.NoSuchKey: An error occurred",
    '{"error": "invalid_token", "error_description": "expired"}',
    "risk-free-analysis task-force disk-usage",
    "sk-learn",
    "2026-01-01T00:00:00Z host:8080 a@b.com",
    "Idempotency-Key: abc-123456789",
    "eos_token='</s>'",
    "next_page_token=abc",
    "sorted(key=lambda x: x)",
    "[Errno 111] Connection refused",
    "keys: 3",
    "key=3",
    "http://localhost:8080/v1/chat?x=1",
    "author=bob",
    "design=3",
    "authentication: failed",
    "token limit: 4096",
    "Please reduce the length: maximum context length is 8192 tokens, however you requested 9000",
    "passed: 3, failed: 2",
    "signature mismatch",
    'secret "foo" not found',
    "config=1",
    "cookies are disabled",
    "npm@1.2.3 https://cdn/npm/pkg@1.2.3",
    "assertion failed: x",
    "Basic HTTP 1",
    "stop_token=3",
    "bypass: yes",
    "compass: 3",
    "passenger=3",
    "encryption: on",
    "Client error '400' for url 'http://h/v1?key='\nFor more",
    "https://medium.com/@user http://localhost:80/@x",
    "api_key=None",
]

# What texts that are hostile, or unlucky, are made of.
HOSTILE = [
    "a",
    "A",
    "://",
    "key=",
    "@",
    "eyJ",
    "sk-",
    "Bearer ",
    "Basic ",
    '"',
    "'",
    "%",
    "%3D",
    "key%3D",
    "key='",
    'key="',
    "key: ",
    "://a:b/",
    "://a@",
    "-----BEGIN ",
    "\\",
    "key=\\",
    "key='\\",
    "AIza",
    "ghp_",
    "SG.",
    "SG.aaaaaaaaaaaaaaaaaaaa",
    "xoxb-",
    "cookie: ",
    'cookie: a="',
    "auth=(",
    "authorization: ",
    "authorization: a",
    "('key', '",
    "('",
    "(",
    "[",
    "key=[",
    "key=)",
    "key=,",
    "key=)a",
    "[redacted]",
    " ",
    "\n",
    "key = ",
    "key:::",
    "_key",
    "a.",
    "a-",
    "://a:b",
    "%3A%2F%2F",
    "%3A%2F%2Fa",
    "?code=",
    "token: a",
    "token: 1a2",
    "hooks.slack.com/a/",
    "bot1234567:",
    "SK0",
    "SKa",
    "sk_live_",
    "Digest ",
    "authorization: Digest ",
    "password",
    'password:\\"',
    'password:\\"\\',
    "Key",
    "primary_key=",
    "key='a', value=",
    "Basic a",
    "eyJ.",
    "eyJaaaaaaaaaaaaaaaaaa.",
    "://a'b",
    "://'",
    "&",
    "?key=%26",
    "\\n",
    '="',
    "%2525",
    "key%25253D",
    "basic aaaaaaaa",
    "key=.",
    "cookie: a='",
    "key= ",
    "a@b:",
    "=",
    "AKIA",
    "akia",
    "()",
    "auth=()",
    "-",
    "*",
    "sk-*",
    "sk-a...",
    "\ud800",
    "\x00",
    "é",
    "-----BEGIN " + "PRIVATE KEY-----",
]

# Names with their separators, each before a value that is to be masked.
BEFORE_A_VALUE = [
    "key=", "?key=", "&api_key=", "x-api-key: ", "password=", "password: ", "client_secret=", "Authorization: ",
    "Authorization: Bearer ", "Bearer ", "token='", '"access_token": "', "'password': '", "(b'api-key', b'",
    "Cookie: sid=", "X-Amz-Signature=", "AccountKey=", '{\\"secret\\": \\"', "key%3D", "redis://:",
]  # fmt: skip

# Random text, with all that the rules look at.
pieces = st.lists(
    st.one_of(
        st.sampled_from(
            [*HOSTILE, *BEFORE_A_VALUE, *SHAPED.values(), MASK, "host", " ", "\n", "'", '"', "3", ", "]
        ),
        st.text(st.characters(), max_size=5),
        st.text("ab1 =:'\",@/\\%.-_&?[](){}*", max_size=8),
    ),
    max_size=12,
).map("".join)
secrets = st.text(string.ascii_lowercase + string.digits, min_size=24, max_size=40)


def without_quotes(text: str) -> str:
    """Return the text without what may open a quoted value."""
    return re.sub(r"""["'\\(]""", "", text)


class Name(str):
    """A string that calls itself something else."""

    def __str__(self) -> str:
        return "another"


class Vendor(enum.StrEnum):
    """A member is a string."""

    ACME = "acme?key=abc"


class TestMasks:
    """What a secret becomes."""

    @pytest.mark.parametrize(("text", "expected"), MASKED)
    def test_what_stands_in_a_place_for_secrets(self, text: str, expected: str) -> None:
        """The value is masked; the host, the path, the name and the scheme stay."""
        assert redact(text) == expected

    @pytest.mark.parametrize("key", SHAPED.values(), ids=SHAPED)
    @pytest.mark.parametrize(
        ("before", "after"), [("", ""), ("bad ", " given"), ("/", "/x"), ("'", "',"), ("\\n", "\n")]
    )
    def test_what_has_the_shape_of_a_key(self, key: str, before: str, after: str) -> None:
        """A vendor's key is known anywhere by its shape."""
        assert redact(f"{before}{key} {after}") == f"{before}{MASK} {after}"

    def test_webhooks_and_bots_by_their_path(self) -> None:
        """URLs whose path is the secret keep the host."""
        assert (
            redact("https://hooks.slack.com/services/T0/B0/abc x")
            == f"https://hooks.slack.com/services/{MASK} x"
        )
        assert (
            redact("https://api.telegram.org/bot123456:" + "a" * 35 + "/x")
            == f"https://api.telegram.org/bot{MASK}/x"
        )

    @pytest.mark.parametrize("text", HARMLESS)
    def test_nothing_that_is_harmless(self, text: str) -> None:
        """A log that is masked at random is of no use."""
        assert redact(text) == text


class TestSecrets:
    """No secret comes through."""

    # What is open before, a quote or a `Bearer` on the line, would take the name for its value: nothing is.
    @given(pieces.map(without_quotes), st.sampled_from(BEFORE_A_VALUE), secrets, pieces)
    def test_never_survive_behind_their_name(self, before: str, name: str, secret: str, after: str) -> None:
        """Whatever lines stand around it, a named secret is masked."""
        end = "@host " if name == "redis://:" else "' "
        assert secret not in redact(f"{before}\n{name}{secret}1{end}{after}")

    @given(pieces, st.sampled_from(sorted(SHAPED.values())), pieces)
    def test_never_survive_with_their_shape(self, before: str, key: str, after: str) -> None:
        """Whatever stands around it, a key of a known shape is masked."""
        assert key not in redact(f"{before} {key} {after}")

    @pytest.mark.parametrize("limit", [MAX_LENGTH, MAX_SEARCHED])
    @pytest.mark.parametrize("name", [*BEFORE_A_VALUE, "https://u:", "https://u:a'"])
    def test_never_survive_a_cut_behind_their_name(self, limit: int, name: str) -> None:
        """Wherever a cut falls, no part of a named secret is left."""
        for shift in range(70):
            padding = " " * (limit - shift)
            assert "Z9" not in redact(f"{padding}{name}{'Z9' * 20}@host {'b ' * 9000}")

    @pytest.mark.parametrize("limit", [MAX_LENGTH, MAX_SEARCHED])
    @pytest.mark.parametrize("key", SHAPED.values(), ids=SHAPED)
    def test_never_survive_a_cut_by_their_shape(self, limit: int, key: str) -> None:
        """Wherever a cut falls, no part of a key is left: not even one too short to be known for a key."""
        for shift in range(len(key) + 2):
            padding = " " * (limit - shift)
            assert key[:6].strip() not in redact(f"{padding}{key} {'b ' * 9000}")


class TestResult:
    """The text that comes out."""

    @given(pieces)
    @example("://key='a b'@host")
    @example("key='x-api-key', value='abc'")
    def test_twice_is_as_once(self, text: str) -> None:
        """A masked text stays as it is."""
        assert redact(redact(text)) == redact(text)

    def test_is_found_in_few_rounds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A mask may complete a URL, which the next round masks; the rounds have an end."""
        assert _masked("://key='a b'@host") == f"://{MASK}@host"
        monkeypatch.setattr(redaction, "_ROUNDS", 1)
        assert _masked("://key='a b'@host") == f"://key='{MASK}'@host"

    @given(pieces, st.integers(MAX_LENGTH // 8, MAX_SEARCHED))
    def test_twice_is_as_once_when_it_was_cut(self, text: str, times: int) -> None:
        """The note on how much was cut is not masked, nor cut again."""
        once = redact((text + " ") * (times // (len(text) + 1) + 1))
        assert redact(once) == once

    @given(pieces, st.integers(1, 3 * MAX_SEARCHED))
    def test_is_never_longer_than_the_limit(self, text: str, length: int) -> None:
        """The bound holds for every text, though masks may be longer than what they hide."""
        assert len(redact((text * (length // (len(text) or 1)))[:length])) <= MAX_LENGTH
        assert len(redact("pwd=a " * length)) <= MAX_LENGTH

    def test_says_how_much_was_cut(self) -> None:
        """The note counts the characters that are not shown."""
        shown, note = redact("word " * 1000).split(" [cut: ")
        assert note == f"{5000 - len(shown)} characters]"
        shown, note = redact("word " * 10_000).split(" [cut: ")
        assert note == f"{50_000 - len(shown)} characters]"

    def test_says_that_a_text_was_cut_whose_rest_is_short(self) -> None:
        """A long secret that the first cut falls into leaves a short text, and the note."""
        assert redact("key=" + "a" * 9000) == " [cut: 9004 characters]"
        assert redact("a 'b" + "c" * 9000) == "a ' [cut: 9001 characters]"

    def test_never_ends_within_a_mask(self) -> None:
        """A mask is shown whole, or not at all."""
        for shift in range(20):
            shown = redact("a" * shift + " pwd=abcdefghij" * 200).split(" [cut: ")[0]
            assert shown.count("[redacted]") == shown.count("[")

    def test_leaves_a_text_of_just_the_limit(self) -> None:
        """The limit itself is no reason to cut."""
        assert redact("a" * MAX_LENGTH) == "a" * MAX_LENGTH
        assert redact("a" * (MAX_LENGTH + 1)) == f" [cut: {MAX_LENGTH + 1} characters]"

    @given(st.text(st.characters()))
    def test_is_a_text_for_every_text(self, text: str) -> None:
        """Lone surrogates, NULs and controls are characters like any other."""
        assert type(redact(text)) is str

    @pytest.mark.parametrize("text", [Name("plain"), Name("key=abc"), Vendor.ACME])
    def test_is_plain_for_a_subclass(self, text: str) -> None:
        """A subclass is read for what it is, not for what it calls itself."""
        assert type(redact(text)) is str
        assert redact(text) == redact("".join(text))

    @pytest.mark.parametrize("value", [None, b"key=abc", 3])
    def test_is_an_error_for_what_is_no_string(self, value: object) -> None:
        """The type is named, the value is not: it may be the secret."""
        with pytest.raises(TypeError, match=rf"^text must be a string, not {type(value).__name__}$"):
            redact(value)  # type: ignore[arg-type]


class TestHints:
    """The quick looks that spare most texts the search."""

    @given(pieces)
    def test_never_hide_a_match(self, text: str) -> None:
        """Where a rule matches, one of its hints is there, and the quick look at the whole text sees it."""
        for rule in _RULES:
            if rule.pattern.search(text):
                assert any(hint in text.lower() for hint in rule.hints)
                assert _may_have_secrets(text)

    @pytest.mark.parametrize("text", [*(text for text, _ in MASKED), *SHAPED.values()])
    def test_see_every_secret(self, text: str) -> None:
        """None of the examples is let through by the quick look."""
        assert _masked(text) == text or _may_have_secrets(text)

    @pytest.mark.parametrize(
        "text", ["", "gemini", "connection refused", "Error code: 429 - rate limit reached"]
    )
    def test_let_usual_texts_through(self, text: str) -> None:
        """Texts without a hint are not searched."""
        assert not _may_have_secrets(text)


class TestTime:
    """Hostile texts cost no more than others."""

    def test_is_linear_in_the_length(self) -> None:
        """Half a million characters of each kind are searched within a limit that a square would break."""
        program = (
            "import sys\n"
            "from fallback_exec.redaction import _masked\n"
            "for line in sys.stdin:\n"
            "    piece = eval(line)\n"
            "    _masked(piece * (500_000 // len(piece)))\n"
            "    print(len(piece))"
        )
        lines = "\n".join(map(ascii, HOSTILE))
        command = [sys.executable, "-c", program]
        result = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=120, check=True)
        assert result.stdout.split() == [str(len(piece)) for piece in HOSTILE]

"""Masks credentials in texts that reach logs and error messages.

What is masked is found by where it stands (the userinfo of a URL, the value of a parameter, field or header
whose name says that it is secret, what follows `Bearer`) or by its shape (the prefixes that vendors gave
their keys). A secret that looks like a word, in a place that says nothing of it, cannot be told from text:
`no such user: swordfish` stays as it is. Nor is anything decoded: a key inside other base64 is not seen.
Where a quoted value lacks its end, the next quote is taken for it, and what follows is read from there.

The module imports nothing of the package, so that every other module may import it.
"""

from __future__ import annotations

import functools
import re

#: What stands in the place of a secret.
MASK = "[redacted]"

#: The longest result, in characters. Vendors' error bodies that people read are shorter.
MAX_LENGTH = 2_000

#: How much of a text is searched for secrets, in characters: four results' worth, as masks are mostly
#: shorter than what they hide. What lies behind is cut off unread.
MAX_SEARCHED = 8_192

# Room for the note on how much was cut; a length has at most 19 digits (`sys.maxsize`).
_NOTE_ROOM = len(" [cut:  characters]") + 19
_NOTE = re.compile(r" \[cut: [0-9]{1,19} characters\]\Z")

# A mask may complete something that was none before, a URL without the space in its password, say. A second
# round finds that; more are needed only by texts that were made to need them, so there is an end.
_ROUNDS = 5

# What stands before the place of a cut: the unfinished word, read backwards, and the beginning of a URL.
_UP_TO_QUOTE = re.compile(r"""\A[^\s"']*+""")
_AUTHORITY = re.compile(r":(?:\\?/){2}|%3A%2F%2F", re.IGNORECASE)

# --- Building blocks. All quantifiers are possessive or bounded, or what they scan is consumed: no part of
# --- a text is scanned from more than a constant number of starts.

_MASKED = re.escape(MASK)

# The left edge of a name or a prefix: no letter or digit before it, save those of
# `%20` and of `\n` in a repr.
_EDGE = r"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt]))"

# What a value without quotes is made of. Brackets, commas and quotes are part of it only in its midst
# (`pass)word`), unless another parameter begins there; so is a backslash, unless it begins an escaped quote
# or the end of a line in a repr. 40: longer names of parameters are not in use.
_ANOTHER = r"[\w.-]{1,40}+[=:]"
_BARE = rf"""(?:
    {_MASKED}
    | [^\s"'&,;)\]}}>\\.]
    | \. (?! [\s"'] | \Z )
    | [,;)\]}}>]++ (?! [\s"'&] | \Z | {_ANOTHER} )
    | ["'] (?=[A-Za-z0-9])
    | \\ (?! ["'] | r\\n | [nr] (?: {_ANOTHER} | [\s"'\\] | \Z ) )
)"""

# Schemes that stand before a credential, and are none.
_SCHEME = r"""(?:
    (?: Bearer | Basic | Token | Api-?Key | Digest | Negotiate | NTLM | OAuth | Bot | SSWS | GenieKey )
    (?: [ \t]++ | %20 | \+ )
    | AWS4-HMAC-SHA256 [ \t]++ (?: Credential= )?
)"""

# The beginning of a value, and the value: in quotes, in escaped quotes (JSON inside a repr), or bare. Without
# a closing quote it ends with the text. A quote at the end of a clause closes what stands before, as in
# `for url 'http://host?key='`.
_OPENING = rf"""(?:
    (?: (?!{_MASKED})[\[({{] ){{0,2}}+ [ ]? [bu]?
    (?:
        (?P<escape>\\{{1,4}}+)(?P<escaped>["'])
        | (?P<quote>["']) (?! (?P=quote) | [\r\n] | \Z | [,;.)\]}}]{{1,3}}+(?:\s|\Z) )
    )
    | (?: (?!{_MASKED})[\[({{<] ){{0,3}}+
)"""
_CONTENT = rf"""(?(quote)
    (?: (?!(?P=quote))[^\\] | \\. | \\\Z )++
    | (?(escaped) (?: (?!(?P=escape)(?P=escaped))(?: \\++. | [^\\] ) )++ | {_BARE}++ )
)"""

# What the userinfo of a URL is made of; what it is made of with a slash in the password.
_USERINFO = r"""(?: [^\s/?\#@"'] | ["'](?![\s,:;}\]).]|\Z) )"""
_SLASHED = r"""(?: (?!://)[^\s@"'] )"""

# Values that tell the reader something and an attacker nothing.
_NOTHING = r"(?! (?:None|null|nil|true|false|undefined|lambda)(?![\w-]) )"
# No key is this short a number; places in lists and numbers of things are.
_NUMBER = r"(?! [0-9]{1,7}(?![\w.%/+*-]) )"

# After a name in prose ("Invalid token: ...") only what looks like a credential is one: twelve characters or
# more with a digit in them (shorter ones are words and places), or with the stars of a vendor's own mask.
_LIKELY = r"""(?= ["']? (?! [a-z]{1,8}:// ) (?: [^\s"']{12} | [^\s"'*]{0,12} \*\* ) )
    (?= ["']? [^\s"']{0,64}? [0-9*] )"""

# --- Names. Only their last word is matched, what stands before it is looked back at: so most places in a
# --- text are passed over at their first letter.

_CERTAIN = r"(?: pass(?:words?|wd|phrase|code) | pwd | secrets? | authorization | jwt | sessionid | sessid )"
_ORDINARY = r"(?: key | token | auth | signature | sig | credentials? | pass )"
_FIRST = r"(?=[kstpacj])"

# What makes a compound of `key` or `token`, also without a sign between them: `apikey`, `AccountKey`.
_COMPOUND = """
    access account admin api app application auth client consumer developer encryption function host license
    master private secret server service shared signing storage subscription
    bearer bot csrf device id identity jwt oauth personal refresh security session user xsrf
""".split()  # noqa: SIM905  # it reads better than a column of quotes

# `next_token` is a page, `eos_token` a sign of a model's, `primary_key` a column.
_HARMLESS_BEFORE = """
    primary foreign partition sort cache idempotency public routing lookup dict hash range row unique
    missing unknown unexpected invalid expired duplicate such config
    next page continuation bos eos pad unk sep cls mask stop start end special
""".split()  # noqa: SIM905  # likewise

_IN_COMPOUND = "|".join(rf"(?<={word})|(?<={word}[_.-])" for word in _COMPOUND)
_NOT_HARMLESS = "".join(rf"(?<!{word})(?<!{word}[_-])" for word in _HARMLESS_BEFORE)

# Compounds, and anything joined to an ordinary word: `x-goog-signature`, `gemini_key`.
_STRONG = rf"""(?: {_FIRST} (?:
    {_CERTAIN}
    | (?=key|token) (?:{_IN_COMPOUND}) (?: key(?:[_-]?id)? | token )
    | (?<=[A-Za-z0-9][_-]) (?={_ORDINARY}) {_NOT_HARMLESS} {_ORDINARY}
) )"""
_WEAK = rf"""(?:
    {_FIRST} (?={_ORDINARY}) (?: {_EDGE} | (?<=[a-z0-9])(?-i:(?=[A-Z])) ) {_NOT_HARMLESS} {_ORDINARY}
)"""
_SUFFIX = r"(?: [_-]?[0-9]{1,3} )?"

# Between a name and its value. The quote says that the name is a field's; `, value=` is how gRPC prints.
_CLOSED = r"""(?: \\{0,4}+["']\]? )"""
_ASSIGNED = r"(?: [ \t]{0,4}+ (?: :?={1,3}>? ) [ \t]{0,4}+ )"
_FIELD = rf"""(?:
    {_CLOSED} (?: {_ASSIGNED} | [ \t]{{0,4}}+ : [ \t]{{0,4}}+ | ,[ ]? ["']?value["']? [ ]?[:=][ ]? )
)"""
_COLON = r"(?: [ \t]{0,4}+ (?: : | %3A ) [ \t]{0,4}+ )"
# `key='x-api-key', value='...'`: here the key is a name.
_NO_NAME = r"""(?! ["']? [ ]? [:=] [ ]? ["'][\w.-]{1,64}["'], [ ]? ["']?value )"""


# What is no value but has names of its own: `key={"secret": ...`, `token=password: ...`.
_NESTED = rf"""
    (?! [\[(<]{{0,2}}+ \{{ [ ]? \\{{0,4}}+["'] )
    (?! [\[({{<]{{0,3}}+ [\w.-]{{0,40}}? (?: {_CERTAIN} | {_ORDINARY} | cookie ) [:=][ \t] )
"""

# Words after `Bearer` that are no tokens.
_AFTER_BEARER = """
    tokens? auth authentication authorization realm scheme header credentials? keys? error scope
    is was not are or and in for of as to on with must should may required missing invalid expired
    format prefix type
""".split()  # noqa: SIM905  # likewise

# What names have in them.
_IN_NAMES = ("key", "token", "secret", "pass", "pwd", "auth", "sig", "cred", "sess", "jwt")

# The rules by place: a name, what a text has in it in lower case wherever the rule applies (one of these),
# and the pattern. What `keep` holds stays, the rest of the match is masked.
_PLACES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        # Of OpenSSL, OpenSSH and PGP. One without an end has been cut off, and is masked to there.
        "private key block",
        ("-----begin",),
        r"""-----BEGIN[ ][A-Z0-9 ]{0,40}PRIVATE[ ]KEY (?: (?!-----END). )*+
            (?: -----END[^\n-]{0,60}+----- )?""",
    ),
    (
        # `scheme://userinfo@host`, up to the last @ of the authority. Quotes are in it unless they close.
        "userinfo",
        ("@",),
        rf"""(?P<keep> :(?:\\?/){{2}} ) (?: {_USERINFO}*+ @ (?= {_USERINFO}*+ @ ) )*+ {_USERINFO}*+ (?=@)""",
    ),
    (
        # The same with a slash in the password, told by a port that is no number.
        "userinfo with a slash",
        ("@",),
        rf"""(?P<keep> :// ) (?= [^\s/?\#@:"']*+ : (?! [0-9]{{1,5}}(?:[/?\#\s"']|\Z) ) [^\s/?\#@"']*+ [/?\#] )
            (?: {_SLASHED}*+ @ (?= {_SLASHED}*+ @ ) )*+ {_SLASHED}*+ (?=@)""",
    ),
    (
        # The same in a parameter of another URL.
        "encoded userinfo",
        ("%40",),
        r"""(?P<keep> %3A%2F%2F ) (?: (?!%2F|%3F|%23|%40|%3A%2F%2F)[^\s/?\#&"'] )++ (?=%40)""",
    ),
    (
        # To the end of the line: cookies are many, and a value may be in quotes.
        "cookie header",
        ("cookie",),
        r"""(?P<keep> (?:set-)?cookie2? : [ \t]{0,4}+ )
            (?: (?<==)"[^"\r\n]*+"? | [^\r\n\\"'] | '(?=[A-Za-z0-9]) | \\(?![rn"']) )++""",
    ),
    (
        "cookie field",
        ("cookie",),
        rf"""(?P<keep> cookie2? {_FIELD} {_OPENING} ) {_CONTENT}""",
    ),
    (
        # As httpx and gRPC print headers: `(b'api-key', b'abc')`.
        "pair",
        (*_IN_NAMES, "cookie"),
        rf"""(?P<keep> [(\[][ ]?[bu]?(?P<around>["'])[\w.-]{{0,64}}?
            (?: {_STRONG} | {_WEAK} | cookie ) {_SUFFIX} (?P=around) ,[ ]?
            [bu]?(?P<quote>["'])(?!(?P=quote)) (?:{_SCHEME})? )
            (?: (?!(?P=quote))[^\\] | \\. | \\\Z )++""",
    ),
    (
        # A user and a password, as HTTP clients take them.
        "pair of credentials",
        ("auth",),
        rf"(?P<keep> auth=\( ) (?!{_MASKED}) [^()]++",
    ),
    (
        # HTTP clients quote a header that they refuse, a key with a newline at its end for one, without its
        # name. Its scheme stays.
        "refused header",
        ("header value",),
        rf"""(?P<keep> header[ ]value:? [ ] b?(?P<quote>["']) [ ]{{0,4}}+
            (?:{_SCHEME})?+ ) (?!{_MASKED}|(?P=quote))
            (?: (?!(?P=quote))[^\\] | \\. | \\\Z )++""",
    ),
    (
        # Where a password has a `/`, `?` or `#` in it, parsers of URLs take what stands before for a port.
        "password in place of a port",
        ("invalid port", "integer value as"),
        r"""(?P<keep> (?: invalid[ ]port: | port[ ]could[ ]not[ ]be[ ]cast[ ]to[ ]integer[ ]value[ ]as )
            [ ] ["'] ) (?! \[redacted\] ) [^"'\r\n]++""",
    ),
    (
        # Likewise, with the user before it.
        "userinfo in place of a host",
        ("valid host or port",),
        r"""(?P<keep> ["'] ) [^\s"'@\[\]:]++ : (?! [0-9]{0,5}+' ) [^"'\r\n]++
            (?= ["'][ ]is[ ]not[ ]a[ ]valid[ ]host[ ]or[ ]port )""",
    ),
    (
        # Its parameters are in quotes, and there are many.
        "digest",
        ("digest",),
        r"(?P<keep> authorization: [ \t]{0,4}+ Digest [ \t]++ ) [^\r\n]++",
    ),
    (
        # A scheme that is not known may be the credential itself: both words are masked.
        "unknown scheme",
        ("authorization",),
        rf"""(?P<keep> authorization: [ \t]{{0,4}}+ )
            (?!{_SCHEME}) [a-z][a-z-]{{1,30}}+ [ ] {_NESTED} {_BARE}++""",
    ),
    (
        "encoded parameter",
        ("3d",),
        rf"""(?P<keep> (?: {_STRONG} | {_WEAK} ) {_SUFFIX} %(?:25){{0,3}}3D ) {_NOTHING} {_NESTED} {_NUMBER}
            (?: (?!%(?:25){{0,3}}26) {_BARE} )++""",
    ),
    (
        # Authorization codes of OAuth are long (RFC 6749 wants them hard to guess), others are short.
        "authorization code",
        ("code=",),
        rf"(?P<keep> [?&]code= ) (?= [^\s&\"']{{16}} ) {_BARE}++",
    ),
    (
        "secret name",
        _IN_NAMES,
        rf"""(?P<keep> {_STRONG} {_SUFFIX} (?: {_FIELD} | \]?{_ASSIGNED} | {_COLON} )
            {_NOTHING} {_NESTED} {_OPENING}
            (?:{_SCHEME})? ) {_NESTED} {_CONTENT}""",
    ),
    (
        "ordinary name",
        _IN_NAMES,
        rf"""(?P<keep> {_WEAK} {_SUFFIX} {_NO_NAME}
            (?: {_FIELD} | \]?{_ASSIGNED} | (?:[ ]provided)? {_COLON} {_LIKELY} )
            {_NOTHING} {_NESTED} {_NUMBER} {_OPENING} (?:{_SCHEME})? ) {_NESTED} {_CONTENT}""",
    ),
    (
        # Words that follow in prose and in `WWW-Authenticate: Bearer realm="..."` are no tokens.
        "bearer",
        ("bearer",),
        rf"""(?P<keep> (?<![A-Za-z]) Bearer (?: :?[ \t]++ | %20 | \+ ) ["']? )
            (?! (?:{"|".join(_AFTER_BEARER)}) (?![\w/+~-]|\.\w) )
            (?=[A-Za-z0-9*_/+~-]) {_NESTED} {_BARE}++""",
    ),
    (
        # Base64 is told from a word by a digit, a sign, or a capital in its midst; 6: "Basic HTTP" is none.
        "basic",
        ("basic",),
        r"""(?P<keep> (?<![A-Za-z]) Basic (?: [ \t]++ | %20 ) ["']? )
            (?= [A-Za-z0-9+/=]{6} ) (?= [A-Za-z]?(?-i:[a-z]{0,400}[A-Z0-9+=]) ) [A-Za-z0-9+/_-]++={0,2}""",
    ),
)

# Keys by their shape: whose it is, a part of it in lower case, and the pattern. The least lengths are below
# those that vendors use today, which they may change, and above those of words.
_SHAPES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    # OpenAI, Anthropic, OpenRouter, DeepSeek and others have 32 or more after it; `sk-learn` is a word.
    # With the stars of a vendor's own mask, fewer are left: `sk-abc***xyz`.
    (
        "OpenAI and its like",
        ("sk-",),
        rf"""{_EDGE} sk-(?!learn) (?: [\w-]{{8,}}+ | [\w-]{{0,7}}+ (?=\*\*|\.\.\.) )
            (?: (?:\*{{2,}}+|\.{{3}}) [\w-]*+ )?""",
    ),
    # 24 or more; the vendor's own mask is of stars.
    ("Stripe", ("k_",), r"[rsp]k_(?:live|test)_[A-Za-z0-9*]{8,}+"),
    ("webhooks of Stripe", ("whsec_",), r"whsec_[A-Za-z0-9+/=]{16,}+"),
    # 39 in all.
    ("Google", ("aiza",), r"AIza[\w-]{35,}+"),
    # 100 and more.
    ("tokens of Google", ("ya29.",), r"ya29\.[\w.-]{16,}+"),
    # 24 and 28.
    ("OAuth clients of Google", ("gocspx-",), r"GOCSPX-[\w-]{20,}+"),
    # 20 in all; the second begins those that are good for a session.
    ("AWS", ("akia",), r"AKIA[A-Z0-9]{16,}+"),
    ("sessions of AWS", ("asia",), r"ASIA[A-Z0-9]{16,}+"),
    # 36, of letters and digits; the newer kind has 82.
    ("GitHub", ("gh",), r"gh[pousr]_[A-Za-z0-9_]{20,}+"),
    ("fine-grained ones of GitHub", ("github_pat_",), r"github_pat_\w{20,}+"),
    # 20 and more; the last letters say what the token is for.
    ("GitLab", ("gl",), r"gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|oas)-[\w-]{20,}+"),
    # Numbers and 24 characters; `xapp` is of the same family.
    ("Slack", ("xox", "xapp-"), r"(?:xox[a-z]|xapp)-[\w-]{10,}+"),
    ("webhooks of Slack", ("hooks.slack.com",), r"(?P<keep>hooks\.slack\.com/[a-z]{1,20}/)[\w/]++"),
    # 22 and 43.
    ("SendGrid", ("sg.",), r"SG\.[\w-]{16,64}+\.[\w-]{16,}+"),
    ("Twilio", ("sk",), r"SK[0-9a-f]{32,}+"),
    # 34, 80, 52, 36, 37, 40, 56, 48 and 70.
    ("Hugging Face", ("hf_",), r"hf_[A-Za-z0-9]{20,}+"),
    ("xAI", ("xai-",), r"xai-[A-Za-z0-9]{20,}+"),
    ("Groq", ("gsk_",), r"gsk_[A-Za-z0-9]{20,}+"),
    ("npm", ("npm_",), r"npm_[A-Za-z0-9]{20,}+"),
    ("Replicate", ("r8_",), r"r8_[A-Za-z0-9]{20,}+"),
    ("Perplexity", ("pplx-",), r"pplx-[A-Za-z0-9]{20,}+"),
    ("NVIDIA", ("nvapi-",), r"nvapi-[\w-]{20,}+"),
    # A number, and 35 characters.
    ("bots of Telegram", ("bot",), r"(?P<keep>bot)[0-9]{6,12}:[\w-]{30,}+"),
    # Base64 of `{"`: the header of a token has 20 characters or more. Without a dot it was cut off.
    ("JSON Web Tokens", ("eyj",), r"eyJ[\w-]{13,}+(?:\.[\w-]*+){0,4}"),
)


class _Rule:
    """A pattern, and what a text has in it, in lower case, wherever the pattern matches."""

    def __init__(self, hints: tuple[str, ...], pattern: str, flags: re.RegexFlag) -> None:
        self.hints = hints
        keep = "" if "(?P<keep>" in pattern else "(?P<keep>)"
        self._source = keep + pattern
        self._flags = re.VERBOSE | re.ASCII | flags

    @functools.cached_property
    def pattern(self) -> re.Pattern[str]:
        """The pattern; compiled when it is needed, as all of them would be a quarter of an import's time."""
        return re.compile(self._source, self._flags)


_REPLACEMENT = rf"\g<keep>{MASK}"

# Names are written as one likes, keys by shape are not.
_RULES = (
    *(_Rule(hints, pattern, re.IGNORECASE | re.DOTALL) for _, hints, pattern in _PLACES),
    *(_Rule(hints, pattern, re.RegexFlag(0)) for _, hints, pattern in _SHAPES),
)


def redact(text: str) -> str:
    """Return the text with every credential in it masked: `[redacted]` stands in its place.

    Masked are the userinfo of URLs; the values of parameters, fields, arguments and headers whose names say
    that they are secret (`key`, `api_key`, `x-goog-signature`, `password`, `Cookie`, and the like), in query
    strings, JSON, reprs and dumps; what follows `Bearer` and `Basic`; keys of well-known vendors, JSON Web
    Tokens and private key blocks by their shape, anywhere. All else stays: hosts, paths, names of
    parameters, schemes. A secret that looks like a word, in a place that says nothing of it, stays too.

    The work is linear in the text's length whatever is in it, and bounded, as only the first `MAX_SEARCHED`
    characters are looked at. The result has at most `MAX_LENGTH` characters; where something was cut off,
    it ends with `[cut: 123 characters]`. Both cuts fall between words, so no part of a secret is left.
    To redact a result again changes nothing.

    Args:
        text: Any text, with lone surrogates and control characters too. A subclass is read as plain text.

    Returns:
        A plain `str`.

    Raises:
        TypeError: `text` is not a string. For strings, nothing is ever raised.
    """
    plain = text if type(text) is str else _plain(text)
    # A slice, as this runs at each failure: it is no call.
    if not plain[MAX_LENGTH:] and not _may_have_secrets(plain):
        return plain
    read = plain if len(plain) <= MAX_SEARCHED else _whole_words(plain, MAX_SEARCHED)
    # The note of an earlier call is no part of the last value.
    found = _NOTE.search(read, max(0, len(read) - _NOTE_ROOM)) if len(plain) <= MAX_LENGTH else None
    note = found.group() if found else ""
    masked = _masked(read.removesuffix(note))
    unread = len(plain) - len(read)
    if not unread and len(masked) + len(note) <= MAX_LENGTH:
        return masked + note
    shown = _shortened(masked, MAX_LENGTH - _NOTE_ROOM)
    return f"{shown} [cut: {unread + len(masked) - len(shown)} characters]"


def _plain(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"text must be a string, not {type.__dict__['__name__'].__get__(type(text))}")
    # A subclass, an enum's member say, may call itself something else.
    return str.__str__(text)


def _masked(text: str) -> str:
    """Return the text with its secrets masked, whatever its length."""
    for _ in range(_ROUNDS):
        lowered = text.lower()
        before = text
        for rule in _RULES:
            # A loop: `any()` with a generator takes longer than most rules.
            for hint in rule.hints:
                if hint in lowered:
                    text = rule.pattern.sub(_REPLACEMENT, text)
                    break
        if text == before:
            break
    return text


def _shortened(masked: str, room: int) -> str:
    """Return the beginning of a masked text, which is masked again: what the cut left may have a new end."""
    aim = room
    while len(masked) > room:
        masked = _masked(_whole_words(masked, aim))
        aim -= len(MASK)  # where masks have made it longer again
    return masked


def _whole_words(text: str, length: int) -> str:
    """Return the first `length` characters, less the word that may be unfinished at their end.

    A word ends at a space or a quote. The userinfo of a URL, which only the @ at its end gives away, may
    have quotes in it: where a URL is in the last run without a space, all behind its `://` goes.
    """
    backwards = text[:length][::-1]
    kept = _UP_TO_QUOTE.sub("", backwards, count=1)
    run = kept.split(maxsplit=1)[0][::-1] if kept[:1].strip() else ""
    urls = [match.end() for match in _AUTHORITY.finditer(run)]
    return kept[::-1] if not urls else kept[::-1][: len(kept) - len(run) + urls[-1]]


def _may_have_secrets(text: str) -> bool:
    """Return False where no rule's hint is in the text: the usual case, so nothing is built to find out.

    That it says what the hints say is tested.
    """
    low = text.lower()
    return (
        "bearer" in low
        or "basic" in low
        or "aiza" in low
        or "akia" in low
        or "asia" in low
        or "eyj" in low
        or "sk" in low
        or "@" in low
        or "header value" in low
        or ("port" in low and ("invalid port" in low or "integer value as" in low or "valid host or" in low))
        or (
            (":" in low or "=" in low or "%" in low or "," in low)
            and (
                "key" in low
                or "token" in low
                or "secret" in low
                or "pass" in low
                or "pwd" in low
                or "auth" in low
                or "sig" in low
                or "cred" in low
                or "sess" in low
                or "jwt" in low
                or "cookie" in low
                or "code=" in low
                or "bot" in low
                or "%40" in low
            )
        )
        or (
            "-" in low
            and (
                "-----begin" in low
                or "gocspx-" in low
                or "gl" in low
                or "xox" in low
                or "xapp-" in low
                or "xai-" in low
                or "pplx-" in low
                or "nvapi-" in low
            )
        )
        or (
            "_" in low
            and (
                "k_" in low
                or "whsec_" in low
                or "gh" in low
                or "github_pat_" in low
                or "hf_" in low
                or "npm_" in low
                or "r8_" in low
            )
        )
        or ("." in low and ("ya29." in low or "sg." in low or "hooks.slack.com" in low))
    )

"""Object keys made to break things. S3 takes any 1 to 1,024 bytes of UTF-8 (S3 User Guide, "Object key names")."""

from __future__ import annotations

from hypothesis import strategies as st

KEYS = {
    # what an invalidation could take for a wildcard, or for another path
    "a star": "*",
    "a star after a slash": "/*",
    "a star in a folder": "uploads/*",
    "a star, encoded": "uploads/%2A",
    "a tilde": "uploads/~root",
    "a way up": "../",
    "a way up to everything": "uploads/../*",
    "two ways up": "uploads/../../index.html",
    "ways up and down": "uploads/x/.././/..//*",
    "a way up, encoded": "uploads/%2e%2e/index.html",
    "a backslash": "uploads\\..\\index.html",
    "slashes alone": "////",
    "a query": "index.html?x=1&y=2#z",
    "a tag": "#everything",
    "a whole address": "https://example.com/*",
    "percent signs": "%/%%/%zz/%00",
    # what a log, a subject or a terminal could take for its own
    "lines of a mail": "a\r\nSubject: CloudFront is fresh\r\n\r\nAll is well",
    "a log line": 'a"}\n{"level":"ERROR","message":"forged"}',
    "an EMF metric": '{"_aws":{"CloudWatchMetrics":[]},"Changes":1}',
    "line separators": "a\u2028b\u2029c\x85d\x0be\x0cf",
    "nothing": "a\x00b",
    "an escape": "\x1b[2J\x1b]0;pwned\x07\x1b[31mred",
    "an eight-bit escape": "\x9b31mred\x9d0;title\x9c",
    "a backspace": "safe\x08\x08\x08\x08evil",
    "a delete": "a\x7fb",
    "a direction": "\u202egnp.exe\u2066x\u2069\u200f",
    "what is not seen": "a\u200b\u200c\u200d\ufeff\u00adb",
    "tag characters": "a\U000e0041\U000e007f",
    "accents in a heap": "a" + "\u0301" * 60,
    "not a character": "a\uffff\ufdd0\U0010ffff",
    # what a program could run or look up
    "an expression": "${aws:accountId}${!x}${jndi:ldap://x}",
    "a path of JSON": "$.input",
    "the context of JSON": "$$.Execution.Id",
    "an intrinsic": "States.Format('{}', $.x)",
    "a template": "{{data}}{% x %}<%= 7*7 %>",
    "a format": "%s%n%d{0}{execution}",
    "a shell's commands": "$(reboot)`reboot`;reboot|reboot&reboot>x\nreboot",
    "an option": "--replay",
    "a query for a database": "'; DROP TABLE x; --",
    "mark-up": "</script><script>alert(1)</script><img src=x onerror=alert(1)><!--",
    "an entity": '&lt;b&gt;&#x22;" onmouseover="x',
    "rich mark-up": "[bold red]x[/bold red][link=https://x]y[/link]:smile:[/]",
    "a message's mark-up": "*bold* _x_ `y` <https://x|click> <!channel> [a](https://x) @here",
    "a formula": "=cmd|'/c calc'!A1",
    "a formula behind a blank": " \t=1+1",
    "a wide formula": "\uff1dHYPERLINK(1)",
    "JSON": '{"outcome":"Completed"}',
    "a prototype": "__proto__",
    # what is long
    "1,024 bytes": "x" * 1_024,
    "1,024 bytes of three": "日" * 341 + "x",
    "1,024 stars": "*" * 1_024,
    "1,024 ways up": "../" * 341 + "x",
    "1,024 controls": "\x01" * 1_024,
}

ODD = "./*~%\\ +?#&=@ab\x00\r\n\x1b\x7f\xa0ü日\u202e\u2028$<>\"'`|[]{}:,;!-"
texts = st.text(st.sampled_from(ODD) | st.characters(codec="utf-8"), min_size=1, max_size=40)
"""Any key, most of them hostile."""

"""The table: what is sent, byte by byte. Each row is (name, bytes).

The ideas are those of llhttp's test vectors and of the known lists of ways to hide a
Content-Length or a Transfer-Encoding. MARK becomes the number of the row, so that what
arrives upstream can be told apart when rows run side by side.
"""

MARK = b"@@@@"
START = b"POST /v1/responses HTTP/1.1"
HOST = b"Host: localhost"
TAG = b"X-Case: " + MARK
CHUNKED = b"Transfer-Encoding: chunked"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"


def head(*lines, start=START, eol=b"\r\n", host=HOST):
    """A head with a Host and the mark, then `lines`."""
    own = [host, TAG] if host else [TAG]
    return eol.join([start, *own, *lines, b"", b""])


def lone(*lines):
    """A head of exactly these lines."""
    return b"\r\n".join([*lines, b"", b""])


NEXT = head(b"Content-Length: 8") + b"SMUGGLED"


def by_length(length, body=b"hello", then=NEXT):
    """Framed by whatever stands for a Content-Length line, or several."""
    return head(*([length] if isinstance(length, bytes) else length)) + body + then


def by_chunks(chunks, *lines, then=NEXT):
    return head(CHUNKED, *lines) + chunks + then


CASES = []


def add(group, rows):
    CASES.extend((f"{group}: {name}", sent) for name, sent in rows.items())


add("plain", {
    "length": by_length(b"Content-Length: 5", then=b""),
    "no body": head(),
    "length 0": by_length(b"Content-Length: 0", b""),
    "chunked": by_chunks(HELLO, then=b""),
    "two in a row": by_length(b"Content-Length: 5"),
    "three in a row": by_length(b"Content-Length: 5", then=NEXT + NEXT),
    "no body, then another": head() + NEXT,
    "chunked, then another": by_chunks(HELLO),
    "connection: close, then another": by_length([b"Content-Length: 5", b"Connection: close"]),
    "rubbish behind": by_length(b"Content-Length: 5", then=b"\x00\x01GARBAGE\r\n\r\n"),
    "GET with a body, then another": head(b"Content-Length: 5", start=b"GET /v1/responses HTTP/1.1") + b"hello" + NEXT,
    "a refused path, then another": head(start=b"GET /admin HTTP/1.1") + NEXT,
    "body short of its length": by_length(b"Content-Length: 50", then=b""),
    "body that looks like a request": by_length(b"Content-Length: %d" % len(NEXT), NEXT, b""),
    "expect 100": by_length([b"Content-Length: 5", b"Expect: 100-continue"]),
    "expect something else": by_length([b"Content-Length: 5", b"Expect: tea"]),
    "upgrade h2c": by_length([b"Content-Length: 5", b"Connection: Upgrade", b"Upgrade: h2c"]),
    "upgrade websocket": head(b"Connection: Upgrade", b"Upgrade: websocket", start=b"GET /v1/responses HTTP/1.1") + NEXT,
    "trailing space in a value": by_length(b"Content-Length: 5  \t "),
    "no space behind the colon": by_length(b"Content-Length:5"),
    "tab behind the colon": by_length(b"Content-Length:\t5"),
    "upper case names": by_length(b"CONTENT-LENGTH: 5"),
    "length first": lone(START, b"Content-Length: 5", HOST, TAG) + b"hello" + NEXT,
})

add("content-length", {
    "same twice": by_length([b"Content-Length: 5"] * 2),
    "two that differ": by_length([b"Content-Length: 5", b"Content-Length: 0"]),
    "two that differ, other order": by_length([b"Content-Length: 0", b"Content-Length: 5"]),
    "list of the same": by_length(b"Content-Length: 5, 5"),
    "list that differs": by_length(b"Content-Length: 5, 0"),
    "list with an empty member": by_length(b"Content-Length: 5,"),
    "plus": by_length(b"Content-Length: +5"),
    "minus": by_length(b"Content-Length: -5"),
    "minus zero": by_length(b"Content-Length: -0"),
    "hexadecimal": by_length(b"Content-Length: 0x5"),
    "hexadecimal digit": by_length(b"Content-Length: a"),
    "underscore": by_length(b"Content-Length: 0_5"),
    "leading zeros": by_length(b"Content-Length: 0005"),
    "exponent": by_length(b"Content-Length: 5e0"),
    "fraction": by_length(b"Content-Length: 5.0"),
    "quoted": by_length(b'Content-Length: "5"'),
    "empty": by_length(b"Content-Length:"),
    "blank": by_length(b"Content-Length:   "),
    "two numbers": by_length(b"Content-Length: 5 5"),
    "number in two": by_length(b"Content-Length: 1 0"),
    "semicolon": by_length(b"Content-Length: 5;0"),
    "2^63": by_length(b"Content-Length: 9223372036854775808"),
    "2^64": by_length(b"Content-Length: 18446744073709551616"),
    "2^64 + 5": by_length(b"Content-Length: 18446744073709551621"),
    "a hundred digits": by_length(b"Content-Length: " + b"9" * 100),
    "vertical tab": by_length(b"Content-Length: \x0b5"),
    "form feed": by_length(b"Content-Length: 5\x0c"),
    "NUL": by_length(b"Content-Length: 5\x00"),
    "no-break space": by_length(b"Content-Length: \xa05"),
    "digit outside of ASCII": by_length("Content-Length: \u0665".encode()),
    "space before the colon": by_length(b"Content-Length : 5"),
    "tab before the colon": by_length(b"Content-Length\t: 5"),
    "space before the name": by_length(b" Content-Length: 5"),
    "underscore in the name": by_length(b"Content_Length: 5"),
    "no colon": by_length(b"Content-Length 5"),
    "in a folded line": by_length(b"X: a\r\n Content-Length: 5"),
    "value in a folded line": by_length(b"Content-Length:\r\n 5"),
    "number in a folded line": by_length(b"Content-Length: 5\r\n 0"),
    "named by Connection": by_length([b"Connection: content-length", b"Content-Length: 5"]),
})

te = {
    "tab before": b"Transfer-Encoding:\tchunked",
    "vertical tab before": b"Transfer-Encoding: \x0bchunked",
    "form feed before": b"Transfer-Encoding: \x0cchunked",
    "NUL before": b"Transfer-Encoding: \x00chunked",
    "NUL behind": b"Transfer-Encoding: chunked\x00",
    "no-break space before": b"Transfer-Encoding: \xa0chunked",
    "space behind": b"Transfer-Encoding: chunked ",
    "tab behind": b"Transfer-Encoding: chunked\t",
    "upper case": b"Transfer-Encoding: CHUNKED",
    "mixed case": b"tRANSFER-eNCODING: cHuNkEd",
    "double quotes": b'Transfer-Encoding: "chunked"',
    "single quotes": b"Transfer-Encoding: 'chunked'",
    "prefix": b"Transfer-Encoding: xchunked",
    "suffix": b"Transfer-Encoding: chunkedx",
    "shortened": b"Transfer-Encoding: chunk",
    "parameter": b"Transfer-Encoding: chunked;q=1",
    "twice in a list": b"Transfer-Encoding: chunked, chunked",
    "comma behind": b"Transfer-Encoding: chunked,",
    "comma before": b"Transfer-Encoding: ,chunked",
    "identity": b"Transfer-Encoding: identity",
    "identity, chunked": b"Transfer-Encoding: identity, chunked",
    "chunked, identity": b"Transfer-Encoding: chunked, identity",
    "gzip, chunked": b"Transfer-Encoding: gzip, chunked",
    "chunked, gzip": b"Transfer-Encoding: chunked, gzip",
    "cow": b"Transfer-Encoding: cow",
    "empty": b"Transfer-Encoding:",
    "space before the colon": b"Transfer-Encoding : chunked",
    "tab before the colon": b"Transfer-Encoding\t: chunked",
    "space before the name": b" Transfer-Encoding: chunked",
    "underscore in the name": b"Transfer_Encoding: chunked",
    "NUL in the name": b"Transfer\x00-Encoding: chunked",
    "two colons": b"Transfer-Encoding:: chunked",
    "folded": b"Transfer-Encoding:\r\n chunked",
    "folded, tab": b"Transfer-Encoding:\r\n\tchunked",
    "folded, then more": b"Transfer-Encoding: chunked\r\n , identity",
    "behind a bare LF": b"X: a\nTransfer-Encoding: chunked",
    "behind a bare CR": b"X: a\rTransfer-Encoding: chunked",
    "bare CR behind": b"Transfer-Encoding: chunked\r",
    "twice": CHUNKED + b"\r\n" + CHUNKED,
    "chunked and identity": CHUNKED + b"\r\nTransfer-Encoding: identity",
    "identity and chunked": b"Transfer-Encoding: identity\r\n" + CHUNKED,
    "named by Connection": b"Connection: transfer-encoding\r\n" + CHUNKED,
}
# Once alone, and once beside the length that an attacker hopes the other party believes.
add("transfer-encoding", {name: head(line) + HELLO + NEXT for name, line in te.items()})
add("both, length first", {name: head(b"Content-Length: 5", line) + HELLO + NEXT for name, line in te.items()})
add("both, coding first", {
    "TE.CL": head(CHUNKED, b"Content-Length: 3") + b"8\r\nSMUGGLED\r\n0\r\n\r\n",
    "CL.TE": head(CHUNKED, b"Content-Length: 6") + b"0\r\n\r\nG" + NEXT,
    "TE.0": head(CHUNKED, b"Content-Length: 0") + HELLO + NEXT,
    "0.TE": head(b"Content-Length: 0", CHUNKED) + HELLO + NEXT,
    "HTTP/1.0": head(CHUNKED, b"Content-Length: 5", start=b"POST /v1/responses HTTP/1.0") + HELLO,
    "HTTP/1.0, chunked alone": head(CHUNKED, start=b"POST /v1/responses HTTP/1.0") + HELLO + NEXT,
})

add("chunks", {
    "two": by_chunks(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
    "upper case hexadecimal": by_chunks(b"A\r\n0123456789\r\n0\r\n\r\n"),
    "leading zeros": by_chunks(b"0005\r\nhello\r\n000\r\n\r\n"),
    "extension": by_chunks(b"5;a=b\r\nhello\r\n0\r\n\r\n"),
    "quoted extension": by_chunks(b'5;a="b c"\r\nhello\r\n0\r\n\r\n'),
    "extension without a name": by_chunks(b"5;\r\nhello\r\n0\r\n\r\n"),
    "extension with only a value": by_chunks(b"5;=b\r\nhello\r\n0\r\n\r\n"),
    "extension with a space": by_chunks(b"5 ;a\r\nhello\r\n0\r\n\r\n"),
    "extension with a bare CR": by_chunks(b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    "extension with a bare LF": by_chunks(b"5;a\nhello\r\n0\r\n\r\n"),
    "extension with a NUL": by_chunks(b"5;a\x00\r\nhello\r\n0\r\n\r\n"),
    "extension above 127": by_chunks(b"5;\xff\r\nhello\r\n0\r\n\r\n"),
    "unclosed quote over the line": by_chunks(b'5;a="\r\nhello\r\n0\r\n\r\n'),
    "extension of 20 KB": by_chunks(b"5;" + b"a" * 20000 + b"\r\nhello\r\n0\r\n\r\n"),
    "extension on the last": by_chunks(b"5\r\nhello\r\n0;a=b\r\n\r\n"),
    "space behind the size": by_chunks(b"5 \r\nhello\r\n0\r\n\r\n"),
    "tab behind the size": by_chunks(b"5\t\r\nhello\r\n0\r\n\r\n"),
    "space before the size": by_chunks(b" 5\r\nhello\r\n0\r\n\r\n"),
    "0x": by_chunks(b"0x5\r\nhello\r\n0\r\n\r\n"),
    "plus": by_chunks(b"+5\r\nhello\r\n0\r\n\r\n"),
    "minus": by_chunks(b"-5\r\nhello\r\n0\r\n\r\n"),
    "underscore": by_chunks(b"0_5\r\nhello\r\n0\r\n\r\n"),
    "not hexadecimal": by_chunks(b"g\r\nhello\r\n0\r\n\r\n"),
    "empty size": by_chunks(b"\r\nhello\r\n0\r\n\r\n"),
    "2^64 + 5": by_chunks(b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "2^32 + 5": by_chunks(b"100000005\r\nhello\r\n0\r\n\r\n"),
    "sixteen f": by_chunks(b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
    "a hundred zeros": by_chunks(b"0" * 100 + b"5\r\nhello\r\n0\r\n\r\n"),
    "bare LF behind the size": by_chunks(b"5\nhello\r\n0\r\n\r\n"),
    "bare CR behind the size": by_chunks(b"5\rhello\r\n0\r\n\r\n"),
    "CR CR LF behind the size": by_chunks(b"5\r\r\nhello\r\n0\r\n\r\n"),
    "bare LF behind the data": by_chunks(b"5\r\nhello\n0\r\n\r\n"),
    "nothing behind the data": by_chunks(b"5\r\nhello0\r\n\r\n"),
    "two other bytes behind the data": by_chunks(b"5\r\nhelloXX0\r\n\r\n"),
    "data too long": by_chunks(b"5\r\nhello!\r\n0\r\n\r\n"),
    "data too short": by_chunks(b"5\r\nhell\r\n0\r\n\r\n"),
    "no last chunk": by_chunks(b"5\r\nhello\r\n", then=b""),
    "no final line": by_chunks(b"5\r\nhello\r\n0\r\n", then=b""),
    "no final line, then another": by_chunks(b"5\r\nhello\r\n0\r\n"),
    "bare LF at the end": by_chunks(b"5\r\nhello\r\n0\r\n\n"),
    "bare LFs throughout": by_chunks(b"5\nhello\n0\n\n"),
    "only the last": by_chunks(b"0\r\n\r\n"),
})

add("trailers", {
    "one": by_chunks(b"5\r\nhello\r\n0\r\nX: y\r\n\r\n", b"Trailer: X"),
    "content-length": by_chunks(b"5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n"),
    "transfer-encoding": by_chunks(b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n" + HELLO),
    "authorization": by_chunks(b"5\r\nhello\r\n0\r\nAuthorization: Bearer mine\r\n\r\n"),
    "host": by_chunks(b"5\r\nhello\r\n0\r\nHost: evil.example\r\n\r\n"),
    "space before the colon": by_chunks(b"5\r\nhello\r\n0\r\nX : y\r\n\r\n"),
    "folded": by_chunks(b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n"),
    "no colon": by_chunks(b"5\r\nhello\r\n0\r\nX\r\n\r\n"),
    "bare LF": by_chunks(b"5\r\nhello\r\n0\r\nX: y\n\r\n"),
    "bare CR": by_chunks(b"5\r\nhello\r\n0\r\nX: y\rZ: z\r\n\r\n"),
    "NUL": by_chunks(b"5\r\nhello\r\n0\r\nX: \x00\r\n\r\n"),
    "request line": by_chunks(b"5\r\nhello\r\n0\r\nPOST /v1/responses HTTP/1.1\r\n\r\n"),
})

add("line ends", {
    "bare LF throughout": head(b"Content-Length: 5", eol=b"\n") + b"hello" + NEXT,
    "bare CR throughout": head(b"Content-Length: 5", eol=b"\r") + b"hello" + NEXT,
    "bare LF behind the request line": START + b"\n" + lone(HOST, TAG, b"Content-Length: 5") + b"hello" + NEXT,
    "bare LF behind the last field": START + b"\r\n" + HOST + b"\r\n" + TAG + b"\n\r\n" + NEXT,
    "bare LF for the empty line": START + b"\r\n" + HOST + b"\r\n" + TAG + b"\r\n\n" + NEXT,
    "CR CR LF": head(b"X: a\r", b"Content-Length: 5") + b"hello" + NEXT,
    "LF CR": head(b"X: a\n\rContent-Length: 5") + b"hello" + NEXT,
    "one CR LF first": b"\r\n" + by_length(b"Content-Length: 5"),
    "three CR LF first": b"\r\n" * 3 + by_length(b"Content-Length: 5"),
    "bare LF first": b"\n" + by_length(b"Content-Length: 5"),
    "bare CR first": b"\r" + by_length(b"Content-Length: 5"),
    "CR LF between two": by_length(b"Content-Length: 5", then=b"\r\n" + NEXT),
    "space first": b" " + by_length(b"Content-Length: 5"),
    "space before the first field": lone(START, b" " + HOST, TAG),
    "blank line of spaces": START + b"\r\n" + HOST + b"\r\n" + TAG + b"\r\n  \r\n\r\n" + NEXT,
    "no empty line": START + b"\r\n" + HOST + b"\r\n" + TAG + b"\r\n",
    "half of an empty line": START + b"\r\n" + HOST + b"\r\n" + TAG + b"\r\n\r",
})

add("fields", {
    "folded": head(b"X: a", b" b") + NEXT,
    "folded, empty": head(b"X: a", b" ") + NEXT,
    "empty value": head(b"X:") + NEXT,
    "empty name": head(b": a") + NEXT,
    "space in the name": head(b"X Y: a") + NEXT,
    "parenthesis in the name": head(b"X(: a") + NEXT,
    "slash in the name": head(b"X/Y: a") + NEXT,
    "odd token in the name": head(b"!#$%&'*+-.^_`|~: a") + NEXT,
    "above 127 in the name": head(b"X\xc3: a") + NEXT,
    "above 127 in the value": head(b"X: \xc3\xa4") + NEXT,
    "NUL in the value": head(b"X: a\x00b") + NEXT,
    "DEL in the value": head(b"X: a\x7fb") + NEXT,
    "ESC in the value": head(b"X: a\x1bb") + NEXT,
    "tab in the value": head(b"X: a\tb") + NEXT,
    "200 of them": head(*[b"X: a"] * 200) + NEXT,
    "300 of them": head(*[b"X: a"] * 300) + NEXT,
    "15 KB": head(b"X: " + b"a" * 15000) + NEXT,
    "70 KB": head(b"X: " + b"a" * 70000) + NEXT,
    "own authorization twice": head(b"Authorization: Bearer a", b"Authorization: Bearer b") + NEXT,
    "authorization named by Connection": head(b"Connection: authorization") + NEXT,
    "connection with odd members": head(b"Connection: , close ,,") + NEXT,
    "proxy-connection": head(b"Proxy-Connection: keep-alive") + NEXT,
})

add("host", {
    "none": head(host=None) + NEXT,
    "none, HTTP/1.0": head(start=b"POST /v1/responses HTTP/1.0", host=None),
    "two": head(b"Host: localhost") + NEXT,
    "two that differ": head(b"Host: evil.example") + NEXT,
    "list": head(host=b"Host: localhost, localhost") + NEXT,
    "empty": head(host=b"Host:") + NEXT,
    "user": head(host=b"Host: a@localhost") + NEXT,
    "path": head(host=b"Host: localhost/v1") + NEXT,
    "space inside": head(host=b"Host: local host") + NEXT,
    "space before the colon": head(host=b"Host : localhost") + NEXT,
    "another one's": head(host=b"Host: evil.example") + NEXT,
    "IPv6": head(host=b"Host: [::1]:8787") + NEXT,
    "folded": head(host=b"Host:\r\n localhost") + NEXT,
})


def begun(line, *lines, body=b""):
    """A request that begins with this line."""
    return head(*lines, start=line) + body + NEXT


add("request line", {
    "HTTP/1.0": begun(b"POST /v1/responses HTTP/1.0", b"Content-Length: 5", body=b"hello"),
    "HTTP/1.0, keep-alive": begun(b"POST /v1/responses HTTP/1.0", b"Connection: keep-alive", b"Content-Length: 5", body=b"hello"),
    "HTTP/0.9": b"POST /v1/responses\r\n",
    "HTTP/0.9, by name": begun(b"POST /v1/responses HTTP/0.9"),
    "HTTP/1.2": begun(b"POST /v1/responses HTTP/1.2"),
    "HTTP/1.10": begun(b"POST /v1/responses HTTP/1.10"),
    "HTTP/01.1": begun(b"POST /v1/responses HTTP/01.1"),
    "HTTP/2.0": begun(b"POST /v1/responses HTTP/2.0"),
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + NEXT,
    "http/1.1": begun(b"POST /v1/responses http/1.1"),
    "HTTP/1,1": begun(b"POST /v1/responses HTTP/1,1"),
    "RTSP/1.0": begun(b"POST /v1/responses RTSP/1.0"),
    "ICE/1.0": begun(b"SOURCE /v1/responses ICE/1.0"),
    "HTTPS/1.1": begun(b"POST /v1/responses HTTPS/1.1"),
    "no version": begun(b"POST /v1/responses"),
    "space behind the version": begun(b"POST /v1/responses HTTP/1.1 "),
    "two spaces behind the method": begun(b"POST  /v1/responses HTTP/1.1"),
    "two spaces before the version": begun(b"POST /v1/responses  HTTP/1.1"),
    "tab behind the method": begun(b"POST\t/v1/responses HTTP/1.1"),
    "vertical tab behind the target": begun(b"POST /v1/responses\x0bHTTP/1.1"),
    "folded": begun(b"POST /v1/responses\r\n HTTP/1.1"),
    "space in the target": begun(b"POST /v1/resp onses HTTP/1.1"),
    "two versions": begun(b"POST /v1/responses HTTP/1.1 HTTP/1.1"),
    "post": begun(b"post /v1/responses HTTP/1.1"),
    "Post": begun(b"Post /v1/responses HTTP/1.1"),
    "unknown method": begun(b"FROB /v1/responses HTTP/1.1"),
    "method with a colon": begun(b"PO:ST /v1/responses HTTP/1.1"),
    "no method": begun(b" /v1/responses HTTP/1.1"),
    "absolute target": begun(b"POST http://localhost/v1/responses HTTP/1.1"),
    "absolute target, another host": begun(b"POST http://evil.example/v1/responses HTTP/1.1"),
    "absolute target, odd scheme": begun(b"POST x://localhost/v1/responses HTTP/1.1"),
    "authority for a target": begun(b"POST localhost:80 HTTP/1.1"),
    "asterisk": begun(b"OPTIONS * HTTP/1.1"),
    "asterisk, POST": begun(b"POST * HTTP/1.1"),
    "CONNECT": begun(b"CONNECT localhost:80 HTTP/1.1"),
    "CONNECT to the path": begun(b"CONNECT /v1/responses HTTP/1.1"),
    "fragment": begun(b"POST /v1/responses#x HTTP/1.1"),
    "query": begun(b"POST /v1/responses?x HTTP/1.1"),
    "two slashes": begun(b"POST //v1/responses HTTP/1.1"),
    "dots": begun(b"POST /v1/../v1/responses HTTP/1.1"),
    "escaped": begun(b"POST /v1/%72esponses HTTP/1.1"),
    "backslash": begun(b"POST /v1\\responses HTTP/1.1"),
    "no slash": begun(b"POST v1/responses HTTP/1.1"),
    "NUL in the target": begun(b"POST /v1/responses\x00 HTTP/1.1"),
    "above 127 in the target": begun(b"POST /v1/responses\xff HTTP/1.1"),
    "DEL in the target": begun(b"POST /v1/responses\x7f HTTP/1.1"),
    "byte order mark": b"\xef\xbb\xbf" + NEXT,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + NEXT,
    "HTTP answer": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + NEXT,
    "nothing": b"",
})

"""A caller learns the key from what the redactor does with guesses.

The upstream repeats text of the caller's choice, cut where the caller likes; it never sends the key. A piece
ends in the known beginning of the key and a guess of the next character. If anything of the answer
depends on whether the guess is right - where it is cut into chunks, what stands at its end, when a byte
arrives - the caller finds the key one character after the other.
"""

import bisect
import collections
import concurrent.futures
import math
import random
import statistics
import time

from authority import Authority
from caller import Reader, connect, request
from proxy import Proxy
from servers import GATEWAYS, Gateway, Upstream
from stage import KEY_ALPHABET, KEY_PREFIX, Seen

NAME = "a caller reads the key through the redactor"

# Between two pieces, in seconds: longer than it takes to pass one on, so that each stays one.
GAP = 0.002
# Connections of the attacker's, asked at once.
LINES = 4
# So many characters in a row are found by luck in one run of four million.
BY_LUCK = 3
# A count of hits that guessing reaches in one run of a million.
SELDOM = 1e-6


class Line:
    """The caller's connection; opened anew when it ends."""

    def __init__(self, port):
        self.port, self.reader, self.requests = port, None, 0

    def ask(self, pieces, gap=GAP, cut=False):
        self.requests += 1
        what = {"do": "pieces", "pieces": pieces, "gap": gap}
        if cut:
            what["cut"] = True
        for _ in range(2):
            if self.reader is None:
                self.reader = Reader(connect(self.port))
            try:
                self.reader.peer.sendall(request(what))
            except OSError:
                self.reader = None
                continue
            answer = self.reader.answer()
            if not answer.whole:
                self.reader.peer.close()
                self.reader = None
            if answer.status:
                return answer
        raise OSError("the proxy does not answer")


def odd_one(features):
    """The candidate whose answer differs where most are alike, if there is exactly one."""
    counts = collections.Counter(features.values())
    usual, most = counts.most_common(1)[0]
    if most < len(features) * 0.6:
        return None
    odd = [candidate for candidate, feature in features.items() if feature != usual]
    return odd[0] if len(odd) == 1 else None


def shuffled():
    letters = list(KEY_ALPHABET)
    random.shuffle(letters)
    return letters


def boundaries(lines, known, pad=0):
    """All guesses of one character: where each one's piece was cut, and when its last byte came.

    Each guess has its own piece, which may have so many bytes before it, and a line feed, which no key
    has, before and after it. Every line asks for its share of them.
    """
    letters = shuffled()
    shares = [letters[at :: len(lines)] for at in range(len(lines))]
    with concurrent.futures.ThreadPoolExecutor(len(lines)) as pool:
        parts = list(pool.map(lambda line, share: _boundaries(line, known, share, pad), lines, shares))
    features, delays = {}, {}
    for part in parts:
        features.update(part[0])
        delays.update(part[1])
    return features, delays


def _boundaries(line, known, letters, pad):
    text = "." * pad + "\n" + known
    answer = line.ask(["\n"] + [text + letter for letter in letters] + ["\n"])
    size, tail = len(text) + 1, len(known) + 2
    features = {letter: [] for letter in letters}
    offset, ends = 0, []
    for arrived, length in answer.pieces:
        offset += length
        ends.append((offset, arrived))
        # The piece that this chunk ended in, and how far from that piece's end.
        number, place = divmod(offset - 2, size)
        missing = size - 1 - place
        if 0 <= number < len(letters) and missing < tail:
            features[letters[number]].append(missing)
    # When the last byte of each piece was there, wherever chunks end, since that of the piece before.
    offsets = [end for end, _ in ends]
    came = [ends[bisect.bisect_left(offsets, 1 + number * size)][1] for number in range(len(letters) + 1)]
    delays = {letter: came[number + 1] - came[number] for number, letter in enumerate(letters)}
    return {letter: tuple(feature) for letter, feature in features.items()}, delays


def by_chunks(pad):
    def find(lines, known, deadline):
        """The next character by where chunks end; two answers must agree."""
        votes = collections.Counter()
        for _ in range(6):
            if time.monotonic() > deadline:
                break
            found = odd_one(boundaries(lines, known, pad)[0])
            if found:
                votes[found] += 1
                if votes[found] == 2:
                    return found
        return None

    return find


def by_end(cut):
    def find(lines, known, deadline):
        """The next character by what stands at the answer's end."""
        seen = {}
        for letter in shuffled():
            if time.monotonic() > deadline:
                return None
            text = f"\n{known}{letter}"
            answer = lines[0].ask(["\n", text], gap=0.0005, cut=cut)
            seen[letter] = answer.body.decode("latin1") == "\n" + text
            different = [one for one, as_sent in seen.items() if as_sent != seen[next(iter(seen))]]
            if different and len(seen) > 2:
                # Whoever is alone is the odd one.
                return odd_one(seen) or letter
        return odd_one(seen)

    return find


def characters(find, lines, key, deadline):
    """How many characters one oracle finds one after the other."""
    known = KEY_PREFIX
    while len(known) < len(key) and time.monotonic() < deadline:
        found = find(lines, known, deadline)
        if found is None or found != key[len(known)]:
            break
        known += found
    return len(known) - len(KEY_PREFIX)


def tail(tries, hits):
    """How probable so many hits or more are by guessing."""
    chance = 1 / len(KEY_ALPHABET)
    return sum(math.comb(tries, n) * chance**n * (1 - chance) ** (tries - n) for n in range(hits, tries + 1))


def with_the_rest_known(lines, key, deadline):
    """Would the right character be told from the others, were all before it known? Tries position after
    position until the time is up: (tries, {way of choosing: how often it was right})."""
    tries, right = 0, collections.Counter()
    while time.monotonic() < deadline:
        # Not the last one: with it the whole key is there, and may make a difference.
        position = random.randrange(len(KEY_PREFIX), len(key) - 1)
        known, letter = key[:position], key[position]
        delays, cut = collections.defaultdict(list), None
        for _ in range(3):
            features, measured = boundaries(lines, known)
            cut = cut or odd_one(features)
            for one, delay in measured.items():
                delays[one].append(delay)
        middle = {one: statistics.median(values) for one, values in delays.items()}
        slowest = max(middle, key=middle.get, default=None)
        tries += 1
        right["slowest"] += slowest == letter
        right["fastest"] += min(middle, key=middle.get, default=None) == letter
        right["oddly cut"] += cut == letter
        right["oddly ended"] += by_end(tries % 2 == 0)(lines, known, deadline) == letter
    return tries, right


def attack(stage):
    authority = Authority(stage)
    issued = authority.issue("gateway", "IP:127.0.0.1")
    upstream = Upstream(stage)
    settings = [("HTTP/1.1", upstream.url, None)]
    for name in GATEWAYS:
        settings.append((f"{name}, TLS, HTTP/2", Gateway(stage, name, issued, upstream.port).url, authority.certificate))
    seen = []
    for name, url, certificate in settings:
        env = {"SSL_CERT_FILE": certificate} if certificate else {}
        proxy = Proxy(stage, url, env=env).serving()
        seen += one_setting(stage, name, proxy)
        proxy.stop()
    return seen


def one_setting(stage, name, proxy):
    key, unknown = proxy.key, len(proxy.key) - len(KEY_PREFIX)
    budget, start = stage.oracle_seconds, time.monotonic()
    for oracle, find, share in [
        ("where chunks end", by_chunks(0), 0.25),
        ("where chunks of 9 KB end", by_chunks(9000), 0.15),
        ("the end of the answer", by_end(False), 0.3),
        ("an answer that is cut", by_end(True), 0.1),
    ]:
        lines = [Line(proxy.port) for _ in range(LINES)]
        began = time.monotonic()
        found = characters(find, lines, key, began + budget * share)
        took = time.monotonic() - began
        yield Seen(
            f"{name}: {oracle}",
            f"{found} of {unknown} characters, {sum(line.requests for line in lines)} requests, {took:.1f} s",
            found >= BY_LUCK,
        )
    # All the time that is left: where nothing is found at once, a small difference may be found in the end.
    lines = [Line(proxy.port) for _ in range(LINES)]
    tries, right = with_the_rest_known(lines, key, start + budget)
    told = ", ".join(f"the {way} {count}" for way, count in right.items())
    yield Seen(
        f"{name}: one character, the others known",
        f"of {tries} tries right are: {told} (by chance {tries / len(KEY_ALPHABET):.1f})",
        any(tail(tries, count) < SELDOM for count in right.values()),
    )

"""Replaces what is different in every run by what is the same in all: times, durations, ids, ports, names."""

import re

# Of each request of the series, by its number: when it came, and in milliseconds how long all of it took, until the
# head of the answer and until the first output; and the bytes of its answer, where it breaks off anywhere.
REQUESTS = {
    1: ("14:03:07.123", 1523.084, 212.507, 412.661, None),
    2: ("14:03:12.480", 846.112, 845.316, 845.402, None),
    3: ("14:03:15.902", 0.094, None, None, None),
    4: ("14:03:20.331", 631.940, 208.214, 409.377, 1583),
    5: ("14:03:24.007", 1206.551, 211.093, 411.840, 2436),
    6: ("14:03:31.655", 1.202, None, None, None),
}
DAY = "2026-11-28"
STARTED = f"{DAY}T14:02:58.640Z"
RUN = "5f0c2a91b7"
USER, UID = "alice", 1001
UPSTREAM, PORT = "127.0.0.1:8080", "8787"

ID = re.compile(r"\b[0-9a-f]{10}-(\d+)\b")
TS = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
DURATION = r"(\d+\.\d+s|\d+m\d\ds)"


def ts(number):
    return f"{DAY}T{REQUESTS[number][0]}Z"


def number_of(identity):
    return int(ID.search(identity)[1])


def record(of):
    """A line of the access log, as a dictionary."""
    number = number_of(of["id"])
    _, duration, head, first, size = REQUESTS[number]
    same = {
        "ts": ts(number),
        "id": f"{RUN}-{number}",
        "caller.uid": UID,
        "caller.user": USER,
        "duration_ms": duration,
        "ttfb_ms": head,
        "ttft_ms": first,
        "bytes.response": size,
    }
    return {name: value if same.get(name) is None else same[name] for name, value in of.items()}


def start(of):
    """The first line of the audit log, as a dictionary."""
    return of | {"pid": 4711, "uid": UID, "start": RUN}


def hashes(line):
    """SHA-256s, but for the one that stands for none."""
    return re.sub(r"\b(?!0{64})[0-9a-f]{64}\b", "9c56cc51b3...", line)


def seconds(milliseconds):
    value = milliseconds / 1000
    return f"{value:.2f}s" if value < 1 else f"{value:.1f}s"


def text_line(line, number):
    """The line of a request for a person."""
    at, duration, _, first, _ = REQUESTS[number]
    line = re.sub(r"^\d\d:\d\d:\d\d \S+", f"{at[:8]} {USER}", line)
    if first is not None:
        line = re.sub(r"  ttft " + DURATION, f"  ttft {seconds(first)}", line)
    return re.sub(r"(?<=  )" + DURATION + r"(?=  |$)", seconds(duration), line)


def summary_line(line):
    """A line of what is said at the end."""
    line = re.sub(r"the slowest \S+ \(\S+\)", f"the slowest {REQUESTS[1][1] / 1000:.1f}s ({USER})", line)
    return hashes(re.sub(r"^  \S+:", f"  {USER}:", line))


def status_line(line):
    # What the upstream is told to send: a delta each 100 ms.
    return re.sub(r"\d+ tok/s", "10 tok/s", line)


def other(line, directory):
    """Any other line, and the files of dumps."""
    named = ID.search(line)
    line = TS.sub(ts(int(named[1])) if named else STARTED, line)
    line = ID.sub(lambda found: f"{RUN}-{found[1]}", line)
    line = re.sub(r"; user [^;)]+", f"; user {USER}", line)
    line = re.sub(r"(to a listener of user )[^\"]+", rf"\g<1>{UID}", line)
    line = line.replace(directory, "/var/log/codex-proxy")
    line = re.sub(r"(listening on 127\.0\.0\.1:)\d+", rf"\g<1>{PORT}", line)
    return re.sub(r"127\.0\.0\.1:(?!8787\b)\d+", UPSTREAM, line)


def sample(line):
    """A line of the metrics."""
    return re.sub(r'caller="[^"]+"', f'caller="{USER}"', line)

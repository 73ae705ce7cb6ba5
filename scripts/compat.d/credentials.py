"""The proxy's key, and what the clients send of their own.

The key goes from here to the proxy's standard input and nowhere else. What the clients send must not get past the
proxy; all of it has the marker.
"""

KEY = "sk-test-compat-the-key-of-the-proxy"
MARKER = "compat-client-own"
OWN_KEY = f"sk-test-{MARKER}"
COOKIE = f"session={MARKER}"

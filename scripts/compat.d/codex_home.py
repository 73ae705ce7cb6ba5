"""A CODEX_HOME with one config.toml that Codex CLI and our own codex exec both read."""

import shutil

from credentials import COOKIE, OWN_KEY

# Whatever both understand, and one setting that only an agent does.
CONFIG = """\
model = "gpt-mock"
model_provider = "local-proxy"
model_reasoning_effort = "low"
approval_policy = "never"

[model_providers.local-proxy]
name = "local-proxy"
base_url = "{base_url}"
wire_api = "responses"
env_key = "COMPAT_TOKEN"
http_headers = {{ cookie = "{cookie}" }}
env_http_headers = {{ "X-Team" = "COMPAT_TEAM" }}
request_max_retries = 1
stream_max_retries = 1
stream_idle_timeout_ms = 30000
supports_websockets = false
"""
MODEL = "gpt-mock"
PROFILE, PROFILE_MODEL = "other", "gpt-mock-profile"

# What the configuration takes from the environment.
VARIABLES = {"COMPAT_TEAM": "x", "COMPAT_TOKEN": OWN_KEY}


class CodexHome:
    def __init__(self, tmp):
        self.path = tmp / "codex"

    def clear(self):
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir()

    def configure(self, server):
        """Nothing but the shared configuration, and its profile."""
        self.clear()
        self.write(CONFIG.format(base_url=server.url("/v1"), cookie=COOKIE))
        (self.path / f"{PROFILE}.config.toml").write_text(f'model = "{PROFILE_MODEL}"\n')

    def write(self, config):
        (self.path / "config.toml").write_text(config)


def check_config(who, codex, home, servers, expect):
    """One config.toml and one profile; `codex` runs the program with arguments, and VARIABLES."""
    home.configure(servers["answer"])
    for what, model, arguments in (("config.toml", MODEL, []), ("profile", PROFILE_MODEL, ["-p", PROFILE])):
        outcome = codex([*arguments, "hi"])
        # The body is a string of JSON in the JSON of the record.
        if not any(f'\\"model\\":\\"{model}\\"' in request for request in servers["answer"].received()):
            expect.failed(who, f"asked for another model than {model}")
        expect.answered(f"one {what}: {who}", outcome)

//! `codex exec` and `codex`: the real binary against the scripted upstream.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]
#![cfg_attr(
    not(unix),
    allow(
        unused_imports,
        unused_variables,
        reason = "signals and shells are Unix's"
    )
)]

#[cfg(unix)]
mod chat;
#[cfg(unix)]
mod chat_commands;
mod configuration;
#[cfg(unix)]
mod display;
mod events;
mod flags_of_codex;
mod help;
mod hostile;
mod json;
mod output;
mod prompt;
mod proxy;
mod retries;
#[cfg(unix)]
mod server_info;
mod servers;
mod sessions;
#[cfg(unix)]
mod signals;
mod stream_retries;
#[cfg(unix)]
mod terminal;

use codex_test_support::{MockUpstream, Output, Program, Reply, Stdin};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The binary under test.
const CODEX: &str = env!("CARGO_BIN_EXE_codex");

/// A run of `codex`, with a home of its own.
struct Run {
    home: TempDir,
    args: Vec<String>,
    env: Vec<(String, String)>,
    stdin: Stdin,
}

/// `codex exec` with a `config.toml` that leads to `upstream`, and `hi` for a prompt.
fn ask(upstream: &MockUpstream) -> Run {
    let run = codex(&["exec", "hi"]);
    run.file("config.toml", config(upstream, ""))
}

/// `codex` without any configuration.
fn codex(args: &[&str]) -> Run {
    let home = tempfile::tempdir().unwrap();
    let run = Run {
        env: Vec::new(),
        args: Vec::new(),
        stdin: Stdin::Empty,
        home,
    };
    let path = run.home.path().to_str().unwrap().to_owned();
    run.env("CODEX_HOME", &path).args(args)
}

/// The address that ends before `/responses`.
fn base_url(upstream: &MockUpstream) -> String {
    upstream
        .url()
        .strip_suffix("/responses")
        .unwrap()
        .to_owned()
}

/// A `config.toml` for the provider `mock`, with further keys of that provider.
fn config(upstream: &MockUpstream, more: &str) -> String {
    format!(
        "model = \"m\"\nmodel_provider = \"mock\"\n[model_providers.mock]\nname = \"Mock\"\n\
         base_url = \"{}\"\nwire_api = \"responses\"\n{more}\n",
        base_url(upstream)
    )
}

impl Run {
    fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// Adds `-c` for a key of the provider `mock`.
    fn provider(self, setting: &str) -> Self {
        let setting = format!("model_providers.mock.{setting}");
        self.args(&["-c", &setting])
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    fn stdin(mut self, bytes: &str) -> Self {
        self.stdin = Stdin::Bytes(bytes.into());
        self
    }

    /// A file in the home.
    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.home.path().join(name), content).unwrap();
        self
    }

    fn path(&self, name: &str) -> String {
        self.home.path().join(name).to_str().unwrap().to_owned()
    }

    #[track_caller]
    fn start(&self) -> Program {
        self.start_by(CODEX, &[])
    }

    /// Starts another program that is given `before` and then our arguments.
    #[track_caller]
    fn start_by(&self, program: &str, before: &[&str]) -> Program {
        let args = before.iter().copied();
        let args: Vec<&str> = args.chain(self.args.iter().map(String::as_str)).collect();
        let env: Vec<(&str, &str)> = self
            .env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        Program::start(program, &args, &env, self.stdin.clone())
    }

    #[track_caller]
    fn run(&self) -> Output {
        self.start().wait_exit()
    }

    /// Runs it through a shell's words; `"$@"` is our command line.
    #[track_caller]
    fn run_in_shell(&self, script: &str) -> Output {
        self.start_by("/bin/sh", &["-c", script, "sh", CODEX])
            .wait_exit()
    }
}

/// Checks the exit code and the text on standard output, which a newline follows.
#[track_caller]
fn assert_ended(output: &Output, code: i32, text: &str) {
    let newline = if text.is_empty() { "" } else { "\n" };
    assert_eq!(
        (output.code, output.stdout.as_str()),
        (Some(code), format!("{text}{newline}").as_str()),
        "stderr: {}",
        output.stderr
    );
}

/// One event, as bytes.
fn event(data: &Value) -> Vec<u8> {
    format!("data: {data}\n\n").into_bytes()
}

fn created() -> Vec<u8> {
    event(&json!({"type": "response.created", "response": {"id": "r", "model": "m-1"}}))
}

fn delta(text: &str) -> Vec<u8> {
    event(&json!({"type": "response.output_text.delta", "delta": text}))
}

fn completed() -> Vec<u8> {
    event(&json!({"type": "response.completed", "response": {"id": "r"}}))
}

/// `codex` with a `config.toml` that leads to `upstream`, and without retries.
#[cfg(unix)]
fn chat(upstream: &MockUpstream, args: &[&str]) -> Run {
    codex(args).file(
        "config.toml",
        config(upstream, "stream_max_retries = 0\nrequest_max_retries = 0"),
    )
}

/// A whole answer of one text.
fn whole(text: &str) -> Reply {
    Reply::event_stream().data([created(), delta(text), completed()].concat())
}

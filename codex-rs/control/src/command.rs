//! The commands as typed.

use std::path::PathBuf;
use std::time::Duration;

/// What to ask of a proxy that runs.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum ControlCommand {
    /// Show the state of a running proxy: where it listens, who calls, what was spent
    ///
    /// Queries the control socket that the proxy was started with (--control). Only root, the proxy's own user and the
    /// user that started it may do so. Exit status: 0 if the proxy is running, 3 if no proxy is running there, 1 if that
    /// cannot be determined.
    Status(StatusArgs),
    /// Watch a running proxy: requests in flight, callers, tokens per second, budgets
    ///
    /// Press q, Esc or Ctrl-C to quit; the bottom line lists the other keys.
    Top(PlaceArgs),
    /// Wait until a proxy is ready
    ///
    /// If the proxy has no control socket, waits until the port in its server info accepts connections. Exit status: 0
    /// once the proxy is ready, 1 if it is not ready in time.
    Wait(WaitArgs),
    /// Stop a running proxy, as SIGTERM does, and wait until it has exited
    ///
    /// Answers in flight may finish within the proxy's --drain-timeout; a second `stop` cuts them off. Exit status: 0
    /// once the proxy has exited, 3 if no proxy is running there, 1 if it has not exited in time.
    Stop(StopArgs),
}

/// Which proxy.
#[derive(Clone, Debug, clap::Args)]
pub struct PlaceArgs {
    /// Control socket of the proxy
    ///
    /// By default, the one that its server info names, or else unix:/run/codex-proxy/control.sock.
    #[arg(long, value_name = "unix:PATH", value_parser = parse_socket)]
    pub(crate) control: Option<PathBuf>,

    /// Server-info file of the proxy; by default, the one that CODEX_PROXY_SERVER_INFO names
    #[arg(long, value_name = "FILE", conflicts_with = "control")]
    pub(crate) server_info: Option<PathBuf>,
}

/// How to print it.
#[derive(Clone, Debug, clap::Args)]
pub struct StatusArgs {
    #[allow(missing_docs)]
    #[command(flatten)]
    pub(crate) place: PlaceArgs,

    /// Print one JSON object; docs/control.md describes its fields
    #[arg(long)]
    pub(crate) json: bool,
}

/// How long to wait.
#[derive(Clone, Debug, clap::Args)]
pub struct WaitArgs {
    #[allow(missing_docs)]
    #[command(flatten)]
    pub(crate) place: PlaceArgs,

    /// How long to wait for the proxy to be ready (`5`, `30s`, `2m`)
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_time)]
    pub(crate) timeout: Duration,
}

/// How long to wait.
#[derive(Clone, Debug, clap::Args)]
pub struct StopArgs {
    #[allow(missing_docs)]
    #[command(flatten)]
    pub(crate) place: PlaceArgs,

    /// How long to wait for the proxy to exit (`5`, `30s`, `2m`)
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = parse_time)]
    pub(crate) timeout: Duration,
}

/// Reads `unix:/run/codex-proxy/control.sock`.
fn parse_socket(text: &str) -> Result<PathBuf, &'static str> {
    match text.strip_prefix("unix:") {
        Some(path) if path.starts_with('/') => Ok(PathBuf::from(path)),
        _ => Err("write it as unix:/PATH"),
    }
}

/// Reads `90`, `90s`, `10m`, `1h`.
fn parse_time(text: &str) -> Result<Duration, &'static str> {
    const HOW: &str = "a time is a number of seconds, or has a unit: 500ms, 90s, 10m, 1h";
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| HOW)?;
    let unit = text.get(digits.len()..).unwrap_or_default();
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs).ok_or(HOW);
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "" | "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3600),
        _ => Err(HOW),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_or_is_in_seconds() {
        for (text, time) in [
            ("0", Duration::ZERO),
            ("90", Duration::from_secs(90)),
            ("250ms", Duration::from_millis(250)),
            ("2m", Duration::from_secs(120)),
            ("1h", Duration::from_secs(3600)),
        ] {
            assert_eq!(parse_time(text), Ok(time));
        }
        for wrong in [
            "",
            "s",
            "-1",
            "1.5s",
            "1d",
            "1 s",
            "99999999999999999999",
            "18446744073709551615h",
        ] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_socket_is_an_absolute_path() {
        assert_eq!(parse_socket("unix:/run/s"), Ok(PathBuf::from("/run/s")));
        for wrong in ["", "/run/s", "unix:", "unix:s", "tcp:1"] {
            assert!(parse_socket(wrong).is_err(), "{wrong}");
        }
    }
}

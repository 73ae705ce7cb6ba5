//! Where metrics are read: nothing but this host can reach it.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// An address of this host, or a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricsPlace {
    /// Port 0 is one that is free.
    Tcp(SocketAddr),
    /// An absolute path.
    Unix(PathBuf),
}

impl fmt::Display for MetricsPlace {
    /// As a client of HTTP would write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "http://{address}/metrics"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Reads `127.0.0.1:9464`, `[::1]:9464`, `unix:/run/codex-proxy/metrics.sock`.
///
/// # Errors
///
/// Says what to write.
pub(crate) fn parse_metrics_place(text: &str) -> Result<MetricsPlace, &'static str> {
    if let Some(path) = text.strip_prefix("unix:") {
        return if path.starts_with('/') {
            Ok(MetricsPlace::Unix(PathBuf::from(path)))
        } else {
            Err("the path of a Unix socket is absolute: write it as unix:/PATH")
        };
    }
    let Ok(address) = text.parse::<SocketAddr>() else {
        return Err(
            "write it as 127.0.0.1:PORT, [::1]:PORT or unix:/PATH; port 0 is one that is free",
        );
    };
    if !address.ip().is_loopback() {
        return Err(
            "metrics say who calls and what it costs, so only this host may ask for them: write it as \
             127.0.0.1:PORT, [::1]:PORT or unix:/PATH",
        );
    }
    Ok(MetricsPlace::Tcp(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_address_of_this_host_or_a_unix_socket() {
        for (text, shown) in [
            ("127.0.0.1:9464", "http://127.0.0.1:9464/metrics"),
            ("127.0.0.1:0", "http://127.0.0.1:0/metrics"),
            ("[::1]:9464", "http://[::1]:9464/metrics"),
            ("unix:/run/metrics.sock", "unix:/run/metrics.sock"),
        ] {
            assert_eq!(parse_metrics_place(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_others_could_reach_or_nobody_understands_is_refused() {
        for text in [
            "0.0.0.0:9464",
            "[::]:9464",
            "192.168.1.2:9464",
            "[::ffff:127.0.0.1]:9464",
        ] {
            let refused = parse_metrics_place(text).unwrap_err();
            assert!(refused.contains("only this host"), "{text}: {refused}");
        }
        for text in [
            "",
            "9464",
            ":9464",
            "127.0.0.1",
            "localhost:9464",
            "127.0.0.1:65536",
            "http://127.0.0.1:9464/metrics",
            "::1:9464",
            "unix:metrics.sock",
            "unix:",
        ] {
            let refused = parse_metrics_place(text).unwrap_err();
            assert!(refused.contains("unix:/PATH"), "{text}: {refused}");
        }
    }
}

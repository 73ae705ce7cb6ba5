//! Pure: the line of a server-info file.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

/// The longest file that is looked into, in bytes.
pub const MAX_BYTES: u64 = 64 * 1024;

/// What a running proxy says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub struct ServerInfo {
    /// The TCP port on 127.0.0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The process that wrote it.
    pub pid: u32,
    /// The path of a Unix socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    /// What callers have to send in the place of an API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_token: Option<ClientToken>,
    /// The path of a Unix socket where the proxy is asked how it is (`codex-control`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control_socket: Option<PathBuf>,
    /// Fields of other versions, or of another program.
    #[serde(flatten, skip_serializing)]
    unknown: BTreeMap<String, IgnoredAny>,
}

/// Where a proxy listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// This port of 127.0.0.1.
    Port(u16),
    /// A Unix socket, when there is no port.
    Socket(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => write!(f, "127.0.0.1:{port}"),
            Self::Socket(path) => write!(f, "the Unix socket {}", path.display()),
        }
    }
}

/// A token for callers, kept out of whatever prints structures.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientToken(String);

impl ClientToken {
    /// The token itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClientToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientToken(..)")
    }
}

/// Why something is not server info. None of these repeats what it is instead, which may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// Nothing, or blanks alone: a file that is made before there is anything to say.
    Empty,
    /// More than [`MAX_BYTES`].
    TooLong,
    /// No JSON object, or one without the fields, or with others in their place.
    Malformed,
    /// Neither a port nor a socket.
    NoAddress,
}

impl fmt::Display for FormatError {
    /// The end of a sentence that begins with the name of the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty: the proxy is not ready, or has ended"),
            Self::TooLong => write!(f, "is longer than {MAX_BYTES} bytes"),
            Self::Malformed => f.write_str(
                "is not server info of codex responses-api-proxy: expected {\"port\":N,\"pid\":N}",
            ),
            Self::NoAddress => f.write_str("names neither a port nor a socket"),
        }
    }
}

impl std::error::Error for FormatError {}

impl ServerInfo {
    /// Of this process, which listens at one of the two at least.
    #[must_use]
    pub fn of_this_process(
        port: Option<u16>,
        socket: Option<&Path>,
        client_token: Option<&str>,
    ) -> Self {
        Self {
            port,
            pid: std::process::id(),
            socket: socket.map(Path::to_owned),
            client_token: client_token.map(|token| ClientToken(token.to_owned())),
            control_socket: None,
            unknown: BTreeMap::new(),
        }
    }

    /// The same, of a process that is asked how it is at this path of a Unix socket, if at any.
    #[must_use]
    pub fn with_control(mut self, socket: Option<&Path>) -> Self {
        self.control_socket = socket.map(Path::to_owned);
        self
    }

    /// The line, with its newline.
    ///
    /// # Errors
    ///
    /// The path of the socket is not UTF-8.
    pub fn to_line(&self) -> io::Result<String> {
        Ok(format!("{}\n", serde_json::to_string(self)?))
    }

    /// Reads a whole file. Fields that are not known here are passed over: a later version may have more.
    ///
    /// # Errors
    ///
    /// [`FormatError`].
    pub fn parse(content: &[u8]) -> Result<Self, FormatError> {
        if content.trim_ascii().is_empty() {
            return Err(FormatError::Empty);
        }
        if u64::try_from(content.len()).unwrap_or(u64::MAX) > MAX_BYTES {
            return Err(FormatError::TooLong);
        }
        let info: Self = serde_json::from_slice(content).map_err(|_| FormatError::Malformed)?;
        info.address().ok_or(FormatError::NoAddress)?;
        Ok(info)
    }

    /// Whether this is what a server-info file holds, and all of it. What has more in it is somebody's work,
    /// and not to be overwritten.
    #[must_use]
    pub fn is_all_of(content: &[u8]) -> bool {
        Self::parse(content).is_ok_and(|info| info.unknown.is_empty())
    }

    /// Where to call it: a port comes before a socket.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        let socket = || self.socket.clone().map(Address::Socket);
        self.port.map(Address::Port).or_else(socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for (port, socket, token, line) in [
            (Some(1), None, None, "{\"port\":1,\"pid\":PID}\n"),
            (
                None,
                Some("/run/s"),
                None,
                "{\"pid\":PID,\"socket\":\"/run/s\"}\n",
            ),
            (
                Some(65535),
                Some("/s"),
                Some("t"),
                "{\"port\":65535,\"pid\":PID,\"socket\":\"/s\",\"client_token\":\"t\"}\n",
            ),
        ] {
            let info = ServerInfo::of_this_process(port, socket.map(Path::new), token);
            let pid = std::process::id();
            let written = info.to_line().unwrap();
            assert_eq!(written, line.replace("PID", &pid.to_string()));
            assert!(ServerInfo::is_all_of(written.as_bytes()));
            let read = ServerInfo::parse(written.as_bytes()).unwrap();
            assert_eq!((read.port, read.pid), (port, pid));
            assert_eq!(read.socket.as_deref(), socket.map(Path::new));
            assert_eq!(read.client_token.as_ref().map(ClientToken::expose), token);
            assert!(!format!("{read:?}").contains("\"t\""));
        }
    }

    #[test]
    fn a_control_socket_is_named_last() {
        let info = ServerInfo::of_this_process(Some(1), None, None);
        let info = info.with_control(Some(Path::new("/run/c")));
        let line = info.to_line().unwrap();
        assert!(
            line.ends_with(",\"control_socket\":\"/run/c\"}\n"),
            "{line}"
        );
        let read = ServerInfo::parse(line.as_bytes()).unwrap();
        assert_eq!(read.control_socket.as_deref(), Some(Path::new("/run/c")));
    }

    #[test]
    fn a_port_comes_before_a_socket() {
        let address = |content: &[u8]| ServerInfo::parse(content).unwrap().address().unwrap();
        let both = address(br#"{"port":1,"pid":2,"socket":"/s"}"#);
        assert_eq!(both, Address::Port(1));
        let socket = address(br#"{"pid":2,"socket":"/s"}"#);
        assert_eq!(socket, Address::Socket("/s".into()));
    }

    #[test]
    fn only_what_we_write_passes_for_server_info() {
        for ours in [
            r#"{"port":1,"pid":2}"#,
            "{\"port\":65535,\"pid\":2}\n",
            r#"{"pid":2,"socket":"/run/s"}"#,
            r#" {"port":1, "pid":2, "socket":"/s", "client_token":"t"} "#,
            r#"{"port":1,"pid":2,"control_socket":"/run/c"}"#,
        ] {
            assert!(ServerInfo::is_all_of(ours.as_bytes()), "{ours}");
        }
        for other in [
            "",
            "\n",
            "{",
            "{}",
            "precious",
            r#"{"port":1}"#,
            r#"{"pid":2}"#,
            r#"{"password":"x"}"#,
            r#"{"port":1,"pid":2,"precious":3}"#,
            r#"{"port":1,"pid":2} precious"#,
            r#"{"port":1,"pid":2}{"port":1,"pid":2}"#,
            r#"{"port":1,"port":1,"pid":2}"#,
            r#"{"port":70000,"pid":2}"#,
            r#"{"port":"1","pid":2}"#,
            r#"{"port":1,"pid":-2}"#,
            "[1,2]",
            "[1,2,null,null]",
            "{\"port\":1,\"pid\":2}\0",
        ] {
            assert!(!ServerInfo::is_all_of(other.as_bytes()), "{other}");
        }
        let line = r#"{"port":1,"pid":2}"#;
        let room = usize::try_from(MAX_BYTES).unwrap() - line.len();
        let longest = line.to_owned() + &" ".repeat(room);
        assert!(ServerInfo::is_all_of(longest.as_bytes()));
        assert!(!ServerInfo::is_all_of((longest + " ").as_bytes()));
    }

    #[test]
    fn fields_of_a_later_version_are_passed_over_by_readers() {
        let later = br#"{"port":1,"pid":2,"control":{"socket":["/c"]}}"#;
        assert_eq!(ServerInfo::parse(later).unwrap().port, Some(1));
    }

    #[test]
    fn what_is_not_server_info_is_named_and_not_repeated() {
        let long = " ".repeat(70_000) + "x";
        for (content, error) in [
            ("", FormatError::Empty),
            (" \n", FormatError::Empty),
            (long.as_str(), FormatError::TooLong),
            ("sk-secret", FormatError::Malformed),
            ("{\n\"port\":70000}", FormatError::Malformed),
            ("{\"pid\":1}", FormatError::NoAddress),
        ] {
            assert_eq!(ServerInfo::parse(content.as_bytes()).unwrap_err(), error);
            assert!(!error.to_string().contains("sk-secret"));
        }
    }
}

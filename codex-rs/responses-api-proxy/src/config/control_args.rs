//! The flags of the control socket, as typed.

use std::path::PathBuf;

use crate::config::args::{parse_listen, parse_mode};
use crate::net::unix_socket::UnixSocketConfig;

/// Where the proxy is asked how it is.
#[derive(Clone, Debug, clap::Args)]
pub struct ControlArgs {
    /// Unix socket for `status`, `top`, `wait` and `stop`, as `unix:/PATH`
    ///
    /// Only root, the user that the proxy runs as, and the user that started it, directly or with sudo, get an
    /// answer. Answers never contain a key, token, header or body. docs/control.md describes the protocol.
    #[arg(long, value_name = "unix:PATH", value_parser = parse_listen)]
    pub(crate) control: Option<PathBuf>,

    /// Permissions of the control socket, in octal; the user who connects is checked in any case
    #[arg(long, value_name = "MODE", default_value = "600", value_parser = parse_mode, requires = "control")]
    pub(crate) control_mode: u32,
}

impl ControlArgs {
    /// What was asked for.
    pub(crate) fn socket(self) -> Option<UnixSocketConfig> {
        let mode = self.control_mode;
        self.control.map(|path| UnixSocketConfig {
            path,
            mode,
            group: None,
        })
    }
}

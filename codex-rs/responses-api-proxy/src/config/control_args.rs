//! The flags of the control socket, as typed.

use std::path::PathBuf;

use crate::config::args::{parse_listen, parse_mode};
use crate::net::unix_socket::UnixSocketConfig;

/// Where the proxy is asked how it is.
#[derive(Clone, Debug, clap::Args)]
pub struct ControlArgs {
    /// Unix socket on which to be asked, as `unix:/PATH`: by `status`, `top`, `wait` and `stop`
    ///
    /// Only root, the user that the proxy runs as, and the user that started it, by sudo too, are answered. What they
    /// are told has no key, token, header or body in it. docs/control.md has the protocol.
    #[arg(long, value_name = "unix:PATH", value_parser = parse_listen)]
    pub(crate) control: Option<PathBuf>,

    /// Permissions of the control socket, in octal; whoever can connect is asked who it is all the same
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

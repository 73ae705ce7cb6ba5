//! Which proxy is meant, and where it is to be asked.

use std::ffi::OsString;
use std::path::PathBuf;

use codex_server_info::{Found, read};

use crate::command::PlaceArgs;
use crate::error::ControlError;

/// Where a proxy is asked unless told otherwise: the package of the proxy has it there.
pub const DEFAULT_SOCKET: &str = "/run/codex-proxy/control.sock";

/// Names the server info, for our own chat client too.
const SERVER_INFO: &str = "CODEX_PROXY_SERVER_INFO";

/// Which proxy is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The one with this control socket.
    Socket(PathBuf),
    /// The one that wrote this file.
    ServerInfo(PathBuf),
}

impl Place {
    /// The nearest word counts: a flag, the variable, the default.
    pub(crate) fn of(args: &PlaceArgs) -> Self {
        let variable = std::env::var_os(SERVER_INFO);
        Self::by(args, variable)
    }

    fn by(args: &PlaceArgs, variable: Option<OsString>) -> Self {
        if let Some(path) = &args.control {
            return Self::Socket(path.clone());
        }
        let variable = variable
            .filter(|value| !value.is_empty())
            .map(PathBuf::from);
        match args.server_info.clone().or(variable) {
            Some(file) => Self::ServerInfo(file),
            None => Self::Socket(PathBuf::from(DEFAULT_SOCKET)),
        }
    }

    /// Where its control socket is.
    ///
    /// # Errors
    ///
    /// Without a proxy, and of a proxy without such a socket.
    pub(crate) fn socket(&self) -> Result<PathBuf, ControlError> {
        let file = match self {
            Self::Socket(path) => return Ok(path.clone()),
            Self::ServerInfo(file) => file,
        };
        let found = read(file).map_err(|error| {
            if error.is_empty_file() || file.try_exists().is_ok_and(|exists| !exists) {
                ControlError::NotThere(error.to_string())
            } else {
                ControlError::ServerInfo(error)
            }
        })?;
        control_of(&found)
    }
}

/// The control socket of the proxy that a server info is of, if the proxy is still there.
pub(crate) fn control_of(found: &Found) -> Result<PathBuf, ControlError> {
    match found.process.verify() {
        Err(gone) if !gone.is_unknown() => return Err(ControlError::NotThere(gone.to_string())),
        _ => {}
    }
    match &found.info.control_socket {
        Some(path) => Ok(path.clone()),
        None => Err(ControlError::NoControl(
            found.address.to_string(),
            found.info.pid,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_comes_before_the_variable_and_that_before_the_default() {
        let none = PlaceArgs {
            control: None,
            server_info: None,
        };
        let default = Place::Socket(DEFAULT_SOCKET.into());
        assert_eq!(Place::by(&none, None), default);
        assert_eq!(Place::by(&none, Some("".into())), default);
        let by_variable = Place::ServerInfo("/v".into());
        assert_eq!(Place::by(&none, Some("/v".into())), by_variable);
        let file = PlaceArgs {
            control: None,
            server_info: Some("/f".into()),
        };
        let by_file = Place::ServerInfo("/f".into());
        assert_eq!(Place::by(&file, Some("/v".into())), by_file);
        let socket = PlaceArgs {
            control: Some("/s".into()),
            server_info: None,
        };
        let by_socket = Place::Socket("/s".into());
        assert_eq!(Place::by(&socket, Some("/v".into())), by_socket);
    }
}

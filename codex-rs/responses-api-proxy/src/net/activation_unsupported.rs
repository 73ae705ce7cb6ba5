//! Where no descriptors are inherited, no sockets are.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use crate::net::listeners::BoundListener;

/// The first descriptor.
pub(crate) const FIRST: i32 = 3;

/// What the variables say: nothing here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Announced {
    Nothing,
    #[allow(dead_code, reason = "as where there is one")]
    ForAnother(u32),
    #[allow(dead_code, reason = "as where there are some")]
    Names(Vec<String>),
}

/// Sockets are announced, and cannot be had.
#[derive(Debug)]
pub(crate) struct ActivationError;

impl fmt::Display for ActivationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LISTEN_FDS: no sockets are inherited on this system; unset it")
    }
}

impl std::error::Error for ActivationError {}

impl Announced {
    pub(crate) fn read(
        count: Option<&str>,
        _pid: Option<&str>,
        _names: Option<&str>,
        _own: u32,
    ) -> Result<Self, ActivationError> {
        match count {
            None => Ok(Self::Nothing),
            Some(_) => Err(ActivationError),
        }
    }
}

/// The sockets; there are none here.
#[derive(Debug, Default)]
pub(crate) struct ActivatedSockets {
    pub(crate) callers: Vec<ActivatedSocket>,
    pub(crate) metrics: Option<ActivatedSocket>,
    pub(crate) control: Option<ActivatedSocket>,
}

/// A socket; there is none here.
#[derive(Debug)]
pub(crate) enum ActivatedSocket {}

impl ActivatedSockets {
    pub(crate) fn take(_names: &[String]) -> Result<Self, ActivationError> {
        Err(ActivationError)
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.callers.iter().filter_map(ActivatedSocket::address)
    }

    pub(crate) fn uncovered_ports(&self) -> Vec<u16> {
        Vec::new()
    }
}

impl ActivatedSocket {
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match *self {}
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        match *self {}
    }
}

impl From<ActivatedSocket> for BoundListener {
    fn from(socket: ActivatedSocket) -> Self {
        match socket {}
    }
}

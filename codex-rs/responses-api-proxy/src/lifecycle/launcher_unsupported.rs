//! Where no descriptors are inherited, whoever starts the proxy is told nothing by one, and not missed.

use std::io;

/// There is none here.
#[derive(Debug)]
pub(crate) enum Lifeline {}

impl Lifeline {
    #[allow(clippy::unused_async, reason = "as where there is one")]
    pub(crate) async fn closed(&self) -> io::Result<()> {
        match *self {}
    }
}

/// There is none here.
#[derive(Debug)]
pub(crate) enum ReadyFd {}

impl ReadyFd {
    pub(crate) fn announce(self, _line: &str) -> io::Result<()> {
        match self {}
    }
}

/// There is none here.
#[derive(Debug)]
pub(crate) enum Parent {}

impl Parent {
    #[allow(clippy::unused_async, reason = "as where there is one")]
    pub(crate) async fn ended(&self) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn pid(&self) -> i32 {
        match *self {}
    }
}

//! Where there is no `termios(3)`, echo stays on; the attempt says so.

use std::fs::File;
use std::io;

/// Turning echo off is not done here.
pub struct EchoOff(());

impl EchoOff {
    /// # Errors
    ///
    /// Always: not supported here.
    pub fn new(_terminal: &File) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

//! Where there are no handles of processes, the end of a process is that of its connection.

use std::io;
use std::time::Duration;

use crate::connection::Connection;

/// A process, by its number.
#[derive(Debug)]
pub(crate) struct Process(u32);

impl Process {
    pub(crate) fn behind(_: &Connection, pid: u32) -> Result<Option<Self>, (u32, io::Error)> {
        Ok(Some(Self(pid)))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0
    }

    pub(crate) fn ended_within(
        &self,
        connection: &mut Connection,
        limit: Duration,
    ) -> io::Result<bool> {
        Ok(connection.closed_within(limit))
    }
}

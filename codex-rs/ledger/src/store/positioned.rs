//! Reading and writing at a place of a file, which each system has under names of its own.

use std::fs::File;
use std::io;

/// Fills `out` from `offset` on.
///
/// # Errors
/// When the file ends before, or cannot be read.
#[cfg(unix)]
pub(super) fn read_exact_at(file: &File, out: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, offset)
}

/// Writes all of `data` from `offset` on.
///
/// # Errors
/// When it cannot be written.
#[cfg(unix)]
pub(super) fn write_all_at(file: &File, data: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, data, offset)
}

/// Fills `out` from `offset` on.
///
/// # Errors
/// When the file ends before, or cannot be read.
#[cfg(windows)]
pub(super) fn read_exact_at(file: &File, mut out: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !out.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, out, offset)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        out = out.get_mut(read..).unwrap_or_default();
        offset += u64::try_from(read).unwrap_or(u64::MAX);
    }
    Ok(())
}

/// Writes all of `data` from `offset` on.
///
/// # Errors
/// When it cannot be written.
#[cfg(windows)]
pub(super) fn write_all_at(file: &File, mut data: &[u8], mut offset: u64) -> io::Result<()> {
    while !data.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, data, offset)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        data = data.get(written..).unwrap_or_default();
        offset += u64::try_from(written).unwrap_or(u64::MAX);
    }
    Ok(())
}

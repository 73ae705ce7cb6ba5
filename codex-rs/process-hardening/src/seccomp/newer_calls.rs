//! What becomes of system calls that are newer than all that are listed.

use std::io;

use seccompiler::{BpfProgram, sock_filter};

/// The beginning of a filter, for which seccompiler has no words: a call whose number is higher than
/// `newest` is one that the kernel does not have. For every architecture the numbers of new calls follow
/// on those of older ones, and those of x32 are higher than all.
pub(super) fn answering_newer(newest: libc::c_long) -> io::Result<BpfProgram> {
    let statement = |code: u32, k: u32, jump_if_not: u8| {
        Ok::<_, io::Error>(sock_filter {
            code: u16::try_from(code).map_err(io::Error::other)?,
            jt: 0,
            jf: jump_if_not,
            k,
        })
    };
    let newest = u32::try_from(newest).map_err(io::Error::other)?;
    // The number comes first in `struct seccomp_data` (seccomp(2)).
    let load_number = statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)?;
    let is_newer = statement(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K, newest, 1)?;
    let unknown = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    let answer = statement(libc::BPF_RET | libc::BPF_K, unknown, 0)?;
    Ok(vec![load_number, is_newer, answer])
}

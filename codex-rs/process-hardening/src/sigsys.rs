//! A refused system call fails with `EPERM`, and says so once.
//!
//! seccomp alone can do the first in silence. To do both, the filter raises
//! SIGSYS (`SECCOMP_RET_TRAP`), and the handler writes a line, sets the call's
//! result, and returns: the program goes on as if the kernel had answered. A SIGSYS
//! that somebody sent by `kill(2)` interrupts at any instruction, so it must not
//! change a register: it ends the process, as by default.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::signals::{Action, raise};

/// `si_code` of a signal that seccomp raised (`<asm-generic/siginfo.h>`).
const SYS_SECCOMP: libc::c_int = 1;

/// One bit for each system call that was reported; numbers past the end share one.
static REPORTED: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];

/// Installs the handler (`sigaction(2)`).
///
/// # Errors
///
/// `Unsupported` where the registers of this architecture are not known here.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) fn report() -> io::Result<()> {
    // SAFETY: the handler does only what signal-safety(7) allows.
    let action = unsafe { Action::call_with_context(on_refused_call) };
    action.install(libc::SIGSYS)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) fn report() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Runs in the thread that made the call, between the call and its return.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
extern "C" fn on_refused_call(
    _signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel passes what it knows of the signal, which nobody else
    // refers to while the handler runs.
    let is_refusal = unsafe { info.as_ref() }.is_some_and(|info| info.si_code == SYS_SECCOMP);
    if !is_refusal {
        // It can fail for no signal that is handled.
        let _ = Action::by_default().install(libc::SIGSYS);
        raise(libc::SIGSYS);
        return;
    }
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the kernel passes the registers of the interrupted thread, which
    // nobody else refers to while its handler runs.
    let Some(context) = (unsafe { context.as_mut() }) else {
        return;
    };
    let result = -i64::from(libc::EPERM);
    #[cfg(target_arch = "x86_64")]
    let number = {
        // It holds the number on entry and the result on return.
        const RAX: usize = libc::REG_RAX as usize;
        std::mem::replace(&mut context.uc_mcontext.gregs[RAX], result)
    };
    #[cfg(target_arch = "aarch64")]
    let number = {
        // x8 holds the number, x0 the result.
        context.uc_mcontext.regs[0] = result as u64;
        context.uc_mcontext.regs[8] as i64
    };
    if is_new(number) {
        write_line(number);
    }
}

/// Whether this call was not reported before.
fn is_new(number: i64) -> bool {
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    let word = number.checked_div(64).unwrap_or(0).min(REPORTED.len() - 1);
    let bit = 1_u64 << (number % 64);
    REPORTED
        .get(word)
        .is_some_and(|word| word.fetch_or(bit, Ordering::Relaxed) & bit == 0)
}

/// Writes without allocating or locking, as a signal handler must.
fn write_line(number: i64) {
    let mut line = *b"sandbox: refused system call number ......\n";
    let mut left = number.unsigned_abs();
    for place in line.iter_mut().rev().skip(1).take(6) {
        *place = b'0' + u8::try_from(left % 10).unwrap_or(0);
        left /= 10;
    }
    if !crate::stderr::stderr_has_room() {
        return;
    }
    // There is nowhere to say that it failed.
    let _ = rustix::io::write(rustix::stdio::stderr(), &line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_new_once() {
        assert!(is_new(777));
        assert!(!is_new(777));
        assert!(is_new(778));
        assert!(is_new(i64::MAX));
        assert!(!is_new(-1) || !is_new(-1));
    }
}

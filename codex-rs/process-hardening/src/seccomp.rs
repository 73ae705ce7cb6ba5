//! Only the system calls that serving needs: seccomp (`seccomp(2)`).
//!
//! Some calls are allowed for some arguments only. There is no way to run a
//! program, to start a process, to listen, to open anything for writing (but logs, to append
//! to them, and files that are new, where there are any to be made), to map memory as code, to trace, or to reach a
//! Unix socket. fcntl(2) is not looked at, and can take `O_APPEND` back: the list keeps nobody from writing over logs.
//!
//! The list is for every C library that the proxy may be linked with: glibc from 2.17 on, and musl. They
//! ask for the same things by different calls: `open(2)` or `openat(2)`, `poll(2)` or `ppoll(2)`. rustix, which
//! asks the kernel itself, has calls of its own choice: `ppoll(2)` everywhere.
//!
//! What is not listed is refused with `EPERM`, and reported, or ends the process. A call that is newer than
//! all that are listed is one that this list does not know. It is answered with `ENOSYS`, as by a kernel
//! that does not have it, because a C library that tries a new call falls back on an older one at that
//! answer only.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction,
    SeccompCmpArgLen::{Dword, Qword},
    SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, apply_filter,
};

use self::newer_calls::answering_newer;
use crate::policy::{OnRefusedCall, SandboxPolicy};
use crate::sigsys;

/// Allowed whatever the arguments.
const ALLOWED: &[libc::c_long] = &[
    // Sockets: those accepted, those to the upstream, those of the resolver.
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    // Descriptors that are open.
    libc::SYS_close,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_lseek,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_ftruncate,
    // Of the audit log, which has one writer.
    libc::SYS_fdatasync,
    libc::SYS_flock,
    // Of the ledger.
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    // Waiting.
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_futex,
    libc::SYS_nanosleep,
    libc::SYS_ppoll,
    libc::SYS_restart_syscall,
    libc::SYS_sched_yield,
    // Memory.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // Threads and signals.
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_membarrier,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    // What the C library asks for on its own.
    libc::SYS_getrandom,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_uname,
    // By qsort(3), to order many addresses.
    libc::SYS_sysinfo,
    // Answered as unknown by a second filter, so that threads are started by
    // clone(2), whose flags can be looked at.
    libc::SYS_clone3,
];

/// Older spellings that only this architecture has.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[libc::c_long] = &[
    libc::SYS_epoll_wait,
    libc::SYS_poll,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_time,
    libc::SYS_gettimeofday,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[libc::c_long] = &[];

/// Installs the filters for this thread and all that it starts.
///
/// # Errors
///
/// When the kernel has no seccomp, or the architecture has no list here.
pub(crate) fn restrict(on_refused: OnRefusedCall, needs: &SandboxPolicy) -> io::Result<()> {
    let refused = match on_refused {
        OnRefusedCall::Report => {
            sigsys::report()?;
            SeccompAction::Trap
        }
        OnRefusedCall::Kill => SeccompAction::KillProcess,
    };
    // Of several filters the strictest answer counts, so the ones that answer
    // without a report come first and let everything else through.
    answer(libc::SYS_clone3, vec![], libc::ENOSYS)?;
    // musl tries this first where an answer of DNS is too long for UDP, and connects if it cannot be had.
    let fast_open = has(2, libc::MSG_FASTOPEN, libc::MSG_FASTOPEN)?;
    answer(libc::SYS_sendmsg, vec![fast_open], libc::EPERM)?;
    if !needs.connect_to_socket {
        refuse_unix_sockets()?;
    }
    let calls = allowed(needs)?;
    let newest = calls.keys().max().copied().unwrap_or_default();
    let mut program = answering_newer(newest)?;
    program.append(&mut compiled(calls, refused, SeccompAction::Allow)?);
    apply_filter(&program).map_err(io::Error::other)
}

/// From now on this thread and all that it starts get no Unix socket; `EPERM`, without a report. The C
/// library asks daemons for names by one (nscd(8), nss-resolve(8)) and does without them.
///
/// # Errors
///
/// When the kernel has no seccomp.
pub(crate) fn refuse_unix_sockets() -> io::Result<()> {
    answer(libc::SYS_socket, vec![is(0, libc::AF_UNIX)?], libc::EPERM)
}

/// Answers a call that one of the rules is about, or any with this number if there are none, with an
/// error, and lets everything else through.
fn answer(call: libc::c_long, rules: Vec<SeccompRule>, with: libc::c_int) -> io::Result<()> {
    let with = SeccompAction::Errno(with.unsigned_abs());
    let program = compiled([(call, rules)].into(), SeccompAction::Allow, with)?;
    apply_filter(&program).map_err(io::Error::other)
}

fn allowed(needs: &SandboxPolicy) -> io::Result<BTreeMap<libc::c_long, Vec<SeccompRule>>> {
    let unconditional = ALLOWED.iter().chain(ALLOWED_HERE);
    let mut calls: BTreeMap<_, _> = unconditional.map(|&call| (call, vec![])).collect();
    let pid = libc::c_int::try_from(std::process::id()).map_err(io::Error::other)?;
    calls.extend([
        // Threads, not processes.
        (
            libc::SYS_clone,
            vec![has(0, libc::CLONE_THREAD, libc::CLONE_THREAD)?],
        ),
        // Not as code, now or later.
        (libc::SYS_mmap, vec![has(2, libc::PROT_EXEC, 0)?]),
        (libc::SYS_mprotect, vec![has(2, libc::PROT_EXEC, 0)?]),
        // To read.
        (libc::SYS_openat, opened(2, needs)?),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_open, opened(1, needs)?),
        // Not to type into a terminal (TIOCSTI).
        (
            libc::SYS_ioctl,
            vec![is(1, cast(libc::FIONBIO)?)?, is(1, cast(libc::FIONREAD)?)?],
        ),
        (
            libc::SYS_prctl,
            vec![is(0, libc::PR_SET_NAME)?, is(0, libc::PR_SET_VMA)?],
        ),
        (libc::SYS_socket, sockets(needs)?),
        // A pair that is connected for good: what signals are told by.
        (
            libc::SYS_socketpair,
            vec![all([
                equals(0, libc::AF_UNIX)?,
                masked(1, KIND, libc::SOCK_STREAM)?,
            ])?],
        ),
        (libc::SYS_sendto, vec![sent_to(needs)?]),
        // To itself: abort(3).
        (libc::SYS_tgkill, vec![is(0, pid)?]),
    ]);
    if needs.resolve_names {
        // Where it would connect on the way it is answered by a filter of its own.
        calls.insert(libc::SYS_sendmsg, vec![]);
        calls.insert(libc::SYS_sendmmsg, vec![has(3, libc::MSG_FASTOPEN, 0)?]);
    }
    if !needs.remove_from.is_empty() || !needs.dump_in.is_empty() {
        calls.insert(libc::SYS_unlinkat, vec![]);
        #[cfg(target_arch = "x86_64")]
        calls.insert(libc::SYS_unlink, vec![]);
    }
    if !needs.dump_in.is_empty() {
        #[cfg(not(target_arch = "riscv64"))]
        calls.insert(libc::SYS_renameat, vec![]);
        // The same where there is no renameat(2): without flags.
        #[cfg(target_arch = "riscv64")]
        calls.insert(libc::SYS_renameat2, vec![is(4, 0)?]);
    }
    Ok(calls)
}

/// To read; where something is appended to, to append, but to cut nothing off; where files are made, to make a new
/// one, but not to write one that is there. `flags` is the number of that argument.
fn opened(flags: u8, needs: &SandboxPolicy) -> io::Result<Vec<SeccompRule>> {
    let writing = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND;
    let mut rules = vec![has(flags, writing, 0)?];
    if !needs.append_in.is_empty() {
        rules.push(has(flags, libc::O_APPEND | libc::O_TRUNC, libc::O_APPEND)?);
    }
    if !needs.dump_in.is_empty() {
        let new = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
        rules.push(has(flags, writing | libc::O_EXCL, new)?);
    }
    Ok(rules)
}

/// Without connecting on the way, which Landlock does not see; and unless names are looked up to no address, so that the
/// datagram socket of a service manager leads to nobody else.
fn sent_to(needs: &SandboxPolicy) -> io::Result<SeccompRule> {
    let mut conditions = vec![masked(3, libc::MSG_FASTOPEN, 0)?];
    if !needs.resolve_names {
        let no_address = SeccompCondition::new(4, Qword, SeccompCmpOp::Eq, 0);
        conditions.push(no_address.map_err(io::Error::other)?);
    }
    SeccompRule::new(conditions).map_err(io::Error::other)
}

/// The bits of a socket's type that say what kind it is (`SOCK_TYPE_MASK`).
const KIND: libc::c_int = 0xf;

/// TCP; where names are looked up also UDP, and the netlink that the C library
/// orders addresses by.
fn sockets(needs: &SandboxPolicy) -> io::Result<Vec<SeccompRule>> {
    let inet = |domain, kind, protocol| {
        all([
            equals(0, domain)?,
            masked(1, KIND, kind)?,
            equals(2, protocol)?,
        ])
    };
    // Refused without a report by a filter of its own, unless the upstream is one.
    let mut rules = vec![is(0, libc::AF_UNIX)?];
    for domain in [libc::AF_INET, libc::AF_INET6] {
        rules.push(inet(domain, libc::SOCK_STREAM, 0)?);
        rules.push(inet(domain, libc::SOCK_STREAM, libc::IPPROTO_TCP)?);
        if needs.resolve_names {
            rules.push(inet(domain, libc::SOCK_DGRAM, 0)?);
            rules.push(inet(domain, libc::SOCK_DGRAM, libc::IPPROTO_UDP)?);
        }
    }
    if needs.resolve_names {
        rules.push(all([
            equals(0, libc::AF_NETLINK)?,
            equals(2, libc::NETLINK_ROUTE)?,
        ])?);
    }
    Ok(rules)
}

/// A rule for calls whose argument `index` is `value`.
fn is(index: u8, value: libc::c_int) -> io::Result<SeccompRule> {
    all([equals(index, value)?])
}

/// A rule for calls whose argument `index` has `value` in the bits of `mask`.
fn has(index: u8, mask: libc::c_int, value: libc::c_int) -> io::Result<SeccompRule> {
    all([masked(index, mask, value)?])
}

/// A rule for calls that meet all conditions.
fn all<const N: usize>(conditions: [SeccompCondition; N]) -> io::Result<SeccompRule> {
    SeccompRule::new(conditions.into()).map_err(io::Error::other)
}

fn equals(index: u8, value: libc::c_int) -> io::Result<SeccompCondition> {
    condition(index, SeccompCmpOp::Eq, value)
}

fn masked(index: u8, mask: libc::c_int, value: libc::c_int) -> io::Result<SeccompCondition> {
    let mask = u64::try_from(mask).map_err(io::Error::other)?;
    condition(index, SeccompCmpOp::MaskedEq(mask), value)
}

fn condition(
    index: u8,
    operator: SeccompCmpOp,
    value: libc::c_int,
) -> io::Result<SeccompCondition> {
    let value = u64::try_from(value).map_err(io::Error::other)?;
    SeccompCondition::new(index, Dword, operator, value).map_err(io::Error::other)
}

fn compiled(
    rules: BTreeMap<libc::c_long, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> io::Result<BpfProgram> {
    let here = std::env::consts::ARCH
        .try_into()
        .map_err(io::Error::other)?;
    let filter = SeccompFilter::new(rules, otherwise, matched, here).map_err(io::Error::other)?;
    filter.try_into().map_err(io::Error::other)
}

fn cast(request: libc::Ioctl) -> io::Result<libc::c_int> {
    libc::c_int::try_from(request).map_err(io::Error::other)
}

mod newer_calls;
#[cfg(test)]
mod tests;

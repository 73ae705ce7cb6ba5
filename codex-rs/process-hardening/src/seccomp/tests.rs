use std::fs::{self, OpenOptions};
use std::io::ErrorKind::PermissionDenied;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;

use super::*;

/// Runs `check` in a thread of its own with the filters installed: they bind the
/// thread that asks for them and what it starts.
fn confined(check: impl FnOnce() + Send + 'static) {
    confined_but(SandboxPolicy::default(), check);
}

fn confined_but(needs: SandboxPolicy, check: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(move || {
        if let Err(why) = restrict(OnRefusedCall::Report, &needs) {
            return codex_test_support::skipped(&why.to_string());
        }
        check();
    });
    assert!(thread.join().is_ok(), "see above");
}

/// A system call by its number that takes no memory of ours.
fn call(number: libc::c_long, arguments: [libc::c_long; 4]) -> io::Result<()> {
    let [a, b, c, d] = arguments;
    // SAFETY: what is called here with made-up arguments is refused before it is
    // looked at; where it is not, the test fails.
    let done = unsafe { libc::syscall(number, a, b, c, d) };
    if done < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn assert_refused(what: &str, outcome: io::Result<()>) {
    let error = outcome.expect_err(what);
    assert_eq!(error.raw_os_error(), Some(libc::EPERM), "{what}: {error}");
}

#[test]
fn nothing_runs_traces_or_reads_another_process() {
    confined(|| {
        for (what, number) in [
            ("execve", libc::SYS_execve),
            ("execveat", libc::SYS_execveat),
            ("ptrace", libc::SYS_ptrace),
            ("process_vm_readv", libc::SYS_process_vm_readv),
            ("process_vm_writev", libc::SYS_process_vm_writev),
            ("io_uring_setup", libc::SYS_io_uring_setup),
            ("bpf", libc::SYS_bpf),
            ("userfaultfd", libc::SYS_userfaultfd),
            ("perf_event_open", libc::SYS_perf_event_open),
            ("kill", libc::SYS_kill),
            ("setuid", libc::SYS_setuid),
            ("mount", libc::SYS_mount),
            ("unshare", libc::SYS_unshare),
            ("memfd_create", libc::SYS_memfd_create),
            ("unlinkat", libc::SYS_unlinkat),
            ("seccomp", libc::SYS_seccomp),
            ("listen", libc::SYS_listen),
        ] {
            assert_refused(what, call(number, [0; 4]));
        }
        #[cfg(target_arch = "x86_64")]
        for (what, number) in [
            ("fork", libc::SYS_fork),
            ("vfork", libc::SYS_vfork),
            ("creat", libc::SYS_creat),
        ] {
            assert_refused(what, call(number, [0; 4]));
        }
        assert_refused(
            "clone of a process",
            call(libc::SYS_clone, [libc::SIGCHLD.into(), 0, 0, 0]),
        );
        let unknown = call(libc::SYS_clone3, [0; 4]).unwrap_err();
        assert_eq!(unknown.raw_os_error(), Some(libc::ENOSYS));
    });
}

/// C libraries that try a new call fall back on an older one at `ENOSYS` only.
#[test]
fn a_call_newer_than_all_that_are_listed_is_one_that_the_kernel_does_not_have() {
    confined(|| {
        // The newest that is listed.
        let newest = libc::SYS_clone3;
        let [newer, far] = [newest + 1, 100_000];
        for number in [newer, libc::SYS_pidfd_getfd, libc::SYS_faccessat2, 600, far] {
            let error = call(number, [0; 4]).expect_err("refused");
            assert_eq!(
                error.raw_os_error(),
                Some(libc::ENOSYS),
                "{number}: {error}"
            );
        }
        // x32 (syscall(2)).
        #[cfg(target_arch = "x86_64")]
        {
            let error = call(0x4000_0000 + libc::SYS_getpid, [0; 4]).expect_err("refused");
            assert_eq!(error.raw_os_error(), Some(libc::ENOSYS), "x32: {error}");
        }
        assert_refused("pidfd_open", call(libc::SYS_pidfd_open, [0; 4]));
        assert_refused("io_uring_enter", call(libc::SYS_io_uring_enter, [0; 4]));
        assert_refused(
            "name_to_handle_at",
            call(libc::SYS_name_to_handle_at, [0; 4]),
        );
    });
}

/// The oldest spellings are there, for reading alone.
#[cfg(target_arch = "x86_64")]
#[test]
fn open_reads_and_does_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "kept").unwrap();
    let path = std::ffi::CString::new(file.to_str().unwrap()).unwrap();
    confined(move || {
        let open = |flags: libc::c_int| {
            let at = path.as_ptr() as libc::c_long;
            call(libc::SYS_open, [at, flags.into(), 0, 0])
        };
        assert!(open(libc::O_RDONLY | libc::O_CLOEXEC).is_ok());
        for flags in [
            libc::O_WRONLY,
            libc::O_RDWR,
            libc::O_RDONLY | libc::O_CREAT,
            libc::O_RDONLY | libc::O_TRUNC,
            libc::O_APPEND,
        ] {
            assert_refused("open", open(flags));
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
    });
}

#[test]
fn nothing_is_opened_for_writing_and_no_terminal_is_typed_into() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "kept").unwrap();
    confined(move || {
        assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
        for options in [
            OpenOptions::new().write(true),
            OpenOptions::new().read(true).write(true),
            OpenOptions::new().append(true),
            OpenOptions::new().write(true).create(true),
        ] {
            assert_eq!(options.open(&file).unwrap_err().kind(), PermissionDenied);
        }
        assert!(fs::remove_file(&file).is_err());
        assert_refused(
            "TIOCSTI",
            call(libc::SYS_ioctl, [0, libc::TIOCSTI as libc::c_long, 0, 0]),
        );
    });
}

#[test]
fn where_files_are_made_they_are_new_and_what_is_there_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let [kept, new, renamed] = ["kept", "new", "renamed"].map(|name| dir.path().join(name));
    fs::write(&kept, "kept").unwrap();
    let needs = SandboxPolicy {
        dump_in: vec![fs::File::open(dir.path()).unwrap()],
        ..SandboxPolicy::default()
    };
    confined_but(needs, move || {
        for options in [
            OpenOptions::new().write(true),
            OpenOptions::new().append(true),
            OpenOptions::new().write(true).create(true),
            OpenOptions::new().write(true).truncate(true),
            OpenOptions::new().read(true).write(true).create_new(true),
        ] {
            assert_eq!(options.open(&kept).unwrap_err().kind(), PermissionDenied);
        }
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&new)
            .unwrap();
        // The C library renames by rename(2), which is not on the list.
        rustix::fs::renameat(rustix::fs::CWD, &new, rustix::fs::CWD, &renamed).unwrap();
        fs::remove_file(&renamed).unwrap();
        assert_eq!(fs::read_to_string(&kept).unwrap(), "kept");
    });
    #[cfg(not(target_arch = "riscv64"))]
    confined(|| assert_refused("renameat", call(libc::SYS_renameat, [0; 4])));
}

#[test]
fn no_memory_becomes_code() {
    confined(|| {
        let code = libc::c_long::from(libc::PROT_READ | libc::PROT_EXEC);
        assert_refused("mmap of code", call(libc::SYS_mmap, [0, 4096, code, 0]));
        assert_refused(
            "mprotect to code",
            call(libc::SYS_mprotect, [0, 0, code, 0]),
        );
    });
}

#[test]
fn no_unix_socket_and_no_listener_but_threads_and_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    confined(move || {
        assert_eq!(
            UnixDatagram::unbound().unwrap_err().kind(),
            PermissionDenied
        );
        assert!(TcpListener::bind("127.0.0.1:0").is_err());
        let connected = std::thread::spawn(move || std::net::TcpStream::connect(at).is_ok());
        assert!(connected.join().unwrap());
        assert!(listener.accept().is_ok());
    });
}

#[test]
fn no_way_around_the_ports_and_none_to_a_service_of_this_host() {
    confined(|| {
        let stream = libc::c_long::from(libc::SOCK_STREAM);
        let datagram = libc::c_long::from(libc::SOCK_DGRAM);
        let [inet, inet6, unix, netlink] = [
            libc::AF_INET,
            libc::AF_INET6,
            libc::AF_UNIX,
            libc::AF_NETLINK,
        ]
        .map(libc::c_long::from);
        for (what, domain, kind, protocol) in [
            ("MPTCP", inet, stream, 262),
            ("MPTCP over IPv6", inet6, stream, 262),
            ("SCTP", inet, stream, 132),
            ("UDP where nothing is looked up", inet, datagram, 0),
            ("UDPLITE", inet, datagram, 136),
            ("raw IP", inet, libc::SOCK_RAW.into(), 1),
            ("netfilter", netlink, libc::SOCK_RAW.into(), 12),
            ("audit", netlink, libc::SOCK_RAW.into(), 9),
            ("packets", libc::AF_PACKET.into(), libc::SOCK_RAW.into(), 0),
            ("vsock", libc::AF_VSOCK.into(), stream, 0),
        ] {
            assert_refused(what, call(libc::SYS_socket, [domain, kind, protocol, 0]));
        }
        assert_refused(
            "a pair of datagram sockets",
            call(libc::SYS_socketpair, [unix, datagram, 0, 0]),
        );
        let fast_open = libc::MSG_FASTOPEN.into();
        assert_refused(
            "a connection on the way",
            call(libc::SYS_sendto, [0, 0, 0, fast_open]),
        );
        assert_refused(
            "the same by sendmsg",
            call(libc::SYS_sendmsg, [0, 0, fast_open, 0]),
        );
        assert_refused(
            "the same by sendmmsg",
            call(libc::SYS_sendmmsg, [0, 0, 0, fast_open]),
        );
        assert!(std::os::unix::net::UnixStream::pair().is_ok());
        assert_eq!(call(libc::SYS_socket, [inet, stream, 0, 0]).ok(), Some(()));
    });
}

#[test]
fn a_datagram_goes_to_the_other_end_of_its_socket_alone() {
    let dir = tempfile::tempdir().unwrap();
    let bound = |name: &str| UnixDatagram::bind(dir.path().join(name)).unwrap();
    let (manager, other) = (bound("manager"), bound("other"));
    let ours = UnixDatagram::unbound().unwrap();
    ours.connect(dir.path().join("manager")).unwrap();
    let path = dir.path().join("other");
    confined(move || {
        ours.send(b"READY=1").unwrap();
        let elsewhere = ours.send_to(b"x", &path).unwrap_err();
        assert_eq!(elsewhere.kind(), PermissionDenied);
        for (what, number) in [
            ("sendmsg", libc::SYS_sendmsg),
            ("sendmmsg", libc::SYS_sendmmsg),
        ] {
            assert_refused(what, call(number, [0; 4]));
        }
    });
    let mut room = [0; 8];
    assert_eq!(manager.recv(&mut room).unwrap(), 7);
    other.set_nonblocking(true).unwrap();
    assert!(other.recv(&mut room).is_err());
}

#[test]
fn names_can_be_looked_up_where_that_is_needed() {
    let needs = SandboxPolicy {
        resolve_names: true,
        ..SandboxPolicy::default()
    };
    confined_but(needs, || {
        assert!(std::net::UdpSocket::bind("127.0.0.1:0").is_ok());
        let netlink = libc::AF_NETLINK.into();
        assert!(call(libc::SYS_socket, [netlink, libc::SOCK_RAW.into(), 0, 0]).is_ok());
        let netfilter = call(libc::SYS_socket, [netlink, libc::SOCK_RAW.into(), 12, 0]);
        assert_refused("netfilter", netfilter);
        use std::net::ToSocketAddrs;
        assert!(("localhost", 1).to_socket_addrs().is_ok());
    });
}

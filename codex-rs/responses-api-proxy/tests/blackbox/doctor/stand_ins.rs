//! Other programs in the place of a proxy: each lacks something, and `doctor` finds it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::custody::{is_root, open_to_all, skipped};
use crate::doctor::{Examined, NOBODY, OTHER_KEY, examine};

/// Another program in the place of a proxy; killed when dropped.
struct StandIn {
    child: Child,
    dir: tempfile::TempDir,
}

impl StandIn {
    /// Waits at its standard input, as this user, with no protection at all.
    fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::piped()).spawn().unwrap();
        Self {
            child,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn shell() -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", "read nothing"]).env_clear();
        shell
    }

    fn examine(&self) -> Examined {
        let info = server_info(self.dir.path(), self.child.id(), 1);
        examine(&info, &[])
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn server_info(dir: &Path, pid: u32, port: u16) -> std::path::PathBuf {
    let info = dir.join("server-info.json");
    fs::write(&info, format!("{{\"port\":{port},\"pid\":{pid}}}\n")).unwrap();
    fs::set_permissions(&info, fs::Permissions::from_mode(0o644)).unwrap();
    info
}

#[test]
fn doctor_finds_every_protection_that_a_stand_in_lacks() {
    if !is_root() {
        return skipped("only root starts a process as another user");
    }
    let mut command = Command::new("prlimit");
    command
        .args(["--core=4096:4096", "sh", "-c", "read nothing", OTHER_KEY])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("OPENAI_API_KEY", OTHER_KEY)
        .uid(NOBODY)
        .gid(NOBODY);
    let stand_in = StandIn::start(&mut command);
    wait_for_shell(&stand_in);
    let examined = stand_in.examine();
    for (name, says) in [
        ("proxy.running", "nobody listens on 127.0.0.1:1"),
        ("proxy.dumpable", "belong to user 65534"),
        ("proxy.no_new_privileges", "not so in 1 of its 1 threads"),
        ("proxy.seccomp", "not so in 1 of its 1 threads"),
        ("proxy.core_limit", "soft 4096, hard 4096"),
        ("proxy.locked_memory", "none"),
        ("proxy.executable", "can be read by others"),
        ("proxy.arguments", "looks like a key"),
        ("proxy.environment", "OPENAI_API_KEY"),
        (
            "proxy.memory_access",
            "permitted: /proc/PID/mem, /proc/PID/environ, /proc/PID/maps, /proc/PID/fd, process_vm_readv, pidfd_getfd",
        ),
    ] {
        examined.assert_failed(name, says);
    }
    let with_powers = StandIn::start(&mut StandIn::shell());
    with_powers
        .examine()
        .assert_failed("proxy.capabilities", "not so in 1 of its 1 threads");
}

/// Until prlimit(1) has become the shell.
fn wait_for_shell(stand_in: &StandIn) {
    let name = format!("/proc/{}/comm", stand_in.child.id());
    while fs::read_to_string(&name).unwrap() != "sh\n" {
        std::thread::yield_now();
    }
}

#[test]
fn doctor_finds_a_program_that_is_not_root_s_and_a_process_that_is_gone() {
    if !is_root() {
        return skipped("only root gives files away");
    }
    let dir = tempfile::tempdir().unwrap();
    open_to_all(dir.path());
    let shell = dir.path().join("sh");
    let copied = Command::new("cp")
        .arg("/bin/sh")
        .arg(&shell)
        .status()
        .unwrap();
    assert!(copied.success());
    std::os::unix::fs::chown(&shell, Some(NOBODY), None).unwrap();
    fs::set_permissions(&shell, fs::Permissions::from_mode(0o711)).unwrap();
    let mut stand_in = StandIn::start(Command::new(&shell).args(["-c", "read nothing"]));
    stand_in
        .examine()
        .assert_failed("proxy.executable", "belongs to user 65534");
    fs::set_permissions(&shell, fs::Permissions::from_mode(0o711)).unwrap();
    std::os::unix::fs::chown(&shell, Some(0), None).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o757)).unwrap();
    stand_in
        .examine()
        .assert_failed("proxy.executable", "can be written by every user");
    // It has ended, and nobody has waited for it yet.
    stand_in.child.kill().unwrap();
    stand_in.child.wait().unwrap();
    let examined = stand_in.examine();
    examined.assert_failed("proxy.running", "has gone");
    examined.assert_failed("proxy.process", "cannot be looked at");
}

#[test]
fn doctor_finds_a_debugger() {
    let stand_in = StandIn::start(&mut StandIn::shell());
    let pid = stand_in.child.id();
    let mut strace = Command::new("strace");
    strace.args(["-o", "/dev/null", "-p", &pid.to_string()]);
    let Ok(mut debugger) = strace.stderr(Stdio::null()).spawn() else {
        return skipped("there is no strace");
    };
    let is_traced = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        !status.contains("TracerPid:\t0\n")
    };
    while !is_traced() {
        if debugger.try_wait().unwrap().is_some() {
            return skipped("strace may not attach");
        }
        std::thread::yield_now();
    }
    let examined = stand_in.examine();
    debugger.kill().unwrap();
    debugger.wait().unwrap();
    examined.assert_failed(
        "proxy.tracer",
        &format!("process {} traces it", debugger.id()),
    );
}

#[test]
fn doctor_finds_a_listener_that_other_hosts_can_reach() {
    // This process is in the place of the proxy: the listener is its own.
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let dir = tempfile::tempdir().unwrap();
    let info = server_info(dir.path(), std::process::id(), port);
    examine(&info, &[]).assert_failed("proxy.listeners", &format!("0.0.0.0:{port}"));
    drop(listener);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let info = server_info(
        dir.path(),
        std::process::id(),
        listener.local_addr().unwrap().port(),
    );
    let examined = examine(&info, &[]);
    let running = examined.check("proxy.running");
    assert_eq!(running["state"], "ok", "{running}");
}

#[test]
fn doctor_finds_a_server_info_file_that_others_can_replace_or_whose_token_they_can_read() {
    let stand_in = StandIn::start(&mut StandIn::shell());
    let dir = tempfile::tempdir().unwrap();
    let directory = dir.path().join("run");
    fs::create_dir(&directory).unwrap();
    let info = server_info(&directory, stand_in.child.id(), 1);
    let set_mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let state = |info: &Path| examine(info, &[]).check("proxy.server_info")["state"].clone();
    set_mode(&directory, 0o755);
    assert_eq!(state(&info), "ok");
    set_mode(&directory, 0o777);
    examine(&info, &[]).assert_failed(
        "proxy.server_info",
        "run can be written by every user (mode 777)",
    );
    set_mode(&directory, 0o755);
    set_mode(&info, 0o666);
    examine(&info, &[]).assert_failed("proxy.server_info", "every user of this host can write it");
    set_mode(&info, 0o644);
    let pid = stand_in.child.id();
    fs::write(
        &info,
        format!("{{\"port\":1,\"pid\":{pid},\"client_token\":\"t0ken\"}}\n"),
    )
    .unwrap();
    let examined = examine(&info, &[]);
    examined.assert_failed("proxy.server_info", "every user can read it (mode 644)");
    assert!(!examined.object.to_string().contains("t0ken"));
    set_mode(&info, 0o600);
    assert_eq!(state(&info), "ok");
    let missing = directory.join("missing.json");
    examine(&missing, &[]).assert_failed("proxy.server_info", "no proxy runs there");
}

//! `doctor`: a proxy with all of its protections passes, and each that is taken away is found.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use codex_test_support::{MockUpstream, Proxy, Reply, TEST_KEY, assert_no_key, run_to_exit};
use serde_json::Value;

use crate::custody::{copy_of, is_root, open_to_all, skipped};
use crate::{PROXY, in_front_of};

const NOBODY: u32 = 65534;

/// What looks like a key, and is not the one that the harness looks for.
const OTHER_KEY: &str = "sk-other-0123456789abcdefghij";

/// What `doctor` found.
pub(crate) struct Examined {
    code: Option<i32>,
    object: Value,
}

impl Examined {
    /// Reads what `doctor --json` printed, and looks for keys in it.
    fn of(code: Option<i32>, stdout: &str) -> Self {
        assert_no_key(stdout.as_bytes(), "what doctor prints");
        assert!(!stdout.contains(OTHER_KEY), "{stdout}");
        Self {
            code,
            object: serde_json::from_str(stdout).unwrap(),
        }
    }

    /// The checks of the proxy in this state.
    fn of_proxy(&self, state: &str) -> Vec<&str> {
        let checks = self.object["checks"].as_array().unwrap();
        checks
            .iter()
            .filter(|check| check["state"] == state)
            .map(|check| check["check"].as_str().unwrap())
            .filter(|name| name.starts_with("proxy."))
            .collect()
    }

    #[track_caller]
    fn check(&self, name: &str) -> &Value {
        let mut checks = self.object["checks"].as_array().unwrap().iter();
        let found = checks.find(|check| check["check"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {}", self.object))
    }

    #[track_caller]
    fn assert_failed(&self, name: &str, says: &str) {
        let check = self.check(name);
        assert_eq!(check["state"], "failed", "{check}");
        let found = check["found"].as_str().unwrap();
        assert!(found.contains(says), "{check}");
        assert!(!check["mend"].as_str().unwrap().is_empty());
        assert_eq!(self.code, Some(1));
    }
}

fn examine(info: &Path, env: &[(&str, &str)]) -> Examined {
    let args = ["doctor", "--json", "--server-info", info.to_str().unwrap()];
    let output = run_to_exit(PROXY, &args, env, b"");
    assert_eq!(output.stderr, "");
    Examined::of(output.code, &output.stdout)
}

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

/// A proxy as it should be, of the user nobody, and the directory with its program.
fn protected(upstream: &MockUpstream) -> Option<(Proxy, tempfile::TempDir)> {
    let dir = tempfile::tempdir().unwrap();
    open_to_all(dir.path());
    let binary = copy_of("codex-responses-api-proxy", dir.path())?;
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o711)).unwrap();
    let proxy = Proxy::builder(binary)
        .upstream(upstream)
        .args(["--user", "nobody"])
        .server_info()
        .start();
    Some((proxy, dir))
}

#[test]
fn doctor_finds_nothing_wrong_with_a_proxy_that_has_all_protections() {
    if !is_root() {
        return skipped("only root can start a proxy that has them all");
    }
    let upstream = MockUpstream::h2(Reply::responses("hi"));
    let Some((proxy, dir)) = protected(&upstream) else {
        return skipped("the binary cannot be copied");
    };
    let examined = examine(&proxy.info_file(), &[]);
    assert_eq!(
        examined.of_proxy("failed"),
        Vec::<&str>::new(),
        "{}",
        examined.object
    );
    assert_eq!(
        examined.of_proxy("warning"),
        Vec::<&str>::new(),
        "{}",
        examined.object
    );
    assert_eq!(examined.of_proxy("unknown"), ["proxy.landlock"]);
    assert_eq!(examined.of_proxy("ok").len(), 16, "{}", examined.object);
    let tried = examined.check("proxy.memory_access")["found"]
        .as_str()
        .unwrap();
    assert!(
        tried.contains("became user 65534 without capabilities"),
        "{tried}"
    );
    // Its own user is refused as well, and is warned about being that.
    let info = proxy.info_file();
    let copy = copy_of("codex-responses-api-proxy", dir.path()).unwrap();
    for path in [proxy.tempdir(), dir.path()] {
        open_to_all(path);
    }
    let output = Command::new(copy)
        .args(["doctor", "--json", "--server-info", info.to_str().unwrap()])
        .env_clear()
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let by_nobody = Examined::of(output.status.code(), &stdout);
    assert_eq!(by_nobody.of_proxy("warning"), ["proxy.user"]);
    let memory = by_nobody.check("proxy.memory_access");
    assert_eq!(memory["state"], "ok", "{memory}");
    assert!(
        memory["found"]
            .as_str()
            .unwrap()
            .contains("the proxy's own"),
        "{memory}"
    );
    assert_eq!(
        by_nobody.of_proxy("unknown"),
        ["proxy.executable", "proxy.landlock"]
    );
}

#[test]
fn doctor_finds_a_proxy_without_a_sandbox_and_one_whose_program_can_be_read() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = in_front_of(&upstream)
        .arg("--sandbox=off")
        .server_info()
        .start();
    let examined = examine(&proxy.info_file(), &[]);
    examined.assert_failed("proxy.seccomp", "not so in");
    if is_root() {
        examined.assert_failed("proxy.capabilities", "not so in");
        examined.assert_failed("proxy.executable", "can be read by others");
    }
    let memory = examined.check("proxy.memory_access");
    assert_eq!(memory["state"], "ok", "{memory}");
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

#[test]
fn doctor_finds_a_key_in_the_environment_and_in_that_of_whoever_started_it() {
    let run = |env: &[(&str, &str)], script: &str| {
        let args = ["-c", script, PROXY];
        let output = run_to_exit("/bin/sh", &args, env, b"");
        Examined::of(output.code, &output.stdout)
    };
    let own = run(
        &[("OPENAI_API_KEY", OTHER_KEY)],
        "exec \"$0\" doctor --json",
    );
    own.assert_failed("environment.keys", "OPENAI_API_KEY");
    // The shell stays, and keeps it.
    let hidden = "env -u CODEX_API_KEY \"$0\" doctor --json; exit $?";
    let ancestors = run(&[("CODEX_API_KEY", TEST_KEY)], hidden);
    ancestors.assert_failed("environment.ancestors", "CODEX_API_KEY of process");
    assert_eq!(ancestors.check("environment.keys")["state"], "ok");
    let none = run(&[("OPENAI_API_KEY", "unused")], hidden);
    assert_eq!(none.check("environment.ancestors")["state"], "ok");
    assert_eq!(none.check("environment.keys")["state"], "ok");
}

#[test]
fn doctor_finds_what_keeps_a_proxy_from_its_upstream() {
    let missing = Path::new("/nowhere/server-info.json");
    let env = [
        ("HTTPS_PROXY", "socks5://user:t0psecret@host:1080"),
        ("SSL_CERT_FILE", "/nowhere/ca.pem"),
    ];
    let examined = examine(missing, &env);
    examined.assert_failed(
        "environment.http_proxy",
        "HTTPS_PROXY has the scheme socks5",
    );
    examined.assert_failed("environment.certificates", "/nowhere/ca.pem");
    assert!(!examined.object.to_string().contains("t0psecret"));
    let client = examined.check("client.config");
    assert_eq!(client["state"], "unknown", "{client}");
}

#[test]
fn doctor_prints_a_line_for_each_check_and_takes_no_other_argument() {
    let output = run_to_exit(PROXY, &["doctor"], &[], b"");
    let lines: Vec<&str> = output.stdout.lines().collect();
    let (last, checks) = lines.split_last().unwrap();
    for line in checks {
        let state = line.split_whitespace().next().unwrap();
        assert!(
            ["ok", "warning", "FAILED", "unknown"].contains(&state),
            "{line}"
        );
        assert!(state == "ok" || line.contains(" -> "), "{line}");
    }
    assert!(last.contains(" FAILED, "), "{last}");
    let wrong = run_to_exit(PROXY, &["doctor", "now"], &[], b"");
    assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(2), ""));
}

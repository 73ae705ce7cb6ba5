//! Before the process is hardened: who could get in, and that the start says so.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use codex_test_support::{MockUpstream, Proxy, ProxyBuilder, Reply, TEST_KEY, run_to_exit};

use crate::custody::{copy_of, is_root, open_to_all, skipped};
use crate::{PROXY, ask};

/// Becomes a user that is neither root nor the owner of anything.
const AS_NOBODY: [&str; 6] = [
    "setpriv",
    "--reuid",
    "65534",
    "--regid",
    "65534",
    "--clear-groups",
];

/// Runs a program without the capabilities that setpriv(1) keeps until it has run one.
const BY_A_SHELL: [&str; 3] = ["sh", "-c", r#"exec "$0" "$@""#];

/// The binary with permissions of its own, where everybody can run it.
struct Installed {
    file: PathBuf,
    _dir: tempfile::TempDir,
}

/// `None`, and a line that says why, where this cannot be tried.
fn installed(mode: u32) -> Option<Installed> {
    if !is_root() {
        skipped("only root can install the binary and start it as another user");
        return None;
    }
    for tool in ["setpriv", "perl"] {
        if Command::new(tool).arg("--version").output().is_err() {
            skipped(&format!("{tool} is not installed"));
            return None;
        }
    }
    let dir = tempfile::tempdir().unwrap();
    open_to_all(dir.path());
    let file = copy_of("codex-responses-api-proxy", dir.path())?;
    set_mode(&file, mode);
    Some(Installed { file, _dir: dir })
}

fn set_mode(file: &Path, mode: u32) {
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn started_by_nobody(file: &Path, upstream: &MockUpstream) -> ProxyBuilder {
    Proxy::builder(file)
        .under(AS_NOBODY.into_iter().chain(BY_A_SHELL))
        .upstream(upstream)
}

#[test]
fn a_program_file_that_its_user_cannot_read_is_closed_from_the_first_instruction() {
    let Some(installed) = installed(0o711) else {
        return;
    };
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    for sandbox in ["best-effort", "require"] {
        let proxy = started_by_nobody(&installed.file, &upstream)
            .args(["--sandbox", sandbox])
            .start();
        let banner = proxy.wait_for_stderr("process: ");
        assert!(!banner.contains("warning"), "{banner}");
        assert_eq!(ask(&proxy).status, 200);
    }
}

#[test]
fn a_readable_program_file_is_warned_about_and_refused_where_protection_is_required() {
    let Some(installed) = installed(0o755) else {
        return;
    };
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    for mode in [0o755, 0o644 | 0o111, 0o715] {
        set_mode(&installed.file, mode);
        let proxy = started_by_nobody(&installed.file, &upstream).start();
        let banner = proxy.wait_for_stderr("process: ");
        let cure = format!("sudo chmod 711 {}", installed.file.display());
        assert!(
            banner.contains("warning: other processes of this user could enter"),
            "{banner}"
        );
        assert!(banner.contains(&cure), "{banner}");
        let mut refused = started_by_nobody(&installed.file, &upstream)
            .args(["--sandbox", "require"])
            .spawn();
        assert_eq!(refused.wait_exit().code(), Some(1));
        let said = refused.stderr_so_far();
        assert!(
            said.starts_with("Error: --sandbox=require, but ") && said.contains(&cure),
            "{said}"
        );
    }
}

#[test]
fn a_program_file_that_its_user_owns_is_refused_too() {
    let Some(installed) = installed(0o111) else {
        return;
    };
    std::os::unix::fs::chown(&installed.file, Some(65534), Some(65534)).unwrap();
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let mut refused = started_by_nobody(&installed.file, &upstream)
        .args(["--sandbox", "require"])
        .spawn();
    assert_eq!(refused.wait_exit().code(), Some(1));
    let said = refused.stderr_so_far();
    assert!(said.contains("install -o root -g root -m 0711"), "{said}");
}

/// setpriv(1) gives up the capabilities of root by running the program, which the kernel then
/// takes for one that its user may read.
#[test]
fn a_start_with_capabilities_of_root_is_warned_about() {
    let Some(installed) = installed(0o711) else {
        return;
    };
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = Proxy::builder(&installed.file)
        .under(AS_NOBODY)
        .upstream(&upstream)
        .start();
    let banner = proxy.wait_for_stderr("process: ");
    if !banner.contains("warning") {
        return skipped("this setpriv keeps no capabilities");
    }
    assert!(
        banner.contains("started with capabilities of root"),
        "{banner}"
    );
    assert!(banner.contains("--user NAME"), "{banner}");
}

#[test]
fn a_readable_program_file_started_by_root_is_not_warned_about() {
    if !is_root() {
        return skipped("only root can be root");
    }
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = crate::in_front_of(&upstream)
        .args(["--sandbox", "require"])
        .start();
    let banner = proxy.wait_for_stderr("process: ");
    assert!(!banner.contains("warning"), "{banner}");
}

#[test]
fn root_of_a_user_namespace_is_not_taken_for_root() {
    let Some(installed) = installed(0o755) else {
        return;
    };
    let mut namespace = [&AS_NOBODY[..], &BY_A_SHELL].concat();
    namespace.extend(["unshare", "--user", "--map-root-user"]);
    let (program, arguments) = namespace.split_first().unwrap();
    let can = Command::new(program).args(arguments).arg("true").status();
    if !can.is_ok_and(|status| status.success()) {
        return skipped("user namespaces cannot be made here");
    }
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let mut refused = Proxy::builder(&installed.file)
        .under(namespace)
        .upstream(&upstream)
        .args(["--sandbox", "require"])
        .spawn();
    assert_eq!(refused.wait_exit().code(), Some(1));
    let said = refused.stderr_so_far();
    assert!(said.contains("root of a user namespace"), "{said}");
}

/// Starts the program and tries to open its memory all the while; prints how often that succeeded
/// after `execve(2)`. A program file that cannot be looked up is one whose memory is closed.
const SPIN: &str = r#"
    my ($program, $rounds) = @ARGV;
    my $got = 0;
    for (1 .. $rounds) {
        my $pid = fork // die "fork: $!";
        if (!$pid) { close STDERR; exec $program, "--port", "0" or exit 127 }
        while (waitpid($pid, 1) == 0) {
            (readlink "/proc/$pid/exe" // "") eq $program or next;
            if (open my $memory, "+<", "/proc/$pid/mem") { $got++; last }
        }
        waitpid $pid, 0;
    }
    print $got;
"#;

#[test]
fn no_process_of_the_same_user_gets_in_between_execve_and_hardening() {
    let Some(installed) = installed(0o755) else {
        return;
    };
    let attack = |rounds: &str| -> u32 {
        let [setpriv, identity @ ..] = AS_NOBODY;
        let output = Command::new(setpriv)
            .args(identity)
            .args(["perl", "-e", SPIN])
            .args([installed.file.as_os_str(), rounds.as_ref()])
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.parse()
            .unwrap_or_else(|_| panic!("{said} {:?}", output.stderr))
    };
    // The control: the same attack gets in where the file can be read.
    assert!(
        attack("40") > 0,
        "the attack never gets in: it proves nothing"
    );
    set_mode(&installed.file, 0o711);
    assert_eq!(attack("200"), 0);
}

/// Runs its arguments under `ptrace(2)`, and ends as they do.
const TRACE: &str = r#"
    my $ptrace = 0 + shift @ARGV;
    my $wait4 = 0 + shift @ARGV; # perl's own waitpid does not tell of a stop
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        syscall($ptrace, 0, 0, 0, 0) == 0 or die "PTRACE_TRACEME: $!";
        exec @ARGV or exit 127;
    }
    my $buffer = "\0" x 4;
    while (syscall($wait4, $pid, $buffer, 0, 0) == $pid) {
        my $status = unpack "i", $buffer;
        exit($status >> 8) if ($status & 0x7f) == 0;
        exit(200) if ($status & 0xff) != 0x7f;
        my $signal = ($status >> 8) == 5 ? 0 : $status >> 8;
        syscall($ptrace, 7, $pid, 0, $signal);
    }
"#;

#[test]
fn the_key_is_not_read_while_a_tracer_is_attached() {
    let [ptrace, wait4] = match std::env::consts::ARCH {
        "x86_64" => ["101", "61"],
        "aarch64" => ["117", "260"],
        _ => return skipped("no system call numbers for this architecture"),
    };
    if Command::new("perl").arg("-v").output().is_err() {
        return skipped("perl is not installed");
    }
    let mut modes = vec!["off", "best-effort"];
    if is_root() {
        // Anybody else's readable program file is refused before.
        modes.push("require");
    }
    for sandbox in modes {
        // With no key at all: what is refused is refused before it is asked for.
        for stdin in ["", TEST_KEY] {
            let args = ["-e", TRACE, ptrace, wait4, PROXY, "--sandbox", sandbox];
            let output = run_to_exit("perl", &args, &[], stdin.as_bytes());
            assert_eq!(output.code, Some(1), "{output:?}");
            assert!(
                output.stderr.starts_with("Error: process ")
                    && output.stderr.contains("traces this one"),
                "{}",
                output.stderr
            );
        }
    }
}

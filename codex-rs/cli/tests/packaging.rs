//! The Debian package: what is in it, and that the files in it agree with the programs.

#![cfg(target_os = "linux")]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use codex_test_support::skipped;

/// What `systemd-analyze security` may say at most; 0 is best, 10 is worst.
const MAX_EXPOSURE: f64 = 1.5;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(of: &str) -> String {
    fs::read_to_string(root().join("packaging").join(of)).unwrap()
}

/// A package of programs that do nothing: what is looked at is where they are.
fn package(to: &Path) -> Option<PathBuf> {
    let programs = to.join("programs");
    fs::create_dir_all(&programs).unwrap();
    for name in ["codex", "codex-responses-api-proxy"] {
        fs::copy("/bin/true", programs.join(name)).unwrap();
    }
    Command::new("dpkg-deb").arg("--version").output().ok()?;
    let output = Command::new(root().join("packaging/build-deb"))
        .arg("--out")
        .arg(to)
        .env("CODEX_BIN_DIR", &programs)
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    Some(PathBuf::from(stdout(&output).trim()))
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Path to mode and owner, as `tar` writes them.
fn contents(package: &Path) -> BTreeMap<String, String> {
    let output = Command::new("dpkg-deb")
        .arg("--contents")
        .arg(package)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let listed = stdout(&output);
    let entries = listed.lines().map(|line| {
        let mut fields = line.split_whitespace();
        let (mode, owner) = (fields.next().unwrap(), fields.next().unwrap());
        let path = fields.nth(3).unwrap().trim_start_matches('.').to_owned();
        (path, format!("{mode} {owner}"))
    });
    entries.collect()
}

#[test]
fn the_package_has_programs_that_their_users_cannot_read() {
    let dir = tempfile::tempdir().unwrap();
    let Some(package) = package(dir.path()) else {
        return skipped("dpkg-deb is not installed");
    };
    let contents = contents(&package);
    for program in [
        "/usr/bin/codex-responses-api-proxy",
        "/usr/lib/codex-proxy/bin/codex",
    ] {
        assert_eq!(contents[program], "-rwx--x--x root/root", "{program}");
    }
    assert!(contents["/usr/bin/codex-proxy"].starts_with('l'));
    assert_eq!(
        contents["/etc/credstore.encrypted/"],
        "drwx------ root/root"
    );
    for (path, entry) in &contents {
        assert!(entry.ends_with(" root/root"), "{path}: {entry}");
        // Whoever can write what root runs or reads is root.
        let group_or_others = [5, 8].map(|at| entry.as_bytes()[at]);
        let is_link = entry.starts_with('l');
        assert!(is_link || group_or_others == *b"--", "{path}: {entry}");
    }
}

#[test]
fn the_same_programs_make_the_same_package() {
    let [first, second] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (Some(one), Some(other)) = (package(first.path()), package(second.path())) else {
        return skipped("dpkg-deb is not installed");
    };
    assert_eq!(one.file_name(), other.file_name());
    assert!(fs::read(one).unwrap() == fs::read(other).unwrap());
}

#[test]
fn systemd_takes_the_units_and_finds_little_exposed() {
    let dir = tempfile::tempdir().unwrap();
    let Some(package) = package(dir.path()) else {
        return skipped("dpkg-deb is not installed");
    };
    let Ok(version) = Command::new("systemd-analyze").arg("--version").output() else {
        return skipped("systemd-analyze is not installed");
    };
    assert!(version.status.success());
    let unpacked = dir.path().join("unpacked");
    let extract = Command::new("dpkg-deb")
        .arg("--extract")
        .args([&package, &unpacked])
        .status()
        .unwrap();
    assert!(extract.success());
    // The units as they are, but for where the programs are.
    let units = dir.path().join("units");
    fs::create_dir(&units).unwrap();
    let at = |path: &str| unpacked.join(path).display().to_string();
    for name in ["codex-proxy.socket", "codex-proxy.service"] {
        let unit = text(&format!("systemd/{name}"))
            .replace(
                "ExecStart=/usr/bin/codex-responses-api-proxy",
                &format!("ExecStart={}", at("usr/bin/codex-responses-api-proxy")),
            )
            .replace(
                "ExecReload=+/usr/lib/codex-proxy/reload",
                &format!("ExecReload=+{}", at("usr/lib/codex-proxy/reload")),
            )
            .replace(
                "ExecStartPre=/usr/lib/codex-proxy/port-is-free",
                &format!("ExecStartPre={}", at("usr/lib/codex-proxy/port-is-free")),
            );
        fs::write(units.join(name), unit).unwrap();
    }
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=one"])
        .args(["codex-proxy.socket", "codex-proxy.service"].map(|name| units.join(name)))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    let about_ours: Vec<&str> = said.lines().filter(|line| line.contains("codex")).collect();
    assert!(verified.status.success() && about_ours.is_empty(), "{said}");
    let judged = Command::new("systemd-analyze")
        .args(["security", "--offline=yes", "--no-pager"])
        .arg(units.join("codex-proxy.service"))
        .output()
        .unwrap();
    let judged = stdout(&judged);
    let (_, level) = judged.split_once("codex-proxy.service: ").unwrap();
    let level: f64 = level.split_whitespace().next().unwrap().parse().unwrap();
    assert!(level <= MAX_EXPOSURE, "{judged}");
}

/// Nobody is a caller by an oversight: everybody may call only where nobody is named on purpose.
#[test]
fn as_installed_root_alone_may_call() {
    let options = text("etc/options");
    let callers = options
        .lines()
        .find_map(|line| line.strip_prefix("CODEX_PROXY_CALLERS="));
    assert_eq!(callers, Some("--allow-user root"));
    let unit = text("systemd/codex-proxy.service");
    // With a `-` a missing file would be no callers, which is all of them.
    assert!(unit.contains("\nEnvironmentFile=/etc/codex-proxy/options\n"));
}

/// At a limit systemd closes the socket, and the next who binds the port answers in the proxy's place.
#[test]
fn a_start_that_fails_does_not_give_the_port_away() {
    let (service, socket) = (
        text("systemd/codex-proxy.service"),
        text("systemd/codex-proxy.socket"),
    );
    assert!(service.contains("\nStartLimitIntervalSec=0\n"));
    assert!(socket.contains("\nTriggerLimitIntervalSec=0\n"));
}

#[test]
fn nobody_whom_the_set_up_looks_for_has_its_terminal() {
    let script = text("codex-proxy-setup");
    let becoming: Vec<&str> = script
        .lines()
        .filter(|line| line.contains("runuser"))
        .collect();
    assert!(!becoming.is_empty());
    for line in becoming {
        assert!(
            line.contains("setsid --wait runuser") && line.contains("</dev/null"),
            "{line}"
        );
    }
}

#[test]
fn without_a_line_that_says_who_may_call_root_alone_may() {
    let service = text("systemd/codex-proxy.service");
    let default = service.find("Environment=\"CODEX_PROXY_CALLERS=--allow-user root\"");
    assert!(default.unwrap() < service.find("EnvironmentFile=").unwrap());
    for script in ["openrc/codex-proxy", "runit/run"] {
        assert!(text(script).contains("${CODEX_PROXY_CALLERS---allow-user root}"));
    }
}

#[test]
fn the_policy_that_is_installed_is_one() {
    let output = Command::new(env!("CARGO_BIN_EXE_codex"))
        .args(["responses-api-proxy", "policy", "check"])
        .arg(root().join("packaging/etc/policy.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// A flag that is renamed would be noticed by whoever starts the service otherwise.
#[test]
fn every_flag_of_the_units_and_scripts_is_one_of_the_proxy() {
    let output = Command::new(env!("CARGO_BIN_EXE_codex"))
        .args(["responses-api-proxy", "--help"])
        .output()
        .unwrap();
    let help = stdout(&output);
    for file in [
        "systemd/codex-proxy.service",
        "openrc/codex-proxy",
        "runit/run",
        "etc/options",
    ] {
        let text = text(file);
        let code = text.lines().filter(|line| {
            line.starts_with("CODEX_PROXY_")
                || line.contains("CODEX_PROXY_")
                || line.contains("/run/codex-proxy/")
        });
        let flags: Vec<&str> = code
            .flat_map(|line| line.split([' ', '=', '"', '\t']))
            .filter(|word| word.starts_with("--"))
            .collect();
        assert!(flags.len() >= 3, "{file}: {flags:?}");
        for flag in flags {
            let is_there = help.split_whitespace().any(|word| {
                let name = word.split(['[', '=', ',']).next().unwrap();
                name == flag
            });
            assert!(is_there, "{file} has {flag}, which --help does not name");
        }
    }
}

#[test]
fn the_scripts_refuse_a_wrong_command_line() {
    for (script, wrong) in [
        ("codex-proxy-setup", &["--nonsense"][..]),
        ("codex-proxy-setup", &["--allow-user"]),
        ("codex-proxy-setup", &["--allow-user", "alice; reboot"]),
        (
            "codex-proxy-setup",
            &["--everybody", "--allow-user", "root"],
        ),
        ("codex-proxy-setup", &["--rotate", "--everybody"]),
        ("codex-proxy-setup", &["--remove", "--rotate"]),
        ("give-up-sudo", &[]),
        ("give-up-sudo", &["--nonsense"]),
        ("build-deb", &["--nonsense"]),
    ] {
        let path = root().join("packaging").join(script);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o111,
            0o111
        );
        let output = Command::new(&path).args(wrong).output().unwrap();
        // Where the test is not root, that is said first.
        let expected = if script == "codex-proxy-setup" {
            [1, 2]
        } else {
            [2, 2]
        };
        let code = output.status.code().unwrap();
        assert!(expected.contains(&code), "{script} {wrong:?}: {output:?}");
        let help = Command::new(&path).arg("--help").output().unwrap();
        assert!(help.status.success() && stdout(&help).starts_with("Usage: "));
    }
}

//! `doctor`: a proxy with all of its protections passes, and each that is taken away is found.

mod stand_ins;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

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
    assert_eq!(examined.of_proxy("ok").len(), 17, "{}", examined.object);
    let tried = examined.check("proxy.memory_access")["found"]
        .as_str()
        .unwrap();
    assert!(
        tried.contains("became user 65534 without capabilities"),
        "{tried}"
    );
    // Its own user is refused as well, and is warned about being that.
    let info = proxy.info_file();
    open_to_all(proxy.tempdir());
    let output = Command::new(dir.path().join("codex-responses-api-proxy"))
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
    // Root's has its capabilities still, and nobody without them gets past those.
    let state = if is_root() { "unknown" } else { "ok" };
    assert_eq!(memory["state"], state, "{memory}");
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
    assert!(last.contains("; FAILED: "), "{last}");
    let wrong = run_to_exit(PROXY, &["doctor", "now"], &[], b"");
    assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(2), ""));
}

//! `scripts/sudo-setup` and `scripts/sudo-setup-undo` with real users and a real proxy; the files
//! lie under a directory of their own, and the users exist in namespaces of their own: the accounts
//! of this machine are not touched. Only root can do this; anybody else sees why it was skipped.
//!
//! Longer than a file should be: all of it tests one script, in the vocabulary of the `Host` below, which nothing
//! else uses. It goes when the script is replaced.
#![cfg(target_os = "linux")]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use codex_test_support::{MockUpstream, Reply, TEST_KEY, assert_no_key, skipped};

const CODEX: &str = env!("CARGO_BIN_EXE_codex");
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts");

/// Only in the copy of `/etc` that [`APART`] makes.
const OWN_ACCOUNTS: &str = "/etc/accounts-of-a-test";

/// Runs its arguments where accounts can be made and removed and the machine keeps its own: what
/// useradd(8), userdel(8) and gpasswd(1) write, `/etc`, `/var/log` and `/var/mail`, is a copy or
/// empty in this mount namespace. The shell stays, as the first process of the PID namespace, for
/// the processes whose parents have ended; none of them outlives it.
const APART: &str = r#"
    set -e
    mount -t tmpfs -o mode=755 accounts /mnt
    cp -a /etc /mnt/etc
    : >/mnt/etc/accounts-of-a-test
    mount --bind /mnt/etc /etc
    for place in /var/log /var/mail; do
        if [ -d "$place" ]; then mount -t tmpfs -o mode=755 accounts "$place"; fi
    done
    "$0" "$@"
"#;

/// How a command ended, and what it printed on both streams.
#[derive(Debug)]
struct Done {
    code: Option<i32>,
    said: String,
}

impl Done {
    /// Nothing the scripts print may hold the key.
    fn of(command: &mut Command) -> Self {
        let output = command.stdin(Stdio::null()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert_no_key(&said, "what a script printed");
        Self {
            code: output.status.code(),
            said: String::from_utf8(said).unwrap(),
        }
    }

    #[track_caller]
    fn ended(self, code: i32, saying: &str) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.said);
        assert!(self.said.contains(saying), "no {saying:?} in {}", self.said);
        self
    }
}

fn is_there(tool: &str) -> bool {
    Command::new("sh")
        .args(["-c", "command -v \"$0\" >/dev/null", tool])
        .status()
        .is_ok_and(|status| status.success())
}

fn in_database(database: &str, name: &str) -> bool {
    let output = Command::new("getent").args([database, name]).output();
    output.is_ok_and(|output| output.status.success())
}

/// A directory instead of `/`, a user who administers this host and whose agent is going to call,
/// and the user that the proxy gets. All of it goes away with this value.
struct Host {
    root: PathBuf,
    admin: String,
    proxy_user: String,
    sudo: &'static str,
}

impl Host {
    /// `None` where accounts are the machine's own: the test of this name, the caller, has then run
    /// again apart from them, unless it cannot be tried here, and a line says why.
    fn new(test: &str, tools: &[&str]) -> Option<Self> {
        let own = std::fs::metadata("/proc/self").unwrap();
        if own.uid() != 0 {
            skipped("only root can set the proxy up for others");
            return None;
        }
        let needed = [
            "bash", "useradd", "userdel", "gpasswd", "setpriv", "getent", "unshare",
        ];
        if let Some(tool) = needed.iter().chain(tools).find(|tool| !is_there(tool)) {
            skipped(&format!("{tool} is not installed"));
            return None;
        }
        let groups = ["sudo", "wheel"];
        let Some(sudo) = groups.into_iter().find(|name| in_database("group", name)) else {
            skipped("there is no group sudo or wheel");
            return None;
        };
        if !Path::new(OWN_ACCOUNTS).exists() {
            run_apart(test);
            return None;
        }
        // Not where TMPDIR says: the way there must be root's, and open to the callers.
        let made = Command::new("mktemp")
            .args(["-d", "/tmp/codex-test-XXXXXXXX"])
            .output()
            .unwrap();
        let root = PathBuf::from(String::from_utf8(made.stdout).unwrap().trim());
        let suffix = root.to_str().unwrap().rsplit('-').next().unwrap();
        let suffix = format!("{}{:x}", suffix.to_lowercase(), std::process::id());
        // Made before anything that can fail, so that it is dropped after that.
        let host = Self {
            admin: format!("codex-test-a{suffix}"),
            proxy_user: format!("codex-test-p{suffix}"),
            root,
            sudo,
        };
        open_to_all(&host.root);
        let added = Done::of(Command::new("useradd").args([
            "--no-create-home",
            "--groups",
            host.sudo,
            &host.admin,
        ]));
        added.ended(0, "");
        Some(host)
    }

    fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    /// The key, as an administrator would have put it down.
    fn key_file(&self) -> PathBuf {
        let file = self.path("key");
        std::fs::write(&file, format!("{TEST_KEY}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        file
    }

    /// The setup with what every run of it has here.
    fn setup(&self, upstream: &MockUpstream, more: &[&str]) -> Command {
        let mut command = Command::new(format!("{SCRIPTS}/sudo-setup"));
        command
            .args(["--binary", CODEX, "--port", "0", "--callers", &self.admin])
            .args(["--proxy-user", &self.proxy_user])
            .args(["--upstream-url", &upstream.url()])
            .arg("--prefix")
            .arg(&self.root)
            .args(more);
        command
    }

    fn undo(&self, more: &[&str]) -> Done {
        let mut command = Command::new(format!("{SCRIPTS}/sudo-setup-undo"));
        Done::of(command.arg("--prefix").arg(&self.root).args(more))
    }

    /// Runs a program as the administrator, with the groups that a new session would have.
    fn as_admin(&self, program: &[&str]) -> Done {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", &self.admin, "--regid", &self.admin])
            .args(["--init-groups", "--"])
            .args(program);
        Done::of(&mut command)
    }

    fn admin_has_sudo(&self) -> bool {
        let groups = Done::of(Command::new("id").args(["-nG", &self.admin])).ended(0, "");
        groups.said.split_whitespace().any(|name| name == self.sudo)
    }

    /// Port and process id, as the proxy wrote them.
    fn server_info(&self) -> (String, String) {
        let info = std::fs::read_to_string(self.path("run/codex-proxy/server-info.json")).unwrap();
        let mut numbers = info
            .split(|c: char| !c.is_ascii_digit())
            .filter(|number| !number.is_empty())
            .map(str::to_owned);
        (numbers.next().unwrap(), numbers.next().unwrap())
    }

    fn manifest(&self) -> String {
        std::fs::read_to_string(self.path("etc/codex-proxy/installed")).unwrap()
    }

    /// What lies directly under the directory.
    fn entries(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(&self.root)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// Runs one test of this file again, by [`APART`].
#[track_caller]
fn run_apart(test: &str) {
    let apart = Done::of(
        Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["sh", "-c", APART])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test]),
    );
    let said = &apart.said;
    if said.starts_with("unshare: ") {
        return skipped(said.trim_end());
    }
    // A name that no test has is not a failure to libtest.
    assert!(said.contains("1 passed"), "{:?} {said}", apart.code);
    for line in said.lines() {
        if let Some(why) = line.strip_prefix("skipped: ") {
            skipped(why);
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Whatever a failing test left; none of it may fail in turn.
        let quietly = |command: &mut Command| {
            let _ = command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        };
        let undo = format!("{SCRIPTS}/sudo-setup-undo");
        quietly(
            Command::new(undo)
                .args(["--yes", "--prefix"])
                .arg(&self.root),
        );
        for user in [&self.admin, &self.proxy_user] {
            if in_database("passwd", user) {
                quietly(Command::new("userdel").args(["--force", user]));
            }
        }
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

fn open_to_all(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn mode_of(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn the_agent_uses_the_key_and_never_reads_it_and_its_user_is_no_longer_root() {
    let Some(host) = Host::new(
        "the_agent_uses_the_key_and_never_reads_it_and_its_user_is_no_longer_root",
        &["curl"],
    ) else {
        return;
    };
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let key_file = host.key_file();
    let key_file = key_file.to_str().unwrap();
    let setup = |more: &[&str]| {
        let more = [&["--key-file", key_file, "--yes"], more].concat();
        Done::of(&mut host.setup(&upstream, &more))
    };

    let first = setup(&[]).ended(0, "+ proxy, started");
    let (port, pid) = host.server_info();
    let base_url = format!("base_url = \"http://127.0.0.1:{port}/v1\"");
    assert!(first.said.contains(&base_url), "{}", first.said);

    // The agent can use it.
    let url = format!("http://127.0.0.1:{port}/v1/responses");
    let call = ["curl", "-sS", "--noproxy", "*", "-w", " %{http_code}"];
    let json = ["-H", "content-type: application/json", "-d", "{}", &url];
    host.as_admin(&[&call[..], &json].concat()).ended(0, " 200");
    let expected = format!("Bearer {TEST_KEY}");
    let sent = upstream.wait_for_complete(0);
    assert_eq!(sent.header("authorization"), Some(expected.as_str()));

    // It cannot read it, though it can read what stands beside it.
    host.as_admin(&["cat", &format!("/proc/{pid}/status")])
        .ended(0, "codex");
    let log = host.path("var/log/codex-proxy.log");
    for secret in [
        key_file,
        log.to_str().unwrap(),
        &format!("/proc/{pid}/mem"),
        &format!("/proc/{pid}/environ"),
    ] {
        host.as_admin(&["cat", secret]).ended(1, "ermission denied");
    }
    assert_no_key(&std::fs::read(&log).unwrap(), "the log");
    assert_no_key(
        &std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default(),
        "the environment of the proxy",
    );
    assert_eq!(mode_of(&log), 0o640);
    // Whoever runs it cannot be looked into, from the first instruction on.
    let installed = host.path("usr/local/libexec/codex-proxy/codex");
    assert_eq!(mode_of(&installed), 0o711);
    assert_eq!(std::fs::metadata(&installed).unwrap().uid(), 0);
    assert_eq!(mode_of(&host.path("run/codex-proxy")), 0o755);
    assert_eq!(
        mode_of(&host.path("run/codex-proxy/server-info.json")),
        0o644
    );

    // Once more: nothing happens.
    let manifest = host.manifest();
    setup(&[]).ended(0, "Nothing had to be changed.");
    assert_eq!(host.server_info(), (port.clone(), pid.clone()));
    assert_eq!(host.manifest(), manifest);

    // An installation of before, which everybody could read.
    open_to_all(&installed);
    setup(&[]).ended(0, "+ binary");
    assert_eq!(mode_of(&installed), 0o711);
    let (port, pid) = host.server_info();

    // Another option: another process.
    setup(&["--proxy-user", &host.proxy_user, "--port", &port]).ended(0, "+ proxy, started");
    assert_ne!(host.server_info(), (port, pid.clone()));
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    setup(&[]).ended(0, "+ proxy, started");

    give_up_sudo(&host, &setup);

    let (_, pid) = host.server_info();
    host.undo(&[])
        .ended(0, &format!("usermod -aG {} {}", host.sudo, host.admin));
    assert!(!host.admin_has_sudo());
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(!in_database("passwd", &host.proxy_user));
    assert!(!in_database("group", &host.proxy_user));
    // A key file that was named is the administrator's own.
    assert_eq!(host.entries(), ["key"]);
    host.undo(&[]).ended(0, "nothing to undo");
}

/// Only with the right name, and only if there is no other way left.
fn give_up_sudo(host: &Host, setup: &dyn Fn(&[&str]) -> Done) {
    let (_, pid) = host.server_info();
    let drop_of = ["--drop-sudo-of", host.admin.as_str()];
    let wrong = [&drop_of[..], &["--confirm-drop", "root"]].concat();
    let right = [&drop_of[..], &["--confirm-drop", &host.admin]].concat();

    setup(&wrong).ended(1, "nothing was changed");
    assert!(host.admin_has_sudo());
    assert_eq!(host.server_info().1, pid);

    let sudoers = host.path("etc/sudoers.d");
    std::fs::create_dir(&sudoers).unwrap();
    let uid = Done::of(Command::new("id").args(["-u", &host.admin])).said;
    let rule = sudoers.join("rule");
    for line in [
        format!("{} ALL=(ALL) ALL", host.admin),
        format!("somebody, \\\n  {}  ALL = NOPASSWD: ALL", host.admin),
        format!("#{} ALL=(ALL) ALL", uid.trim()),
        format!("%{} ALL=(ALL) ALL", host.admin),
        format!("User_Alias THEM = somebody, {}", host.admin),
        "ALL ALL=(ALL) ALL".to_owned(),
    ] {
        std::fs::write(&rule, &line).unwrap();
        let visudo = format!("visudo -f {}", rule.display());
        setup(&right).ended(1, &visudo);
        assert!(host.admin_has_sudo(), "{line}");
        assert_eq!(std::fs::read_to_string(&rule).unwrap(), line);
    }
    // None of these gives the user anything.
    let harmless = format!(
        "# {0} ALL=(ALL) ALL\nDefaults:{0} !lecture\nsomebody ALL=({0}) ALL\n\
         {0}x ALL=(ALL) ALL\n%{1} ALL=(ALL:ALL) ALL\n",
        host.admin, host.sudo
    );
    std::fs::write(&rule, harmless).unwrap();

    let remembered = host.path("run/sudo/ts").join(&host.admin);
    std::fs::create_dir_all(remembered.parent().unwrap()).unwrap();
    std::fs::write(&remembered, "").unwrap();
    let gone = format!("+ {} is no longer in group {}", host.admin, host.sudo);
    setup(&right).ended(0, &gone);
    assert!(!host.admin_has_sudo());
    assert!(!remembered.exists());
    setup(&right).ended(0, "in none of the groups that lead to root");

    std::fs::remove_dir_all(sudoers).unwrap();
    std::fs::remove_dir_all(host.path("run/sudo")).unwrap();
}

/// A script at a terminal of its own: waits for each question, then types the answer.
fn at_a_terminal(command: &Command, dialogue: &[(&str, &str)]) -> Done {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line: Vec<String> = words
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    // timeout(1) ends a script that asks something else than expected.
    let mut running = Command::new("timeout")
        .args(["20", "script", "-qec", &line.join(" "), "/dev/null"])
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keyboard = running.stdin.take().unwrap();
    let mut screen = running.stdout.take().unwrap();
    let mut said = Vec::new();
    let mut answered = 0;
    let mut read_on = |said: &mut Vec<u8>| {
        let mut piece = [0; 4096];
        let n = screen.read(&mut piece).unwrap();
        said.extend_from_slice(&piece[..n]);
        n > 0
    };
    for (question, answer) in dialogue {
        let at = loop {
            let shown = String::from_utf8_lossy(&said[answered..]).into_owned();
            if let Some(at) = shown.find(question) {
                break at;
            }
            assert!(read_on(&mut said), "no {question:?} in {shown}");
        };
        answered += at + question.len();
        keyboard
            .write_all(format!("{answer}\n").as_bytes())
            .unwrap();
    }
    while read_on(&mut said) {}
    drop(keyboard);
    assert_no_key(&said, "the screen");
    Done {
        code: running.wait().unwrap().code(),
        said: String::from_utf8_lossy(&said).into_owned(),
    }
}

#[test]
fn what_is_typed_is_not_shown_and_a_wrong_name_drops_nothing() {
    let Some(host) = Host::new(
        "what_is_typed_is_not_shown_and_a_wrong_name_drops_nothing",
        &["script", "timeout", "stty"],
    ) else {
        return;
    };
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let drop_of = host.setup(&upstream, &["--drop-sudo-of", &host.admin]);
    let go_on = ("Go on? [y/N]", "y");
    let key = ("(it is not shown)", TEST_KEY);
    let name = "Type the name of the user";

    at_a_terminal(&drop_of, &[("Go on? [y/N]", "n")]).ended(1, "nothing was changed");
    assert_eq!(host.entries(), [""; 0]);
    at_a_terminal(
        &drop_of,
        &[go_on, ("(it is not shown)", "a key with spaces")],
    )
    .ended(1, "that is not an API key");
    at_a_terminal(&drop_of, &[go_on, key, (name, "y")]).ended(1, "not confirmed");
    assert!(host.admin_has_sudo());
    let kept = host.path("etc/codex-proxy/openai.key");
    assert_eq!(
        std::fs::read_to_string(&kept).unwrap(),
        format!("{TEST_KEY}\n")
    );
    assert_eq!(mode_of(&kept), 0o600);
    host.as_admin(&["cat", kept.to_str().unwrap()])
        .ended(1, "ermission denied");

    at_a_terminal(&drop_of, &[go_on, (name, &host.admin)]).ended(0, "is no longer in group");
    assert!(!host.admin_has_sudo());

    host.undo(&["--keep-key"]).ended(0, "(kept)");
    assert!(kept.exists());
    assert!(!in_database("passwd", &host.proxy_user));
    host.undo(&["--yes"]).ended(0, "openai.key");
    assert_eq!(host.entries(), [""; 0]);
}

#[test]
fn what_is_not_safe_is_refused_before_anything_is_made() {
    let Some(host) = Host::new("what_is_not_safe_is_refused_before_anything_is_made", &[]) else {
        return;
    };
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let key_file = host.key_file();
    let refused = |file: &Path, code: i32, saying: &str, more: &[&str]| {
        let more = [&["--key-file", file.to_str().unwrap(), "--yes"], more].concat();
        Done::of(&mut host.setup(&upstream, &more)).ended(code, saying);
    };

    refused(&host.path("none"), 1, "there is no file", &[]);
    let link = host.path("link");
    std::os::unix::fs::symlink(&key_file, &link).unwrap();
    refused(&link, 1, "name the file itself", &[]);
    for mode in [0o640, 0o604, 0o700] {
        std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(mode)).unwrap();
        let fix = format!("chmod 600 {}", key_file.display());
        refused(&key_file, 1, &fix, &[]);
    }
    host.key_file();
    std::os::unix::fs::chown(&key_file, Some(65534), None).unwrap();
    refused(&key_file, 1, "chown root", &[]);
    std::os::unix::fs::chown(&key_file, Some(0), None).unwrap();
    std::fs::set_permissions(&host.root, std::fs::Permissions::from_mode(0o777)).unwrap();
    refused(&key_file, 1, "chmod go-w", &[]);
    open_to_all(&host.root);
    refused(
        &key_file,
        1,
        "nobody else is",
        &["--proxy-user", &host.admin],
    );
    refused(&key_file, 2, "must not be root", &["--proxy-user", "root"]);
    refused(&key_file, 2, "is no port", &["--port", "65536"]);
    refused(&key_file, 2, "--colour", &["--colour", "red"]);
    let dropping = ["--drop-sudo-of", host.admin.as_str()];
    refused(&key_file, 1, "--confirm-drop", &dropping);
    let unseen = [&dropping[..], &["--no-start"]].concat();
    refused(&key_file, 2, "not with --no-start", &unseen);
    assert!(host.admin_has_sudo());
    assert_eq!(host.entries(), ["key", "link"]);

    // A copy, since where this was checked out may be closed to others.
    for name in ["sudo-setup", "sudo-setup-undo"] {
        let copy = host.path(name);
        std::fs::copy(format!("{SCRIPTS}/{name}"), &copy).unwrap();
        open_to_all(&copy);
        let copy = copy.to_str().unwrap();
        let to_type = format!("type: sudo {copy} --yes");
        host.as_admin(&[copy, "--yes"]).ended(1, &to_type);
        host.as_admin(&[copy, "--help"]).ended(0, "Usage: sudo");
    }
}

#[test]
fn what_is_only_installed_is_a_unit_that_names_the_key_and_does_not_hold_it() {
    let Some(host) = Host::new(
        "what_is_only_installed_is_a_unit_that_names_the_key_and_does_not_hold_it",
        &[],
    ) else {
        return;
    };
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let key_file = host.key_file();
    let more = [
        "--key-file",
        key_file.to_str().unwrap(),
        "--yes",
        "--no-start",
    ];
    Done::of(&mut host.setup(&upstream, &more)).ended(0, "Installed, not started.");
    Done::of(&mut host.setup(&upstream, &more)).ended(0, "Nothing had to be changed.");
    let unit = host.path("etc/systemd/system/codex-proxy.service");
    let text = std::fs::read_to_string(&unit).unwrap();
    let key_line = format!("StandardInput=file:{}\n", key_file.display());
    let user = format!(" --user {} ", host.proxy_user);
    for part in [key_line.as_str(), &user, "LimitMEMLOCK=64K\n"] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert_no_key(text.as_bytes(), "the unit");
    assert!(!host.path("run").exists());
    if is_there("systemd-analyze") {
        // What it does not know it says, and goes on.
        let unit = unit.to_str().unwrap();
        let verified = Done::of(Command::new("systemd-analyze").args(["verify", unit]));
        assert!(
            !verified.said.contains("codex-proxy.service:"),
            "{}",
            verified.said
        );
    } else {
        skipped("systemd-analyze is not installed: the unit was not verified");
    }
    host.undo(&[]).ended(0, "codex-proxy.service");
    assert_eq!(host.entries(), ["key"]);
}

//! The upstream's name is looked up inside the sandbox, by what the files say now.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use codex_test_support::{MockUpstream, Proxy, ProxyBuilder, Reply};

use crate::custody::{is_root, open_to_all, skipped, strictest_sandbox};
use crate::{PROXY, RESPONSES, ask};

/// A name server that gives every name the address 127.0.0.1, and counts how often it was asked.
struct NameServer {
    address: &'static str,
    asked: Arc<AtomicUsize>,
}

impl NameServer {
    fn at(address: &'static str) -> Option<Self> {
        let socket = UdpSocket::bind((address, 53)).ok()?;
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((len, from)) = socket.recv_from(&mut question) {
                count.fetch_add(1, Ordering::Relaxed);
                // What follows the header up to the type and class (RFC 1035, section 4.1).
                let Some(end) = question[12..len].iter().position(|&byte| byte == 0) else {
                    continue;
                };
                let end = 12 + end + 5;
                let is_a = question[end - 3] == 1;
                let mut answer = question[..2].to_vec();
                answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
                answer.extend(&question[12..end]);
                if is_a {
                    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
                }
                let _ = socket.send_to(&answer, from);
            }
        });
        Some(Self { address, asked })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn resolv_conf(&self) -> String {
        format!(
            "nameserver {}\noptions timeout:1 attempts:1\n",
            self.address
        )
    }
}

/// An address without a name server.
const NOBODY: &str = "nameserver 127.0.0.83\noptions timeout:1 attempts:1\n";

/// An `/etc` and a `/run` of the proxy's own, to be changed while it runs.
struct Machine {
    dir: tempfile::TempDir,
    upstream: MockUpstream,
}

impl Machine {
    /// Names come from name servers alone. `None`, and a line that says why, where this cannot be had.
    fn new() -> Option<Self> {
        if !is_root() || Command::new("unshare").arg("--version").output().is_err() {
            skipped("only root can have an /etc of its own");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        open_to_all(dir.path());
        for name in ["etc", "run"] {
            fs::create_dir(dir.path().join(name)).unwrap();
            open_to_all(&dir.path().join(name));
        }
        let machine = Self {
            dir,
            // A new connection for each request.
            upstream: MockUpstream::tls_h1(Reply::responses("hi").header("connection", "close")),
        };
        machine.write("etc/nsswitch.conf", "hosts: files dns\n");
        machine.write("etc/hosts", "");
        for file in ["passwd", "group"] {
            fs::copy(
                Path::new("/etc").join(file),
                machine.at(&format!("etc/{file}")),
            )
            .unwrap();
        }
        Some(machine)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.at(name), text).unwrap();
    }

    /// Replaces a file by a new one, as `rename(2)` does.
    fn replace(&self, name: &str, text: &str) {
        let fresh = format!("{name}.new");
        self.write(&fresh, text);
        fs::rename(self.at(&fresh), self.at(name)).unwrap();
    }

    fn builder(&self, program: &Path) -> ProxyBuilder {
        let [etc, run] = ["etc", "run"].map(|name| self.at(name).display().to_string());
        let mounts =
            format!("mount --bind {etc} /etc && mount --bind {run} /run && exec \"$0\" \"$@\"");
        Proxy::builder(program)
            .upstream_url(&self.upstream.url_for("https", "localhost", RESPONSES))
            .env("SSL_CERT_FILE", self.upstream.ca_file())
            .args(["--sandbox", strictest_sandbox()])
            .under(["unshare", "--mount", "sh", "-c", &mounts])
    }

    fn start(&self) -> Proxy {
        self.builder(Path::new(PROXY)).start()
    }
}

/// A request may get the answer of a look-up that began before the files changed, but not another one.
pub(crate) fn assert_works(proxy: &Proxy, what: &str) {
    let mut answer = ask(proxy);
    for _ in 0..2 {
        if answer.status != 200 {
            answer = ask(proxy);
        }
    }
    assert_eq!(answer.status, 200, "{what}: {}", answer.text());
}

#[test]
fn a_replaced_resolver_file_is_read() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let (Some(first), Some(second)) = (NameServer::at("127.0.0.81"), NameServer::at("127.0.0.82"))
    else {
        return skipped("port 53 is taken");
    };
    machine.write("etc/resolv.conf", &first.resolv_conf());
    let proxy = machine.start();
    // The start looks something up, so that old C libraries load their resolver, and sends no query.
    assert_eq!(first.asked(), 0);
    assert_works(&proxy, "the first name server");
    assert!(first.asked() > 0);
    // As DHCP clients do, several times, and back.
    for server in [&second, &first, &second] {
        let asked = server.asked();
        machine.replace("etc/resolv.conf", &server.resolv_conf());
        assert_works(&proxy, "a name server that came later");
        assert!(server.asked() > asked);
    }
    // Removed and made again.
    fs::remove_file(machine.at("etc/resolv.conf")).unwrap();
    assert_eq!(ask(&proxy).error_code(), "upstream_dns");
    machine.write("etc/resolv.conf", &first.resolv_conf());
    assert_works(&proxy, "a file that was gone for a while");
    // The other files too.
    machine.write("etc/resolv.conf", NOBODY);
    assert_eq!(ask(&proxy).error_code(), "upstream_dns");
    machine.replace("etc/hosts", "127.0.0.1 localhost\n");
    assert_works(&proxy, "another hosts");
    assert!(!proxy.stderr_so_far().contains("refused system call"));
}

#[test]
fn a_resolver_file_that_is_created_later_is_read() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let Some(server) = NameServer::at("127.0.0.84") else {
        return skipped("port 53 is taken");
    };
    let proxy = machine.start();
    assert_eq!(ask(&proxy).error_code(), "upstream_dns");
    machine.write("etc/resolv.conf", &server.resolv_conf());
    assert_works(&proxy, "a resolv.conf that was not there");
    drop(proxy);

    // A link to where there is nothing yet, and then into a directory whose file is replaced.
    fs::remove_file(machine.at("etc/resolv.conf")).unwrap();
    symlink(
        "../run/systemd/resolve/stub-resolv.conf",
        machine.at("etc/resolv.conf"),
    )
    .unwrap();
    let proxy = machine.start();
    assert_eq!(ask(&proxy).error_code(), "upstream_dns");
    fs::create_dir_all(machine.at("run/systemd/resolve")).unwrap();
    machine.write(
        "run/systemd/resolve/stub-resolv.conf",
        &server.resolv_conf(),
    );
    assert_works(&proxy, "a link that led nowhere");
    machine.replace("run/systemd/resolve/stub-resolv.conf", NOBODY);
    assert_eq!(ask(&proxy).error_code(), "upstream_dns");
    drop(proxy);
    let proxy = machine.start();
    machine.replace(
        "run/systemd/resolve/stub-resolv.conf",
        &server.resolv_conf(),
    );
    assert_works(&proxy, "a file behind a link");
    drop(proxy);

    // A file that was no link and becomes one.
    fs::remove_file(machine.at("etc/resolv.conf")).unwrap();
    machine.write("etc/resolv.conf", NOBODY);
    let proxy = machine.start();
    fs::remove_file(machine.at("etc/resolv.conf")).unwrap();
    symlink(
        "/run/systemd/resolve/stub-resolv.conf",
        machine.at("etc/resolv.conf"),
    )
    .unwrap();
    assert_works(&proxy, "a link in the place of a file");
}

/// What root alone may read in these directories is not readable by that.
#[test]
fn a_resolv_conf_that_root_alone_may_read_still_works_and_opens_nothing() {
    use std::os::unix::fs::PermissionsExt;

    let Some(machine) = Machine::new() else {
        return;
    };
    let Some(server) = NameServer::at("127.0.0.85") else {
        return skipped("port 53 is taken");
    };
    machine.write("etc/resolv.conf", &server.resolv_conf());
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(machine.at("etc/resolv.conf"), private).unwrap();
    let proxy = machine.start();
    assert_works(&proxy, "a private resolv.conf");
    let threads = fs::read_dir(format!("/proc/{}/task", proxy.pid())).unwrap();
    let mut resolvers = 0;
    for thread in threads {
        let thread = thread.unwrap().path();
        let status = fs::read_to_string(thread.join("status")).unwrap();
        resolvers += usize::from(status.starts_with("Name:\tresolver"));
    }
    assert_eq!(resolvers, 1);
    drop(proxy);
    let public = fs::Permissions::from_mode(0o644);
    fs::set_permissions(machine.at("etc/resolv.conf"), public).unwrap();
    let proxy = machine.start();
    assert_works(&proxy, "a public one");
    for thread in fs::read_dir(format!("/proc/{}/task", proxy.pid())).unwrap() {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        let of = |name: &str| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap();
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let is_resolver = of("Name:") == ["resolver"];
        // Real, effective, saved, and that of files (proc_pid_status(5)).
        let expected = if is_resolver { "65534" } else { "0" };
        for name in ["Uid:", "Gid:"] {
            assert_eq!(of(name)[3], expected, "{status}");
        }
        assert!(!is_resolver || of("Groups:").is_empty(), "{status}");
        assert_eq!(of("CapEff:"), ["0000000000000000"]);
        assert_eq!(of("Seccomp:"), ["2"]);
    }
    let environ = format!("/proc/{}/environ", proxy.pid());
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(environ).unwrap());
    assert_eq!(owner, 0, "a dumpable process would own its /proc files");
}

//! Keys that are read again from a file.

use std::path::PathBuf;

use super::*;
use crate::metrics::WithMetrics;

struct Reloaded {
    upstream: MockUpstream,
    proxy: Proxy,
    _dir: tempfile::TempDir,
    file: PathBuf,
}

/// A proxy that has the first key from a file.
fn reading_a_file(upstream: MockUpstream) -> Reloaded {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    write(&file, &key(1));
    let proxy = in_front_of(&upstream)
        .args(["--key-file", file.to_str().unwrap()])
        .stdin(Stdin::Empty)
        .start();
    Reloaded {
        upstream,
        proxy,
        _dir: dir,
        file,
    }
}

pub(super) fn write(file: &Path, text: &str) {
    use std::os::unix::fs::OpenOptionsExt;

    let options = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file);
    options.unwrap().write_all(text.as_bytes()).unwrap();
}

impl Reloaded {
    /// Has it read the file, and waits until it says so.
    fn reload(&self, says: &str) {
        self.proxy.signal(libc::SIGHUP);
        self.proxy.wait_for_stderr(says);
    }

    fn assert_goes_with(&self, number: usize) {
        assert_eq!(ask(&self.proxy).status, 200);
        let requests = self.upstream.requests();
        assert_eq!(requests.last().map(number_of), Some(number));
    }
}

#[test]
fn hangup_reads_the_file_and_the_next_request_goes_with_what_is_in_it() {
    let reloaded = reading_a_file(MockUpstream::h2(Reply::responses("hi")));
    reloaded.assert_goes_with(1);
    write(&reloaded.file, &key(2));
    reloaded.reload("by number 2\n");
    reloaded.assert_goes_with(2);
    // A new file in the place of the old one, as editors and tools for secrets write it.
    let new = reloaded.file.with_extension("new");
    write(&new, &format!("{}\n", key(3)));
    std::fs::rename(&new, &reloaded.file).unwrap();
    reloaded.reload("by number 3\n");
    reloaded.assert_goes_with(3);
    reloaded.reload("the key is the same as before");
    reloaded.assert_goes_with(3);
    assert_no_copy(&reloaded.proxy);
}

#[test]
fn a_file_that_has_no_key_or_is_for_others_to_read_changes_nothing() {
    use std::os::unix::fs::PermissionsExt;

    let reloaded = reading_a_file(MockUpstream::h2(Reply::responses("hi")));
    for (text, mode) in [("", 0o600), ("two words\n", 0o600), (&*key(2), 0o644)] {
        write(&reloaded.file, text);
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&reloaded.file, permissions).unwrap();
        let before = reloaded
            .proxy
            .stderr_so_far()
            .matches("stays in use")
            .count();
        reloaded.proxy.signal(libc::SIGHUP);
        while reloaded
            .proxy
            .wait_for_stderr("stays in use")
            .matches("stays in use")
            .count()
            == before
        {
            std::thread::yield_now();
        }
        reloaded.assert_goes_with(1);
    }
    std::fs::remove_file(&reloaded.file).unwrap();
    reloaded.reload("there is no such file; the old key");
    reloaded.assert_goes_with(1);
}

/// Somebody has replaced the key and told nobody.
#[test]
fn an_upstream_that_refuses_the_key_has_the_file_read_again() {
    let refusing = |request: &RecordedRequest| match number_of(request) {
        1 => Reply::json(
            401,
            &serde_json::json!({"error": {"message": "no such key"}}),
        ),
        _ => Reply::responses("hi"),
    };
    let upstream = MockUpstream::builder().tls_h1().handler(refusing).start();
    let reloaded = reading_a_file(upstream);
    write(&reloaded.file, &key(2));
    assert_eq!(ask(&reloaded.proxy).status, 401);
    reloaded.proxy.wait_for_stderr("by number 2\n");
    reloaded.assert_goes_with(2);
}

#[test]
fn the_access_log_and_metrics_say_which_key_it_was() {
    let upstream = MockUpstream::h2(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    let [file, log] = ["key", "log"].map(|name| dir.path().join(name));
    write(&file, &key(1));
    let proxy = in_front_of(&upstream)
        .args(["--key-file", file.to_str().unwrap()])
        .args(["--access-log", log.to_str().unwrap()])
        .with_metrics()
        .stdin(Stdin::Empty)
        .start();
    assert_eq!(ask(&proxy).status, 200);
    write(&file, &key(2));
    proxy.signal(libc::SIGHUP);
    proxy.wait_for_stderr("by number 2\n");
    assert_eq!(ask(&proxy).status, 200);
    let lines = loop {
        let text = std::fs::read_to_string(&log).unwrap();
        if text.lines().count() == 2 && text.ends_with('\n') {
            break text;
        }
        std::thread::yield_now();
    };
    let generations: Vec<_> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| {
            (
                line["credential.kind"].clone(),
                line["credential.generation"].clone(),
            )
        })
        .collect();
    assert_eq!(
        generations,
        [("file".into(), 1.into()), ("file".into(), 2.into())]
    );
    let metrics = crate::metrics::scrape(crate::metrics::place(&proxy));
    for line in [
        "codex_proxy_credential_available 1\n",
        "codex_proxy_credential_generations_total 2\n",
        "codex_proxy_credential_failures_total 0\n",
    ] {
        assert!(metrics.contains(line), "{line} {metrics}");
    }
}

//! The connections and requests of one user do not affect those of another.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use codex_test_support::{Client, Framing, MockUpstream, Proxy, Reply, assert_openai_error};

use crate::custody::{is_root, skipped};
use crate::metrics::{WithMetrics, place, scrape};
use crate::{RESPONSES, ask, in_front_of};

/// Users of the tests, who have no name on most systems.
const OTHER: u32 = 65534;
const THIRD: u32 = 65533;

/// Connections of another user, there until it is dropped.
struct OtherUserConnections(Child);

impl OtherUserConnections {
    /// Opens `count` connections, writes `sent` into each, and reads nothing.
    fn new(proxy: &Proxy, uid: u32, count: usize, sent: &str) -> Option<Self> {
        Self::to(proxy.port(), uid, count, sent)
    }

    /// The same, to a port of this host.
    fn to(port: u16, uid: u32, count: usize, sent: &str) -> Option<Self> {
        let script = format!(
            r#"use Socket; $SIG{{PIPE}} = "IGNORE"; $| = 1;
               my $at = pack_sockaddr_in({port}, inet_aton("127.0.0.1"));
               my $sent = {sent};
               for (1..{count}) {{
                   socket(my $s, PF_INET, SOCK_STREAM, 0) or die "socket: $!";
                   connect($s, $at) or die "connect: $!";
                   syswrite($s, $sent) if length $sent;
                   push @all, $s;
               }}
               print "there\n"; sleep 1000;"#
        );
        let uid = uid.to_string();
        let started = Command::new("prlimit")
            .args(["--nofile=4096", "setpriv", "--clear-groups"])
            .args(["--reuid", &uid, "--regid", &uid, "perl", "-e", &script])
            .stdout(Stdio::piped())
            .spawn();
        let mut clients = match started {
            Ok(child) => Self(child),
            Err(error) => {
                skipped(&format!("prlimit: {error}"));
                return None;
            }
        };
        let mut line = String::new();
        let mut output = BufReader::new(clients.0.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        if line != "there\n" {
            skipped("prlimit, setpriv or perl is not there");
            return None;
        }
        Some(clients)
    }
}

impl Drop for OtherUserConnections {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A request that is answered at once; others are never answered.
fn answers_quick_ones() -> MockUpstream {
    MockUpstream::builder()
        .handler(|request| {
            if request.text() == "{}" {
                Reply::responses("hi")
            } else {
                Reply::silence()
            }
        })
        .start()
}

/// As perl writes it.
const SLOW: &str =
    r#""POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nslow""#;

#[track_caller]
fn assert_served(proxy: &Proxy) {
    for _ in 0..10 {
        let answer = ask(proxy);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[test]
fn denied_users_that_read_nothing_do_not_use_up_the_connection_limit() {
    if !is_root() {
        return skipped("only root can be two users");
    }
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = in_front_of(&upstream)
        .args(["--allow-user", "root", "--max-connections", "100"])
        .start();
    let pipelined = r#""GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" x 20000"#;
    let Some(_connections) = OtherUserConnections::new(&proxy, OTHER, 300, pipelined) else {
        return;
    };
    assert_served(&proxy);
}

#[test]
fn requests_in_flight_of_one_user_do_not_use_up_the_connection_limit() {
    if !is_root() {
        return skipped("only root can be two users");
    }
    let upstream = answers_quick_ones();
    let proxy = in_front_of(&upstream)
        .args(["--max-connections", "64"])
        .start();
    let Some(_connections) = OtherUserConnections::new(&proxy, OTHER, 100, SLOW) else {
        return;
    };
    assert_served(&proxy);
    let Some(_second) = OtherUserConnections::new(&proxy, THIRD, 100, SLOW) else {
        return;
    };
    assert_served(&proxy);
}

#[test]
fn requests_in_flight_of_one_user_do_not_use_up_the_request_limit() {
    if !is_root() {
        return skipped("only root can be two users");
    }
    let upstream = answers_quick_ones();
    let proxy = in_front_of(&upstream)
        .args(["--max-requests", "32"])
        .start();
    let Some(_connections) = OtherUserConnections::new(&proxy, OTHER, 100, SLOW) else {
        return;
    };
    assert_served(&proxy);
}

#[test]
fn a_user_beyond_half_of_the_connection_limit_gets_429() {
    let upstream = answers_quick_ones();
    let proxy = in_front_of(&upstream)
        .args(["--max-connections", "8"])
        .start();
    let mut busy: Vec<Client> = (0..4).map(|_| proxy.client()).collect();
    for (index, client) in busy.iter_mut().enumerate() {
        client.post(RESPONSES, &[], "slow");
        upstream.wait_for_complete(index);
    }
    let refused = ask(&proxy);
    assert_openai_error(&refused, 429, "too_many_connections_of_user");
    busy.clear();
    upstream.wait_for_cancel(3);
}

#[test]
fn idle_connections_of_one_user_do_not_close_those_of_another() {
    if !is_root() {
        return skipped("only root can be two users");
    }
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = in_front_of(&upstream)
        .args(["--max-connections", "20"])
        .start();
    let mut idle: Vec<Client> = (0..3).map(|_| proxy.client()).collect();
    for client in &mut idle {
        assert_eq!(client.post(RESPONSES, &[], "{}").read_answer().status, 200);
    }
    let Some(_connections) = OtherUserConnections::new(&proxy, OTHER, 200, r#""""#) else {
        return;
    };
    assert_served(&proxy);
    for client in &mut idle {
        assert_eq!(client.post(RESPONSES, &[], "{}").read_answer().status, 200);
    }
}

#[test]
fn unfinished_heads_of_one_user_do_not_cause_refusals_for_another() {
    if !is_root() {
        return skipped("only root can be two users");
    }
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = in_front_of(&upstream).start();
    let heads = r#""POST /v1/responses HTTP/1.1\r\nX: " . ("a" x 60000)"#;
    let Some(_connections) = OtherUserConnections::new(&proxy, OTHER, 100, heads) else {
        return;
    };
    let own = format!("{:?}", "a".repeat(30_000));
    for _ in 0..3 {
        let mut client = proxy.client();
        client.post(RESPONSES, &[("x-large", own.as_str())], "{}");
        let answer = client.read_answer();
        assert!(!answer.text().contains("overloaded"), "{}", answer.text());
    }
}

#[test]
fn allowing_the_overflow_user_is_warned_about() {
    let tried = Command::new("unshare")
        .args(["--user", "--map-root-user", "true"])
        .status();
    if !tried.is_ok_and(|status| status.success()) {
        return skipped("there are no user namespaces");
    }
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let overflow = OTHER.to_string();
    let start = |user: &str| {
        in_front_of(&upstream)
            .under(["unshare", "--user", "--map-root-user"])
            .args(["--allow-user", user, "--allow-unlocked-key"])
            .start()
    };
    let warned = start(&overflow);
    warned.wait_for_stderr("warning: in this user namespace the user 65534 stands for every user");
    let stderr = start("0").wait_for_stderr("process: ");
    assert!(!stderr.contains("stands for every user"), "{stderr}");
    let outside = in_front_of(&upstream)
        .args(["--allow-user", &overflow])
        .start();
    let stderr = outside.wait_for_stderr("process: ");
    assert!(!stderr.contains("stands for every user"), "{stderr}");
}

/// What the proxy has resident, in KiB.
fn resident(proxy: &Proxy) -> u64 {
    let line = proxy.status_line("VmRSS");
    line.trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn many_connections_take_little_memory_and_return_it() {
    const COUNT: u64 = 500;
    let upstream = MockUpstream::h1(Reply::silence());
    let proxy = in_front_of(&upstream)
        .args(["--sandbox", "require"])
        .start();
    let before = resident(&proxy);
    let mut clients: Vec<Client> = (0..COUNT).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.post(RESPONSES, &[], "{}");
    }
    upstream.wait_for_requests(clients.len());
    for client in &mut clients {
        client.send(vec![b'x'; 125_000]);
    }
    // All of it has arrived once the last of them is cut for sending even more.
    let last = clients.last_mut().unwrap();
    last.send(vec![b'x'; 2 << 20]);
    last.read_to_close();
    let peak = proxy.rss_peak_kib();
    assert!(peak < before + COUNT * 64, "from {before} to {peak} KiB");
    clients.clear();
    let deadline = Instant::now() + Duration::from_secs(15);
    while resident(&proxy) > before + 10 * 1024 {
        assert!(Instant::now() < deadline, "{} KiB stay", resident(&proxy));
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The upstream answers, and ends its answer, before it has the request.
#[test]
fn a_request_that_is_answered_early_counts_until_its_body_ends() {
    for start in [
        || MockUpstream::builder(),
        || MockUpstream::builder().h2().max_concurrent_streams(100),
    ] {
        let early = Reply::json(200, &serde_json::json!({})).framing(Framing::ContentLength);
        let upstream = start().on_head(move |_| Some(early.clone())).start();
        let proxy = in_front_of(&upstream).args(["--max-requests", "4"]).start();
        let half =
            "POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf";
        let mut callers: Vec<Client> = (0..4)
            .map(|_| {
                let mut caller = proxy.client();
                assert_eq!(caller.send(half).read_answer().status, 200);
                caller
            })
            .collect();
        let refused = proxy.client().send(half).read_answer();
        assert_openai_error(&refused, 503, "too_many_requests");
        callers.remove(0).close();
        let deadline = Instant::now() + Duration::from_secs(10);
        while proxy.client().send(half).read_answer().status != 200 {
            assert!(
                Instant::now() < deadline,
                "a request permit is not released"
            );
        }
    }
}

#[test]
fn connections_of_one_user_do_not_keep_another_one_from_scraping() {
    if !is_root() {
        return skipped("only root can be two users");
    }
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = in_front_of(&upstream).with_metrics().start();
    let place = place(&proxy);
    // Connected before the others, and asks after them.
    let mut early = Client::connect(place);
    let Some(_held) = OtherUserConnections::to(place.port(), OTHER, 1000, r#""GET /met""#) else {
        return;
    };
    let began = Instant::now();
    let answer = early.get("/metrics").read_answer();
    assert_eq!(answer.status, 200, "{}", answer.text());
    scrape(place);
    // A scrape that nobody gives way to waits for ten seconds.
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
}

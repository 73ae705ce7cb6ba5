//! What one caller does costs no other caller anything on the way to the upstream.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use codex_test_support::{End, Framing, Gate, MockUpstream, Reply, Step, assert_openai_error};

use crate::callers::curl_as_other;
use crate::custody::{is_root, skipped};
use crate::{PROXY, RESPONSES, ask, begin, in_front_of};

#[test]
fn users_do_not_share_connections_to_the_upstream() {
    if !is_root() {
        return skipped("only root can be two users");
    }
    let gate = Gate::new();
    let upstream = MockUpstream::h2(vec![
        Reply::event_stream()
            .data("data: 1\n\n")
            .hold(&gate)
            .data("data: 2\n\n"),
        Reply::responses("hi"),
    ]);
    let proxy = in_front_of(&upstream).args(["--threads", "1"]).start();
    let mut ours = begin(&proxy);
    ours.wait_for_body("data: 1");
    assert_eq!(ask(&proxy).status, 200);
    assert_eq!(upstream.connections(), 1, "one user's requests share one");
    let Some(status) = curl_as_other(&proxy, "{}") else {
        return;
    };
    assert_eq!(status, "200");
    assert_eq!(upstream.connections(), 2, "another user's have their own");
    gate.release();
    ours.wait_for_body("data: 2");
}

#[test]
fn holders_of_tokens_do_not_share_connections_either() {
    let upstream = MockUpstream::h2(Reply::responses("hi"));
    let hash = |token: &str| {
        let sum = Command::new("sh")
            .args(["-c", &format!("printf %s {token} | sha256sum")])
            .output()
            .unwrap();
        String::from_utf8_lossy(&sum.stdout)[..64].to_owned()
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens");
    std::fs::write(&file, format!("a:{}\nb:{}\n", hash("one"), hash("two"))).unwrap();
    let proxy = in_front_of(&upstream)
        .args(["--threads", "1", "--client-token-file"])
        .arg(&file)
        .start();
    for (token, connections) in [("one", 1), ("two", 2), ("one", 2), ("two", 2)] {
        let authorization = format!("Bearer {token}");
        let fields = [("authorization", authorization.as_str())];
        let answer = proxy.client().post(RESPONSES, &fields, "{}").read_answer();
        assert_eq!((answer.status, upstream.connections()), (200, connections));
    }
}

#[test]
fn a_head_that_servers_end_their_connection_for_is_refused() {
    let upstream = MockUpstream::h2(Reply::responses("hi"));
    let proxy = in_front_of(&upstream).start();
    let long = "v".repeat(20_000);
    let names: Vec<String> = (0..240).map(|n| format!("x-{n}")).collect();
    let long_name = "x".repeat(5_000);
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    for fields in [
        &[("x-long", long.as_str())][..],
        &[(long_name.as_str(), "1")],
        &many,
        &[("x-one", &long[..4_000]), ("x-two", &long[..4_200])],
    ] {
        let answer = proxy.client().post(RESPONSES, fields, "{}").read_answer();
        assert_openai_error(&answer, 431, "headers_too_large");
    }
    assert!(upstream.requests().is_empty());
    // What is not forwarded does not count.
    for fields in [
        &[("cookie", long.as_str())][..],
        &[("x-one", &long[..8_000])],
        // The client sends a few of its own.
        &many[..95],
    ] {
        let answer = proxy.client().post(RESPONSES, fields, "{}").read_answer();
        assert_eq!(answer.status, 200);
    }
}

/// Carries bytes between a port of its own and `upstream`, each so much late.
pub(crate) fn far_away(upstream: &MockUpstream, by: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, upstream) = (listener.local_addr().unwrap().port(), upstream.addr());
    let carry = move |mut from: TcpStream, mut to: TcpStream| {
        let (late, due) = std::sync::mpsc::channel::<(Instant, Vec<u8>)>();
        thread::spawn(move || {
            let mut piece = [0; 65_536];
            while let Ok(length @ 1..) = from.read(&mut piece) {
                let at = Instant::now() + by;
                if late.send((at, piece[..length].to_vec())).is_err() {
                    return;
                }
            }
        });
        thread::spawn(move || {
            for (at, piece) in due {
                thread::sleep(at.saturating_duration_since(Instant::now()));
                if to.write_all(&piece).is_err() {
                    return;
                }
            }
            let _ = to.shutdown(std::net::Shutdown::Write);
        });
    };
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let far = TcpStream::connect(upstream).unwrap();
            far.set_nodelay(true).unwrap();
            near.set_nodelay(true).unwrap();
            carry(near.try_clone().unwrap(), far.try_clone().unwrap());
            carry(far, near);
        }
    });
    port
}

/// What the upstream has sent for a request that was given up arrives when that request is forgotten.
#[test]
fn a_thousand_requests_given_up_cost_no_other_caller_its_answer() {
    let upstream = MockUpstream::builder()
        .h2()
        .max_concurrent_streams(2_000)
        .handler(|request| {
            let reply = Reply::event_stream();
            if request.text().contains("victim") {
                let ticks = (0..40).flat_map(|n| {
                    let tick = Step::Data(format!("data: {n}\n\n").into());
                    [tick, Step::Pace(Duration::from_millis(100))]
                });
                return reply.steps(ticks).data("data: end\n\n");
            }
            let ticks = (0..20).flat_map(|_| {
                let tick = Step::Data("data: for nobody\n\n".into());
                [tick, Step::Pace(Duration::from_millis(5))]
            });
            reply.steps(ticks).data("data: end\n\n")
        })
        .start();
    let url = format!(
        "https://127.0.0.1:{}/v1/responses",
        far_away(&upstream, Duration::from_millis(50))
    );
    let proxy = codex_test_support::Proxy::builder(PROXY)
        .env("SSL_CERT_FILE", upstream.ca_file())
        .upstream_url(&url)
        .args(["--threads", "1"])
        .start();
    let mut victims: Vec<_> = (0..6)
        .map(|_| {
            let mut victim = proxy.client();
            victim.post(RESPONSES, &[], "victim");
            victim.read_head();
            victim
        })
        .collect();
    for _ in 0..20 {
        let mut callers: Vec<_> = (0..50)
            .map(|_| {
                let mut caller = proxy.client();
                caller.post(RESPONSES, &[], "{}");
                caller
            })
            .collect();
        callers[0].read_head();
        drop(callers);
    }
    for victim in &mut victims {
        victim.wait_for_body("data: end");
        while victim.read_body_some().is_some() {}
        assert_eq!(victim.end(), Some(End::Clean));
    }
    assert_eq!(ask(&proxy).status, 200);
}

#[test]
fn requests_given_up_beyond_the_budget_are_cancelled_later_and_end_all_the_same() {
    const CALLERS: usize = 200;
    let gate = Gate::new();
    let reply = Reply::event_stream().data("data: 1\n\n").hold(&gate);
    let upstream = MockUpstream::builder()
        .h2()
        .max_concurrent_streams(100)
        .script(reply)
        .start();
    let proxy = in_front_of(&upstream).args(["--threads", "1"]).start();
    for _ in 0..CALLERS / 50 {
        let callers: Vec<_> = (0..50).map(|_| begin(&proxy)).collect();
        drop(callers);
    }
    for index in 0..CALLERS {
        upstream.wait_for_cancel(index);
    }
}

/// How many events of a victim arrive in two seconds, one every 10 ms, while the upstream floods others.
fn events_beside(flood: &'static [u8], head: &'static [u8]) -> usize {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let ends = Arc::clone(&over);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let over = Arc::clone(&ends);
            thread::spawn(move || {
                let mut request = [0; 4096];
                let length = stream.read(&mut request).unwrap();
                let is_victim = String::from_utf8_lossy(&request[..length]).contains("victim");
                if is_victim {
                    let _ = stream.write_all(
                        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                          transfer-encoding: chunked\r\n\r\n",
                    );
                    while !over.load(Ordering::Relaxed) {
                        if stream.write_all(b"1\r\nx\r\n").is_err() {
                            return;
                        }
                        thread::sleep(Duration::from_millis(10));
                    }
                    return;
                }
                let block: Vec<u8> = flood.repeat(65_536 / flood.len());
                let _ = stream.write_all(head);
                while !over.load(Ordering::Relaxed) && stream.write_all(&block).is_ok() {}
            });
        }
    });
    let proxy = codex_test_support::Proxy::builder(PROXY)
        .upstream_url(&format!("http://{address}/v1/responses"))
        .args(["--threads", "1"])
        .start();
    let mut victim = proxy.client();
    victim.post(RESPONSES, &[("x-role", "victim")], "{}");
    victim.read_head();
    let _floods: Vec<_> = (0..4)
        .map(|_| {
            let mut caller = proxy.client();
            caller.post(RESPONSES, &[], "{}");
            caller
        })
        .collect();
    let (mut events, begun) = (0, Instant::now());
    while begun.elapsed() < Duration::from_secs(2) {
        events += usize::from(victim.read_body_some().is_some());
    }
    over.store(true, Ordering::Relaxed);
    events
}

#[test]
fn an_upstream_that_never_pauses_does_not_hold_up_a_thread() {
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    for (flood, head) in [
        (&b"HTTP/1.1 100 Continue\r\n\r\n"[..], &b""[..]),
        (b"0000000000000000", chunked),
    ] {
        // The whole thread stood still for more than a second at a time, each time. A busy machine does so once.
        let enough = (0..3)
            .map(|_| events_beside(flood, head))
            .find(|&events| events > 8);
        assert!(enough.is_some());
    }
}

#[test]
fn a_resolver_that_does_not_answer_costs_one_thread() {
    // Nobody answers on this address (RFC 5737), so a look-up takes its time.
    if !is_root() || Command::new("unshare").arg("--version").output().is_err() {
        return skipped("only root can have name servers of its own");
    }
    let silent = std::net::UdpSocket::bind("127.0.0.77:53");
    let Ok(_silent) = silent else {
        return skipped("port 53 is taken");
    };
    let dir = tempfile::tempdir().unwrap();
    let resolv = dir.path().join("resolv.conf");
    std::fs::write(&resolv, "nameserver 127.0.0.77\n").unwrap();
    let mount = format!(
        "mount --bind {} /etc/resolv.conf && exec \"$0\" \"$@\"",
        resolv.display()
    );
    let proxy = codex_test_support::Proxy::builder(PROXY)
        .upstream_url("https://upstream.example/v1/responses")
        .under(["unshare", "--mount", "sh", "-c", mount.as_str()])
        .start();
    let before: usize = proxy.status_line("Threads").parse().unwrap();
    let callers: Vec<_> = (0..400)
        .map(|_| {
            let mut caller = proxy.client();
            caller.post(RESPONSES, &[], "{}");
            caller
        })
        .collect();
    // Served after all of these.
    assert_eq!(proxy.client().get("/").read_answer().status, 403);
    let after: usize = proxy.status_line("Threads").parse().unwrap();
    assert!(after <= before + 1, "{before} threads, then {after}");
    drop(callers);
}

#[test]
fn an_answer_that_came_before_a_failed_write_is_read() {
    let upstream = MockUpstream::builder()
        .on_head(|_| {
            Some(
                Reply::json(401, &serde_json::json!({"error": {"message": "no"}}))
                    .framing(Framing::ContentLength),
            )
        })
        .start();
    let proxy = in_front_of(&upstream).start();
    let body = "x".repeat(2_000_000);
    for _ in 0..20 {
        let answer = proxy.client().post(RESPONSES, &[], &body).read_answer();
        assert_eq!(answer.status, 401, "{}", answer.text());
    }
}

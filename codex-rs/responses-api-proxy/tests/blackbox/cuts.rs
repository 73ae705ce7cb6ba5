//! A cut upstream is a cut client: everything that arrived is delivered, and
//! nothing pretends to be the end.

use codex_test_support::{Client, CutKind, End, Framing, Gate, MockUpstream, Reply};

use crate::{RESPONSES, ask, in_front_of};

const LENGTH: usize = 64 * 1024;

fn body() -> Vec<u8> {
    (0..LENGTH)
        .map(|n| b'a' + u8::try_from(n % 23).unwrap())
        .collect()
}

/// Offsets around everything that could be a boundary: a buffer, a chunk, a record, a frame.
fn offsets() -> Vec<usize> {
    let mut offsets = vec![0, 1, 2, 3, 7, 100, LENGTH - 2, LENGTH - 1];
    for boundary in [1024, 4096, 8192, 16_384, 32_768, 49_152] {
        offsets.extend([boundary - 1, boundary, boundary + 1]);
    }
    offsets.extend((1..40).map(|n| n * 1601));
    offsets
}

/// Cuts at every offset and checks what a caller on a kept and on a closing connection sees.
fn assert_every_cut_is_seen(
    start: impl Fn(Reply) -> MockUpstream,
    framing: Framing,
    kind: CutKind,
) {
    let whole = body();
    let reply = Reply::made({
        let whole = whole.clone();
        move |request| {
            let offset: u64 = request.text().parse().unwrap();
            Reply::bytes(200, "text/event-stream", whole.clone())
                .framing(framing)
                .chunk_size(1000)
                .cut_after(offset, kind)
        }
    });
    let upstream = start(reply);
    let proxy = in_front_of(&upstream).start();
    for offset in offsets() {
        for headers in [&[][..], &[("connection", "close")]] {
            let mut client = proxy.client();
            client.post(RESPONSES, headers, offset.to_string());
            let answer = client.read_answer();
            assert_eq!(
                (answer.status, answer.end),
                (200, End::Cut),
                "cut after {offset}"
            );
            assert!(
                answer.body == whole[..offset],
                "{} of {offset} delivered",
                answer.body.len()
            );
        }
    }
}

#[test]
fn content_length_cut_by_fin() {
    assert_every_cut_is_seen(MockUpstream::h1, Framing::ContentLength, CutKind::Fin);
}

#[test]
fn chunked_cut_by_fin() {
    assert_every_cut_is_seen(MockUpstream::h1, Framing::Chunked, CutKind::Fin);
}

#[test]
fn tls_content_length_cut_without_close_notify() {
    assert_every_cut_is_seen(
        MockUpstream::tls_h1,
        Framing::ContentLength,
        CutKind::TlsTruncate,
    );
}

#[test]
fn tls_chunked_cut_without_close_notify() {
    assert_every_cut_is_seen(MockUpstream::tls_h1, Framing::Chunked, CutKind::TlsTruncate);
}

#[test]
fn tls_close_delimited_cut_without_close_notify() {
    assert_every_cut_is_seen(
        MockUpstream::tls_h1,
        Framing::CloseDelimited,
        CutKind::TlsTruncate,
    );
}

#[test]
fn http_2_cut_by_rst_stream() {
    assert_every_cut_is_seen(MockUpstream::h2, Framing::Chunked, CutKind::RstStream(2));
}

/// NO_ERROR is how a server takes back a stream it has answered; here it has not.
#[test]
fn http_2_cut_by_a_reset_without_an_error() {
    assert_every_cut_is_seen(MockUpstream::h2, Framing::Chunked, CutKind::RstStream(0));
}

#[test]
fn http_2_cut_by_a_cancel() {
    assert_every_cut_is_seen(
        MockUpstream::h2,
        Framing::ContentLength,
        CutKind::RstStream(8),
    );
}

#[test]
fn http_2_cut_by_fin() {
    assert_every_cut_is_seen(
        MockUpstream::h2,
        Framing::ContentLength,
        CutKind::TlsTruncate,
    );
}

/// A reset may overtake what was sent before it, on the upstream's side already:
/// what is delivered is a prefix, and its end is no end.
#[test]
fn a_reset_is_a_cut_in_every_framing() {
    for framing in [
        Framing::ContentLength,
        Framing::Chunked,
        Framing::CloseDelimited,
    ] {
        let whole = body();
        for offset in [0, 1, 1000, 4096, 30_000] {
            let reply = Reply::bytes(200, "text/event-stream", whole.clone())
                .framing(framing)
                .cut_after(offset, CutKind::Reset);
            let upstream = MockUpstream::h1(reply);
            let proxy = in_front_of(&upstream).start();
            let mut client = proxy.client();
            client.post(RESPONSES, &[], "{}");
            match client.try_read_head() {
                // The reset overtook the head.
                Some(head) if head.status == 502 => {}
                Some(head) => {
                    let answer = client.finish_answer(head);
                    assert_eq!(answer.end, End::Cut, "{framing:?} cut after {offset}");
                    assert!(whole.starts_with(&answer.body));
                }
                None => panic!("no answer at all"),
            }
        }
    }
}

/// Without chunks and without a length, a closed connection would pass for the
/// end; only a reset says that it is not.
#[test]
fn an_http_1_0_caller_is_cut_by_a_reset() {
    let whole = body();
    let upstream = MockUpstream::h1(
        Reply::bytes(200, "text/event-stream", whole.clone())
            .framing(Framing::Chunked)
            .cut_after(5000, CutKind::Fin),
    );
    let proxy = in_front_of(&upstream).start();
    let mut client = proxy.client();
    client.send(format!(
        "POST {RESPONSES} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{{}}"
    ));
    let answer = client.read_answer();
    assert_eq!(answer.end, End::Cut);
    assert!(whole.starts_with(&answer.body));
}

/// However the process ends: in order, at once, or killed.
#[test]
fn an_http_1_0_caller_is_cut_by_a_reset_when_the_proxy_ends() {
    for signals in [&["TERM", "TERM"][..], &["KILL"]] {
        let upstream =
            MockUpstream::h1(Reply::event_stream().data("data: 1\n\n").hold(&Gate::new()));
        let mut proxy = in_front_of(&upstream).start();
        let mut clients: Vec<Client> = (0..20).map(|_| proxy.client()).collect();
        for client in &mut clients {
            client.send(format!(
                "POST {RESPONSES} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{{}}"
            ));
            client.read_head();
            client.wait_for_body("data: 1");
        }
        for name in signals {
            proxy.signal(crate::lifecycle::signal(name));
            if *name == "TERM" {
                proxy.wait_for_stderr("shutting down");
            }
        }
        proxy.wait_exit();
        for client in &mut clients {
            while client.read_body_some().is_some() {}
            assert_eq!(client.end(), Some(End::Cut), "{signals:?}");
        }
    }
}

#[test]
fn a_cut_is_logged_with_its_cause_and_the_next_request_is_served() {
    let upstream = MockUpstream::h1(vec![
        Reply::event_stream().data("data: 1\n\n").cut(CutKind::Fin),
        Reply::responses("hi"),
    ]);
    let proxy = in_front_of(&upstream).start();
    let mut client: Client = proxy.client();
    assert_eq!(
        client.post(RESPONSES, &[], "{}").read_answer().end,
        End::Cut
    );
    proxy.wait_for_stderr("answer cut short: upstream_closed");
    assert_eq!(ask(&proxy).end, End::Clean);
}

//! The mock upstream over TLS, spoken to with rustls and the h2 crate's client.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use codex_test_support::{Certificate, CutKind, Framing, Gate, MockUpstream, Reply, Step};
use h2::client::SendRequest;
use http::{HeaderMap, Request, Version};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let limited = async { tokio::time::timeout(codex_test_support::WAIT_TIMEOUT, work).await };
    runtime.block_on(limited).expect("it hung")
}

async fn connect(upstream: &MockUpstream, alpn: &str) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(upstream.ca_file()).expect("the CA");
    roots.add(ca).expect("a CA certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let tcp = TcpStream::connect(upstream.addr()).await?;
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
}

#[test]
fn only_a_good_certificate_is_taken() {
    for (kind, word) in [
        (Certificate::Good, ""),
        (Certificate::Expired, "expired"),
        (Certificate::WrongName, "not valid for name"),
        (Certificate::UnknownCa, "UnknownIssuer"),
        (Certificate::SelfSigned, "UnknownIssuer"),
    ] {
        let upstream = MockUpstream::builder().tls_h1().certificate(kind).start();
        match (run(connect(&upstream, "http/1.1")), kind) {
            (Ok(_), Certificate::Good) => {}
            (Ok(_), _) => panic!("{kind:?} was taken"),
            (Err(error), _) => {
                assert!(
                    !word.is_empty() && error.to_string().contains(word),
                    "{kind:?}: {error}"
                );
                assert_eq!(upstream.wait_for_tls_failures(1).len(), 1);
                assert!(upstream.requests().is_empty());
            }
        }
    }
}

#[test]
fn the_cuts_of_tls_differ() {
    for (kind, expected) in [
        (CutKind::Fin, None),
        (CutKind::TlsTruncate, Some(io::ErrorKind::UnexpectedEof)),
        (CutKind::Reset, Some(io::ErrorKind::ConnectionReset)),
    ] {
        let reply = Reply::bytes(200, "a/b", "12345")
            .framing(Framing::Chunked)
            .cut_after(3, kind);
        let upstream = MockUpstream::tls_h1(reply);
        let (text, error) = run(async {
            let mut tls = connect(&upstream, "http/1.1").await.expect("TLS");
            tls.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                .await
                .expect("sent");
            let mut bytes = Vec::new();
            let end = tls.read_to_end(&mut bytes).await;
            (
                String::from_utf8(bytes).expect("text"),
                end.err().map(|error| error.kind()),
            )
        });
        assert!(text.ends_with("\r\n\r\n5\r\n123"), "{kind:?}: {text:?}");
        assert_eq!(error, expected, "{kind:?}");
    }
}

struct Got {
    status: u16,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
    /// The error code of a reset or GOAWAY, or of anything else.
    error: Option<(bool, bool, Option<u32>)>,
}

async fn h2(upstream: &MockUpstream) -> SendRequest<Bytes> {
    let tls = connect(upstream, "h2").await.expect("TLS");
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (client, connection) = h2::client::handshake(tls).await.expect("HTTP/2");
    tokio::spawn(async move { drop(connection.await) });
    client
}

fn request() -> Request<()> {
    Request::post("https://127.0.0.1/v1/responses?q")
        .header("x-a", "1")
        .body(())
        .expect("a request")
}

async fn exchange(client: SendRequest<Bytes>, body: &'static str) -> Result<Got, h2::Error> {
    let mut client = client.ready().await?;
    let (answer, mut sending) = client.send_request(request(), false)?;
    sending.send_data(Bytes::from_static(body.as_bytes()), true)?;
    let (head, mut stream) = answer.await?.into_parts();
    let mut got = Got {
        status: head.status.as_u16(),
        body: Vec::new(),
        trailers: None,
        error: None,
    };
    while let Some(piece) = stream.data().await {
        match piece {
            Ok(bytes) => {
                drop(stream.flow_control().release_capacity(bytes.len()));
                got.body.extend_from_slice(&bytes);
            }
            Err(error) => {
                got.error = Some((
                    error.is_reset(),
                    error.is_go_away(),
                    error.reason().map(u32::from),
                ));
                return Ok(got);
            }
        }
    }
    got.trailers = stream.trailers().await?;
    Ok(got)
}

#[test]
fn h2_answers_and_records() {
    let reply = Reply::responses("hi").trailers(&[("x-sum", "7")]);
    let upstream = MockUpstream::h2(reply);
    let got = run(async { exchange(h2(&upstream).await, "{}").await }).expect("an answer");
    assert_eq!(got.status, 200);
    assert!(String::from_utf8_lossy(&got.body).contains("resp_mock"));
    assert_eq!(got.trailers.expect("trailers")["x-sum"], "7");
    let seen = upstream.wait_for_complete(0);
    assert_eq!(
        (seen.version, seen.target.as_str()),
        (Version::HTTP_2, "/v1/responses?q")
    );
    assert_eq!(
        (seen.host(), seen.header("x-a")),
        (Some("127.0.0.1"), Some("1"))
    );
    assert_eq!(seen.text(), "{}");
}

#[test]
fn h2_is_cut_after_exactly_n_bytes() {
    // Larger than a window, so that the count depends on what was really flushed.
    let body = vec![b'x'; 200_000];
    for n in [0, 1, 16_384, 199_999, 200_000] {
        let whole = Reply::bytes(200, "a/b", body.clone()).framing(Framing::Chunked);
        let upstream = MockUpstream::h2(whole.clone().cut_after(n as u64, CutKind::RstStream(2)));
        let got = run(async { exchange(h2(&upstream).await, "{}").await }).expect("a head");
        assert_eq!(
            (got.body.len(), got.error),
            (n, Some((true, false, Some(2)))),
            "{n}"
        );

        for kind in [
            CutKind::Fin,
            CutKind::Reset,
            CutKind::TlsTruncate,
            CutKind::GoAway(11),
        ] {
            // A client whose own write meets the reset first gives up what it has not read yet, the head
            // included. So a reset has to deliver everything once in many tries, and never more.
            let tries = if kind == CutKind::Reset { 50 } else { 1 };
            let mut lengths = Vec::new();
            while lengths.len() < tries && lengths.last() != Some(&n) {
                let upstream = MockUpstream::h2(whole.clone().cut_after(n as u64, kind));
                let got = run(async { exchange(h2(&upstream).await, "{}").await });
                assert!(!upstream.wait_for_answered(0).cancelled);
                let Ok(got) = got else {
                    assert_eq!(kind, CutKind::Reset, "{n}: no head");
                    lengths.push(0);
                    continue;
                };
                // The connection ended, not the stream alone.
                assert!(
                    matches!(got.error, Some((false, _, _))),
                    "{kind:?} {n}: {:?}",
                    got.error
                );
                lengths.push(got.body.len());
            }
            assert_eq!(lengths.iter().max(), Some(&n), "{kind:?}: {lengths:?}");
        }
    }
}

#[test]
fn a_goaway_carries_its_code() {
    let upstream = MockUpstream::h2(Reply::event_stream().data("a").cut(CutKind::GoAway(11)));
    let error = run(async {
        let tls = connect(&upstream, "h2").await.expect("TLS");
        let (client, connection) = h2::client::handshake(tls).await.expect("HTTP/2");
        let connection = tokio::spawn(connection);
        drop(exchange(client, "{}").await);
        connection.await.expect("no panic").expect_err("an error")
    });
    assert!(error.is_go_away() && error.is_remote(), "{error}");
    assert_eq!(error.reason(), Some(h2::Reason::ENHANCE_YOUR_CALM));
}

#[test]
fn h2_notices_a_reset_of_the_peer() {
    let held = Reply::event_stream().data("one").hold(&Gate::new());
    for reply in [Reply::silence(), held] {
        let upstream = MockUpstream::h2(reply);
        run(async {
            let mut client = h2(&upstream).await.ready().await.expect("ready");
            let (_answer, mut sending) = client.send_request(request(), false).expect("sent");
            sending.send_data(Bytes::new(), true).expect("sent");
            tokio::task::yield_now().await;
            while !upstream
                .requests()
                .first()
                .is_some_and(|request| request.complete)
            {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            sending.send_reset(h2::Reason::CANCEL);
            while !upstream.requests()[0].cancelled {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            assert_eq!(upstream.open_connections(), 1, "only the stream ended");
        });
    }
}

#[test]
fn h2_limits_streams_and_says_goodbye() {
    let reply = Reply::event_stream().data("a").step(Step::GoAway).data("b");
    let upstream = MockUpstream::builder()
        .h2()
        .max_concurrent_streams(3)
        .script(reply)
        .start();
    run(async {
        let mut client = h2(&upstream).await.ready().await.expect("ready");
        let (answer, mut sending) = client.send_request(request(), false).expect("sent");
        sending.send_data(Bytes::new(), true).expect("sent");
        let mut stream = answer.await.expect("an answer").into_body();
        assert_eq!(client.current_max_send_streams(), 3);
        let mut body = Vec::new();
        while let Some(piece) = stream.data().await {
            body.extend_from_slice(&piece.expect("a graceful end"));
        }
        assert_eq!(body, b"ab");
        assert!(
            poll_fn(|cx| client.poll_ready(cx)).await.is_err(),
            "no stream after GOAWAY"
        );
    });
}

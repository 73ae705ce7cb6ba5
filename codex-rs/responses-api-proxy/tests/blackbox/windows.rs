//! How much of an answer may be on its way over HTTP/2.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use codex_test_support::{Client, CutKind, End, MockUpstream, Proxy, Reply};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::isolation::far_away;
use crate::{PROXY, RESPONSES, ask, in_front_of};

const MIB: usize = 1 << 20;

/// What the upstream sends for a request whose body says how many bytes, and in frames of which size.
fn of_any_size() -> MockUpstream {
    let most = Bytes::from(vec![b' '; 32 * MIB]);
    MockUpstream::builder()
        .h2()
        .max_concurrent_streams(100)
        .handler(move |request| {
            let text = request.text();
            let mut words = text.split_whitespace().flat_map(str::parse);
            let (length, size) = (words.next().unwrap_or(2), words.next());
            Reply::bytes(200, "application/json", most.slice(..length))
                .chunk_size(size.unwrap_or(256 * 1024))
        })
        .start()
}

fn asked(proxy: &Proxy, length: usize) -> Client {
    let mut client = proxy.client().deadline(Duration::from_secs(60));
    client.post(RESPONSES, &[], length.to_string());
    client
}

/// An upstream far away, a proxy in front of it, and the way there for others.
struct Far {
    upstream: MockUpstream,
    port: u16,
    proxy: Proxy,
}

impl Far {
    fn by(round_trip: Duration) -> Self {
        let upstream = of_any_size();
        let port = far_away(&upstream, round_trip / 2);
        let proxy = Proxy::builder(PROXY)
            .env("SSL_CERT_FILE", upstream.ca_file())
            .upstream_url(&format!("https://127.0.0.1:{port}{RESPONSES}"))
            .start();
        Self {
            upstream,
            port,
            proxy,
        }
    }

    /// How long these answers take, at once, through the proxy.
    fn through_the_proxy(&self, bodies: &[String]) -> Duration {
        let begun = Instant::now();
        let readers: Vec<_> = bodies
            .iter()
            .map(|body| {
                // The test client takes longer to look at so much than that takes to come.
                let mut caller = std::net::TcpStream::connect(self.proxy.addr()).unwrap();
                let head = format!(
                    "POST {RESPONSES} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    self.proxy.addr(),
                    body.len()
                );
                caller.write_all((head + body).as_bytes()).unwrap();
                thread::spawn(move || {
                    let mut answer = Vec::with_capacity(9 * MIB);
                    caller.read_to_end(&mut answer).unwrap();
                    answer
                })
            })
            .collect();
        let answers: Vec<_> = readers.into_iter().map(|one| one.join().unwrap()).collect();
        let took = begun.elapsed();
        for (answer, body) in answers.iter().zip(bodies) {
            assert!(answer.starts_with(b"HTTP/1.1 200 "));
            let spaces = answer.iter().rev().take_while(|&&byte| byte == b' ');
            assert_eq!(spaces.count(), length_of(body));
        }
        took
    }

    /// How long they take a direct client, on an open connection, with windows for all of it.
    fn directly(&self, bodies: &[String]) -> Duration {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(self.upstream.ca_file()).unwrap() {
            roots.add(certificate.unwrap()).unwrap();
        }
        let mut tls = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let tcp = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
            tcp.set_nodelay(true).unwrap();
            let name = ServerName::try_from("127.0.0.1").unwrap();
            let tls = TlsConnector::from(Arc::new(tls)).connect(name, tcp).await;
            let (send, connection) = h2::client::Builder::new()
                .initial_window_size(32 << 20)
                .initial_connection_window_size(64 << 20)
                .handshake::<_, Bytes>(tls.unwrap())
                .await
                .unwrap();
            tokio::spawn(connection);
            // A round trip, by which the connection is there.
            fetch(send.clone(), "2".to_owned()).await;
            let begun = Instant::now();
            let answers: Vec<_> = bodies
                .iter()
                .map(|body| tokio::spawn(fetch(send.clone(), body.clone())))
                .collect();
            for (answer, body) in answers.into_iter().zip(bodies) {
                assert_eq!(answer.await.unwrap(), length_of(body));
            }
            begun.elapsed()
        })
    }
}

fn length_of(body: &str) -> usize {
    body.split_whitespace().next().unwrap().parse().unwrap()
}

/// How long the answer to a request is that has come by `send`.
async fn fetch(send: h2::client::SendRequest<Bytes>, body: String) -> usize {
    let request = http::Request::post(format!("https://127.0.0.1{RESPONSES}"));
    let mut send = send.ready().await.unwrap();
    let (answer, mut stream) = send.send_request(request.body(()).unwrap(), false).unwrap();
    stream.send_data(body.into(), true).unwrap();
    let mut body = answer.await.unwrap().into_body();
    let mut sum = 0;
    while let Some(piece) = poll_fn(|cx| body.poll_data(cx)).await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        sum += piece.len();
    }
    sum
}

/// By 64 KiB a round trip of 80 ms, 4 MiB would take 64 of them, five seconds: fifty times as long as without a
/// proxy. What the proxy takes for itself, which is much in a build for tests, is known from an upstream that is
/// near; whatever else the machine does is in all times. How near it comes to a direct connection is for a
/// benchmark.
#[test]
fn large_answers_from_far_away_take_a_few_round_trips() {
    let cases = [
        (80, vec!["4194304".to_owned()]),
        (200, vec!["8388608".to_owned()]),
        (80, vec!["4194304".to_owned(); 3]),
        (80, vec!["1048576".to_owned(); 20]),
        // In small frames.
        (80, vec!["1048576 200".to_owned()]),
    ];
    let near = Far::by(Duration::ZERO);
    for (millis, bodies) in cases {
        let far = Far::by(Duration::from_millis(millis));
        assert_eq!(ask(&far.proxy).status, 200);
        let mut ratios = Vec::new();
        // A machine that is busy can make any one of them late, and none early.
        while ratios.iter().all(|ratio| *ratio > 4.0) {
            assert!(
                ratios.len() < 6,
                "{} of {}, {millis} ms away: {ratios:.1?}",
                bodies.len(),
                bodies[0]
            );
            let direct = far.directly(&bodies);
            let own = near.through_the_proxy(&bodies);
            let way = far.through_the_proxy(&bodies).saturating_sub(own);
            ratios.push(way.as_secs_f64() / direct.as_secs_f64());
        }
    }
}

#[test]
fn unread_answers_are_bounded_and_do_not_block_others() {
    const UNREAD: usize = 60;
    let upstream = of_any_size();
    let proxy = in_front_of(&upstream).args(["--threads", "1"]).start();
    assert_eq!(ask(&proxy).status, 200);
    let before = proxy.rss_peak_kib();
    let unread: Vec<Client> = (0..UNREAD)
        .map(|_| {
            let mut client = asked(&proxy, 32 * MIB);
            client.read_head();
            client
        })
        .collect();
    // Others on the same connection have theirs at once, and all of it.
    for length in [100, MIB, 8 * MIB] {
        let answer = asked(&proxy, length).read_answer();
        assert_eq!((answer.status, answer.body.len()), (200, length));
    }
    let peak = proxy.rss_peak_kib();
    // 64 KiB each, apart from what all together may have beyond it.
    let most = before + 64 * UNREAD as u64 + 32 * 1024;
    assert!(peak < most, "from {before} to {peak} KiB, more than {most}");
    drop(unread);
}

/// The window, what the caller's connection holds, and the two connections themselves.
#[test]
fn hundreds_of_unread_answers_take_what_is_stated_for_each() {
    const UNREAD: u64 = 500;
    const EACH_KIB: u64 = 160;
    let upstream = of_any_size();
    let proxy = in_front_of(&upstream).start();
    assert_eq!(ask(&proxy).status, 200);
    let before = proxy.rss_peak_kib();
    let mut unread: Vec<Client> = (0..UNREAD).map(|_| asked(&proxy, 32 * MIB)).collect();
    for client in &mut unread {
        assert_eq!(client.read_head().status, 200);
    }
    let most = before + EACH_KIB * UNREAD + 32 * 1024;
    let peak = proxy.rss_peak_kib();
    assert!(peak < most, "from {before} to {peak} KiB, more than {most}");
    drop(unread);
}

/// Reads one answer fast, so that the window grows to its maximum and a part of the next answer is buffered.
fn read_fast(proxy: &Proxy) {
    let answer = asked(proxy, 8 * MIB).read_answer();
    assert_eq!((answer.status, answer.body.len()), (200, 8 * MIB));
}

/// Reads with pauses longer than the data takes to arrive; returns how many bytes came, and how the body ended.
fn read_slowly(mut client: Client) -> (usize, End) {
    client.read_head();
    let mut sum = 0;
    while let Some(piece) = client.read_body_some() {
        sum += piece.len();
        if sum % (3 * MIB) < piece.len() {
            thread::sleep(Duration::from_millis(100));
        }
    }
    (sum, client.end().unwrap())
}

/// All of it arrives, although h2 buffers a part and the proxy another.
#[test]
fn an_answer_that_is_read_slowly_is_complete() {
    let upstream = of_any_size();
    let proxy = in_front_of(&upstream).start();
    for _ in 0..2 {
        let client = asked(&proxy, 12 * MIB);
        assert_eq!(read_slowly(client), (12 * MIB, End::Clean));
    }
}

/// Trailers, a reset stream and a closed connection are delivered after buffered data, and other requests are served
/// meanwhile.
#[test]
fn the_end_of_an_answer_is_delivered_after_all_of_its_data() {
    let most = Bytes::from(vec![b' '; 8 * MIB]);
    let upstream = MockUpstream::builder()
        .h2()
        .max_concurrent_streams(100)
        .handler(move |request| {
            let reply = Reply::bytes(200, "application/json", most.clone()).chunk_size(64 * 1024);
            let trailers = [("x-first", "some"), ("x-second", "more")];
            match request.text().as_str() {
                "trailers" => Reply::event_stream()
                    .data(most.clone())
                    .chunk_size(64 * 1024)
                    .trailers(&trailers),
                "reset" => reply.cut_after(7 * MIB as u64, CutKind::RstStream(2)),
                "fin" => reply.cut_after(7 * MIB as u64, CutKind::Fin),
                "{}" => Reply::bytes(200, "application/json", "{}"),
                _ => reply,
            }
        })
        .start();
    for (how, length, end) in [
        ("trailers", 8 * MIB, End::Clean),
        ("reset", 7 * MIB, End::Cut),
        ("fin", 7 * MIB, End::Cut),
    ] {
        let proxy = in_front_of(&upstream).args(["--threads", "1"]).start();
        read_fast(&proxy);
        let mut client = proxy.client().deadline(Duration::from_secs(60));
        client.post(RESPONSES, &[], how);
        client.read_head();
        // All of it is on its way, or here, unread.
        thread::sleep(Duration::from_millis(300));
        if how == "fin" {
            // A request that goes out just before the connection ends has no answer.
            upstream.wait_for_disconnects(upstream.connections());
        }
        for _ in 0..3 {
            assert_eq!(ask(&proxy).status, 200, "beside {how}");
        }
        let mut sum = 0;
        while let Some(piece) = client.read_body_some() {
            sum += piece.len();
        }
        assert_eq!((sum, client.end()), (length, Some(end)), "{how}");
    }
}

/// A frame of the first stream.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let [.., high, middle, low] = payload.len().to_be_bytes();
    [&[high, middle, low, kind, flags, 0, 0, 0, 1][..], payload].concat()
}

/// h2 ends a connection for the hundred and first of these in its life, with all answers on it.
#[test]
fn frames_without_data_do_not_end_a_connection() {
    // HEADERS with `:status: 200`, DATA, nothing many times, DATA, the end.
    let answer = [
        frame(1, 4, &[0x88]),
        frame(0, 0, b"data: 1\n\n"),
        frame(0, 0, b"").repeat(500),
        frame(0, 0, b"data: 2\n\n"),
        frame(0, 1, b""),
    ];
    let upstream = MockUpstream::h2(Reply::raw(answer.concat(), false));
    let proxy = in_front_of(&upstream).start();
    let answer = ask(&proxy);
    assert_eq!(
        (answer.status, answer.text().as_str(), answer.end),
        (200, "data: 1\n\ndata: 2\n\n", End::Clean)
    );
}

use super::*;
use crate::credential::locked::Room;

const KEY: &str = "sk-secret-key";

fn credential(url: &str) -> Credential {
    let url = UpstreamUrl::parse(url).unwrap();
    let key = LockedCredential::for_tests(KEY, Room::Key);
    Credential::fixed(key, &url).unwrap().0
}

async fn header(credential: Credential) -> HeaderValue {
    let authorization = credential.authorize(&PermittedCall::probe()).await;
    authorization.unwrap().into_value()
}

#[tokio::test]
async fn in_clear_it_is_the_key_and_over_tls_it_is_not() {
    let in_clear = header(credential("http://127.0.0.1/")).await;
    assert_eq!(in_clear, format!("Bearer {KEY}"));
    let over_tls = header(credential("https://example.com/")).await;
    assert_ne!(over_tls, in_clear);
    assert_eq!(over_tls.len(), in_clear.len());
}

/// A field that is indexed is in the other side's table, and later requests say only
/// where: the key would be in memory there, and `substitution` would find nothing to replace.
#[tokio::test]
async fn http_2_writes_it_out_each_time_and_never_indexes_it() {
    use tokio::io::AsyncReadExt;

    /// RFC 7541, section 6.2.3: never indexed, by a name of the static table, which for
    /// `authorization` is number 23.
    const NEVER_INDEXED: [u8; 2] = [0x1f, 23 - 15];

    let credential = credential("http://127.0.0.1/");
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    let (send, connection) = h2::client::handshake(ours).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut send = send.ready().await.unwrap();
    let mut answers = Vec::new();
    for _ in 0..3 {
        let mut request = http::Request::post("http://127.0.0.1/").body(()).unwrap();
        let value = header(credential).await;
        request
            .headers_mut()
            .insert(http::header::AUTHORIZATION, value);
        answers.push(send.send_request(request, true).unwrap());
    }
    let mut written = Vec::new();
    let key = LockedCredential::for_tests(KEY, Room::Key);
    let huffman = key.huffman();
    let len = huffman.len();
    // Until all three are there; the connection ends only with the other side's answers.
    let count = |written: &[u8]| {
        let fields = written.windows(len + 3);
        fields
            .filter(|field| field[..2] == NEVER_INDEXED && &field[3..] == huffman)
            .count()
    };
    while count(&written) < 3 {
        assert_ne!(theirs.read_buf(&mut written).await.unwrap(), 0);
    }
    connection.abort();
    let all = written.windows(len).filter(|part| part == &huffman).count();
    assert_eq!((count(&written), all), (3, 3));
}

/// Every character that a token may have, and the longest token: what h2 writes is what `substitution` looks for.
#[tokio::test]
async fn http_2_writes_a_token_as_it_is_coded_here() {
    use tokio::io::AsyncReadExt;

    let characters = (0..=u8::MAX).filter(|&byte| alphabet::is_token_byte(byte));
    let all: String = characters.map(char::from).collect();
    for token in [all, "~".repeat(locked::LONGEST_TOKEN)] {
        let token = LockedCredential::for_tests(&token, Room::Token);
        let value = HeaderValue::from_bytes(token.header()).unwrap();
        let (ours, mut theirs) = tokio::io::duplex(1024 * 1024);
        let (send, connection) = h2::client::handshake(ours).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut send = send.ready().await.unwrap();
        let mut request = http::Request::post("http://127.0.0.1/").body(()).unwrap();
        request
            .headers_mut()
            .insert(http::header::AUTHORIZATION, value);
        let _answer = send.send_request(request, true).unwrap();
        let mut written = Vec::new();
        let form = token.huffman();
        let is_there = |written: &[u8]| written.windows(form.len()).any(|part| part == form);
        while !is_there(&written) {
            assert_ne!(theirs.read_buf(&mut written).await.unwrap(), 0);
        }
        connection.abort();
    }
}

#[tokio::test]
async fn it_shows_nothing_of_itself() {
    let credential = credential("http://127.0.0.1/");
    assert_eq!(format!("{credential:?}"), "Credential");
    assert_eq!(format!("{:?}", header(credential).await), "Sensitive");
}

//! A header value as HTTP/2 writes it, taken from what the h2 crate really writes.

use bytes::Bytes;
use http::Request;
use tokio::io::AsyncReadExt;

/// What opens an HTTP/2 connection (RFC 9113, section 3.4).
const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
const FRAME_HEADER: usize = 9;
const HEADERS: u8 = 1;

/// The form of `Bearer <key>` on an HTTP/2 connection, without the scheme.
pub(crate) fn coded(key: &[u8]) -> Vec<u8> {
    let value = [b"Bearer ", key].concat();
    let mut block = header_block(&value);
    // The value is the last thing in the block, behind its own length (RFC 7541, section 5.2).
    let at = (0..block.len())
        .find(|&at| length_at(&block[at..]) == Some(block.len() - at))
        .expect("a coded string at the end of the block");
    let prefix = block.len() - at - string_length(&block[at..]);
    // `Bearer ` is five bytes long in this code.
    block.drain(..at + prefix + 5);
    block
}

/// The size of the coded string that begins here, its length prefix included.
fn length_at(bytes: &[u8]) -> Option<usize> {
    let first = *bytes.first()?;
    if first & 0x80 == 0 || bytes.len() < 8 {
        return None;
    }
    Some(string_length(bytes) + prefix_length(bytes))
}

fn prefix_length(bytes: &[u8]) -> usize {
    if bytes[0] & 0x7f < 0x7f {
        return 1;
    }
    2 + bytes[1..]
        .iter()
        .take_while(|&&byte| byte & 0x80 != 0)
        .count()
}

fn string_length(bytes: &[u8]) -> usize {
    let low = usize::from(bytes[0] & 0x7f);
    if low < 0x7f {
        return low;
    }
    let more = bytes[1..prefix_length(bytes)].iter().enumerate();
    low + more
        .map(|(n, &byte)| usize::from(byte & 0x7f) << (7 * n))
        .sum::<usize>()
}

/// The payload of the HEADERS frame of a request whose only header is `value`.
fn header_block(value: &[u8]) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (ours, mut wire) = tokio::io::duplex(64 * 1024);
        let (mut send, connection) = h2::client::Builder::new()
            .handshake::<_, Bytes>(ours)
            .await
            .expect("an in-memory connection");
        let mut header = http::HeaderValue::from_bytes(value).expect("a header value");
        header.set_sensitive(true);
        let request = Request::post("https://x/")
            .header("authorization", header)
            .body(())
            .expect("a request");
        let _response = send
            .send_request(request, true)
            .expect("an open connection");
        let connection = tokio::spawn(connection);
        let mut preface = [0; PREFACE];
        wire.read_exact(&mut preface).await.expect("a preface");
        loop {
            let mut header = [0; FRAME_HEADER];
            wire.read_exact(&mut header).await.expect("a frame");
            let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
            let mut payload = vec![0; usize::try_from(length).expect("a length")];
            wire.read_exact(&mut payload).await.expect("a payload");
            if header[3] == HEADERS {
                connection.abort();
                return payload;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    /// RFC 7541, appendix C.4.2 has `no-cache` as a8eb10649cbf, C.6.1 `302` as 6402.
    #[test]
    fn it_is_the_code_of_the_rfc() {
        assert_eq!(
            super::coded(b"no-cache"),
            [0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]
        );
        assert_eq!(super::coded(b"302"), [0x64, 0x02]);
    }

    #[test]
    fn long_values_have_a_longer_prefix() {
        assert_eq!(super::coded(&[b'0'; 800]), vec![0; 500]);
    }
}

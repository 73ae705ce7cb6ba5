//! The token that says who this workload is, from where the platform gives it.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Method};
use zeroize::{Zeroize, Zeroizing};

use crate::config::workload::SubjectSource;
use crate::credential::workload::TIMEOUT;
use crate::credential::workload::error::{ExchangeError, Fault, Step};
use crate::credential::workload::http_call::{Reply, Server};
use crate::credential::workload::reply::{copy_token, read_member};
use crate::credential::workload::token_bytes::{AreTokens, LONGEST_WORD};

/// How long a metadata service may take: it is on the machine or beside it.
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);

/// What Google's metadata server marks its replies with, so that nobody takes another server for it.
const METADATA_FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");
const METADATA: HeaderName = HeaderName::from_static("metadata");
const GOOGLE: &str = "Google";

/// Gets the token and writes it to the beginning of `into`; returns its length.
///
/// # Errors
///
/// The [`ExchangeError`] of this step.
pub(super) async fn get(
    source: &SubjectSource,
    server: Option<&Server>,
    request_token: &[u8],
    into: &mut [u8],
) -> Result<usize, ExchangeError> {
    let Some(server) = server else {
        return match source {
            SubjectSource::File(path) => {
                read_file(path, into).map_err(|fault| ExchangeError::of_file(path, fault))
            }
            _ => Err(ExchangeError::new(
                Step::of(source),
                String::new(),
                Fault::Request,
            )),
        };
    };
    let tokens = AreTokens(&[request_token], LONGEST_WORD);
    let get = |header, limit| server.call(Method::GET, [header], Bytes::new(), limit, &tokens);
    let written = match source {
        SubjectSource::GitHub(_) => {
            let bearer = bearer(request_token).ok_or_else(|| server.error(Fault::Request))?;
            let reply = get((AUTHORIZATION, bearer), TIMEOUT).await?;
            read_member(&reply.body, "value", into)
        }
        SubjectSource::Azure(_) => {
            let header = (METADATA, HeaderValue::from_static("true"));
            let reply = get(header, METADATA_TIMEOUT).await?;
            read_member(&reply.body, "access_token", into)
        }
        SubjectSource::Google(_) => {
            let header = (METADATA_FLAVOR, HeaderValue::from_static(GOOGLE));
            let reply = get(header, METADATA_TIMEOUT).await?;
            read_google(&reply, into)
        }
        SubjectSource::File(_) => Err(Fault::Request),
    };
    written.map_err(|fault| server.error(fault))
}

/// The field's value, in a buffer that is wiped.
fn bearer(token: &[u8]) -> Option<HeaderValue> {
    const SCHEME: &[u8] = b"Bearer ";
    let mut text = Zeroizing::new(Vec::with_capacity(SCHEME.len() + token.len()));
    text.extend_from_slice(SCHEME);
    text.extend_from_slice(token);
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text)).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn read_google(reply: &Reply, into: &mut [u8]) -> Result<usize, Fault> {
    let flavor = reply.headers.get(METADATA_FLAVOR);
    if flavor.is_none_or(|flavor| flavor != GOOGLE) {
        return Err(Fault::NotGoogle);
    }
    copy_token("the identity token", reply.body.trim_ascii(), into)
}

/// Reads all of a file straight into `into`, where the token then stands at the beginning.
fn read_file(path: &Path, into: &mut [u8]) -> Result<usize, Fault> {
    const NAME: &str = "the token in it";
    let fault = |error: io::Error| Fault::File(error.to_string());
    let mut options = OpenOptions::new();
    options.read(true);
    // A FIFO would be waited for.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        libc::O_NONBLOCK | libc::O_NOCTTY,
    );
    let mut file = options.open(path).map_err(fault)?;
    if !file.metadata().map_err(fault)?.is_file() {
        return Err(Fault::File("it is not a regular file".to_owned()));
    }
    let mut filled = 0;
    loop {
        let room = into.get_mut(filled..).unwrap_or_default();
        if room.is_empty() {
            return Err(Fault::Malformed(NAME, "is longer than 8 KiB"));
        }
        match file.read(room) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(fault(error)),
        }
    }
    let text = into.get(..filled).unwrap_or_default();
    let start = filled - text.trim_ascii_start().len();
    let len = text.trim_ascii().len();
    into.copy_within(start..start + len, 0);
    into.get_mut(len..filled).unwrap_or_default().zeroize();
    crate::credential::workload::reply::check_token(NAME, into.get(..len).unwrap_or_default())?;
    Ok(len)
}

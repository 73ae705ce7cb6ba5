//! The way to the server and back: one request, its timeouts, and what may be tried again.

pub(crate) mod error;
pub(crate) mod http_client;
pub(crate) mod redact;
pub(crate) mod retry;

use std::error::Error;
use std::io;
use std::time::Duration;

use codex_deadline::Deadline;
use codex_outbound::http_proxy::host_that_reqwest_finds;
use codex_server_info::ProxyProcess;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use reqwest::{Request, Response, Url};

use crate::config::headers::is_harmless;
use crate::config::provider::Provider;
use crate::events::server_error::{ServerError, read_error};
use crate::terminal::printable::excerpt;
use crate::transport::error::{Fault, root};
use crate::transport::http_client::{ClientError, http_client};
use crate::transport::redact::Redactor;
use crate::transport::retry::retry_after;

/// How long the body of an error may take in all.
const ERROR_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of an answer that is an error is read, in bytes.
const MAX_ERROR: usize = 64 << 10;
/// How much of an error that is not JSON is shown, in characters.
const MAX_EXCERPT: usize = 300;

/// A client for one provider.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    template: Request,
    /// For messages: the address without its query, which may hold a secret.
    name: String,
    idle_timeout: Duration,
    is_local: bool,
    proxy_process: Option<ProxyProcess>,
    redactor: Redactor,
}

impl Client {
    /// Loads what is needed. Nothing connects yet.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub(crate) fn new(provider: &Provider) -> Result<Self, ClientError> {
        let http = http_client(provider)?;
        let mut template = Request::new(Method::POST, provider.url.clone());
        *template.headers_mut() = provider.headers.clone();
        let fields = template.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        fields.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        Ok(Self {
            http,
            template,
            name: match &provider.socket {
                Some(path) => format!("the Unix socket {}", path.display()),
                None => without_query(&provider.url),
            },
            idle_timeout: provider.idle_timeout,
            is_local: provider.is_on_this_host(),
            proxy_process: provider.proxy_process.clone(),
            redactor: redactor(provider),
        })
    }

    /// Knows what a server must not repeat.
    pub(crate) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Sends a request once and waits for the head of an answer that is an event stream.
    ///
    /// # Errors
    ///
    /// The [`Fault`].
    pub(crate) async fn send(&self, body: Vec<u8>) -> Result<Response, Fault> {
        let mut request = Request::new(Method::POST, self.template.url().clone());
        request.headers_mut().clone_from(self.template.headers());
        *request.body_mut() = Some(body.into());
        if let Some(process) = &self.proxy_process {
            // Each time: a conversation may outlive its proxy.
            process.verify().map_err(Fault::Gone)?;
        }
        let answer = Deadline::after(self.idle_timeout)
            .before(self.http.execute(request))
            .await
            .ok_or(Fault::Idle(self.idle_timeout))?
            .map_err(|error| self.not_sent(error))?;
        let status = answer.status();
        if status.is_redirection() {
            return Err(Fault::Redirect {
                from: self.name.clone(),
                to: self.place_of(&answer),
            });
        }
        if !status.is_success() {
            return Err(self.refused(answer).await);
        }
        if matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT) {
            return Err(Fault::NoContent {
                from: self.name.clone(),
                status,
            });
        }
        if let Some(encoding) = self.field(&answer, CONTENT_ENCODING)
            && !encoding.eq_ignore_ascii_case("identity")
        {
            return Err(Fault::Encoded {
                from: self.name.clone(),
                encoding,
            });
        }
        match self.field(&answer, CONTENT_TYPE) {
            // A server that does not say may still mean it; the stream will tell.
            Some(kind) if !kind.to_ascii_lowercase().starts_with("text/event-stream") => {
                Err(self.no_events(answer, kind).await)
            }
            _ => Ok(answer),
        }
    }

    /// A field of an answer, as far as it is shown.
    fn field(&self, answer: &Response, name: HeaderName) -> Option<String> {
        let value = answer.headers().get(name)?;
        let value = String::from_utf8_lossy(value.as_bytes());
        Some(excerpt(&self.redactor.clean(&value), MAX_EXCERPT))
    }

    /// Why no answer began.
    fn not_sent(&self, error: reqwest::Error) -> Fault {
        let error = error.without_url();
        let is_passing = !is_final(&error);
        Fault::Send {
            to: self.name.clone(),
            cause: self.redactor.clean(&root(&error)).into_owned(),
            hint: if is_passing && error.is_connect() {
                self.hint()
            } else {
                None
            },
            is_passing,
        }
    }

    /// What may be the matter with the way.
    fn hint(&self) -> Option<String> {
        if self.is_local {
            return Some("is the proxy, or the server, still running there?".to_owned());
        }
        let host = host_that_reqwest_finds(self.template.url())?;
        Some(format!(
            "the way there is by the proxy {host}, which HTTPS_PROXY or the like names"
        ))
    }

    /// A success that is not an event stream. Some servers put an error into one.
    async fn no_events(&self, answer: Response, content_type: String) -> Fault {
        let status = answer.status();
        if content_type.to_ascii_lowercase().contains("json") {
            let body = self.read_error_body(answer).await;
            if let Some(error) = error_in(&body) {
                return Fault::Status {
                    from: self.name.clone(),
                    status,
                    error,
                    retry_after: None,
                };
            }
        }
        Fault::NotEvents {
            from: self.name.clone(),
            content_type,
        }
    }

    /// Where a redirect leads, without what may be secret in it.
    fn place_of(&self, answer: &Response) -> String {
        let location = answer.headers().get(LOCATION);
        location
            .and_then(|value| value.to_str().ok())
            .and_then(|to| self.template.url().join(to).ok())
            .map_or_else(
                || "an unknown place".to_owned(),
                |to| excerpt(&self.redactor.clean(&without_query(&to)), MAX_EXCERPT),
            )
    }

    async fn refused(&self, answer: Response) -> Fault {
        let status = answer.status();
        let asked = answer.headers().get(RETRY_AFTER);
        let asked = asked.and_then(|value| retry_after(value.to_str().ok()?));
        let body = self.read_error_body(answer).await;
        Fault::Status {
            from: self.name.clone(),
            status,
            error: error_in(&body).unwrap_or_else(|| ServerError {
                message: Some(excerpt(&body, MAX_EXCERPT)).filter(|text| !text.is_empty()),
                ..ServerError::default()
            }),
            retry_after: asked,
        }
    }

    /// The beginning of a body, as far as it comes in time: what cannot be read of an error does
    /// not hide the error.
    async fn read_error_body(&self, mut answer: Response) -> String {
        let mut deadline = Deadline::after(ERROR_TIMEOUT.min(self.idle_timeout));
        let mut body = Vec::new();
        while let Some(Ok(Some(piece))) = deadline.before(answer.chunk()).await {
            let room = MAX_ERROR - body.len();
            body.extend_from_slice(piece.get(..room).unwrap_or(&piece));
            if body.len() == MAX_ERROR {
                break;
            }
        }
        let body = String::from_utf8_lossy(&body);
        self.redactor.clean(&body).into_owned()
    }
}

/// Knows what goes along with every request and is nobody else's business.
fn redactor(provider: &Provider) -> Redactor {
    let secret = |name: &HeaderName| !is_harmless(name.as_str());
    let fields = provider.headers.iter().filter(|(name, _)| secret(name));
    let fields = fields.map(|(_, value)| value.as_bytes());
    // What is shorter is a version more often than a key.
    let params = provider.url.query_pairs().map(|(_, value)| value);
    let params: Vec<_> = params.filter(|value| value.len() >= 16).collect();
    Redactor::new(fields.chain(params.iter().map(|value| value.as_bytes())))
}

/// What a body says went wrong, if it says so in the form of the API.
fn error_in(body: &str) -> Option<ServerError> {
    let error = read_error(body).ok();
    error.filter(|error| *error != ServerError::default())
}

/// Whether the same would happen again: the certificate is not valid, or what answers there does not
/// speak HTTP.
fn is_final(error: &reqwest::Error) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if error.is::<rustls::Error>() {
            return true;
        }
        if let Some(http) = error.downcast_ref::<hyper::Error>()
            && http.is_parse()
        {
            return true;
        }
        // An I/O error passes over what it wraps when it is asked for its source.
        next = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    false
}

fn without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Neither fails where there is a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_named_without_what_may_be_secret() {
        let url = Url::parse("https://me:pw@host/v1/responses?api-key=secret#x").unwrap();
        assert_eq!(without_query(&url), "https://host/v1/responses");
    }
}

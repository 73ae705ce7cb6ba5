//! The way to the server and back: one request, its timeouts, and what may be tried again.

pub(crate) mod error;
pub(crate) mod http_client;
mod models;
pub(crate) mod redact;
pub(crate) mod retry;

use std::error::Error;
use std::io;
use std::time::Duration;

use codex_deadline::Deadline;
use codex_outbound::http_proxy::host_that_reqwest_finds;
use codex_server_info::ProxyProcess;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use reqwest::{Request, Response};

use crate::config::address::without_query;
use crate::config::provider::Provider;
use crate::events::server_error::{ServerError, read_error};
use crate::terminal::printable::excerpt;
use crate::transport::error::{Fault, root};
use crate::transport::http_client::{ClientError, http_client};
use crate::transport::redact::Redactor;
use crate::transport::retry::{asked_in, should_retry};

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
            name: provider.place(),
            idle_timeout: provider.idle_timeout,
            is_local: provider.is_on_this_host(),
            proxy_process: provider.proxy_process.clone(),
            redactor: Redactor::new(
                provider
                    .secrets
                    .iter()
                    .map(|secret| secret.expose().as_bytes()),
            ),
        })
    }

    /// Knows what a server must not repeat.
    pub(crate) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Sends a request once and waits for the head of an answer that has content. What it is labelled is not
    /// believed here: the bytes will tell.
    ///
    /// # Errors
    ///
    /// The [`Fault`].
    pub(crate) async fn send(&self, body: Vec<u8>) -> Result<Response, Fault> {
        let mut request = Request::new(Method::POST, self.template.url().clone());
        request.headers_mut().clone_from(self.template.headers());
        *request.body_mut() = Some(body.into());
        self.execute(request).await
    }

    async fn execute(&self, request: Request) -> Result<Response, Fault> {
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
        Ok(answer)
    }

    /// Whether an answer is labelled as an event stream, or not at all.
    pub(crate) fn is_labelled_events(&self, answer: &Response) -> bool {
        self.field(answer, CONTENT_TYPE)
            .is_none_or(|kind| kind.to_ascii_lowercase().starts_with("text/event-stream"))
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

    /// A success that is no answer, nor says in the form of the API what went wrong.
    pub(crate) fn not_an_answer(&self, answer: &Response, body: &str) -> Fault {
        let from = self.name.clone();
        match error_in(body) {
            Some(mut error) => {
                error.redact(&self.redactor);
                Fault::Status {
                    from,
                    status: answer.status(),
                    error,
                    retry_after: None,
                    should_retry: None,
                }
            }
            None => Fault::NotEvents {
                from,
                content_type: self
                    .field(answer, CONTENT_TYPE)
                    .unwrap_or_else(|| "something".to_owned()),
            },
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
        let fields = answer.headers();
        let (retry_after, should_retry) = (asked_in(fields), should_retry(fields));
        let body = self.read_error_body(answer).await;
        let error = match error_in(&body) {
            Some(mut error) => {
                error.redact(&self.redactor);
                error
            }
            None => ServerError {
                message: Some(excerpt(&self.redactor.clean(&body), MAX_EXCERPT))
                    .filter(|text| !text.is_empty()),
                ..ServerError::default()
            },
        };
        Fault::Status {
            from: self.name.clone(),
            status,
            error,
            retry_after,
            should_retry,
        }
    }

    /// The beginning of a body, as far as it comes in time: what cannot be read of an error does
    /// not hide the error.
    async fn read_error_body(&self, answer: Response) -> String {
        self.read_body(answer, MAX_ERROR).await
    }

    async fn read_body(&self, mut answer: Response, most: usize) -> String {
        let mut deadline = Deadline::after(ERROR_TIMEOUT.min(self.idle_timeout));
        let mut body = Vec::new();
        while let Some(Ok(Some(piece))) = deadline.before(answer.chunk()).await {
            let room = most - body.len();
            body.extend_from_slice(piece.get(..room).unwrap_or(&piece));
            if body.len() == most {
                break;
            }
        }
        String::from_utf8_lossy(&body).into_owned()
    }
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

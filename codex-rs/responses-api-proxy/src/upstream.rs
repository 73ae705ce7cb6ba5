//! The one upstream: sends it a request, and waits for its answer to begin.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use reqwest::Request;
use rustls::crypto::CryptoProvider;

use crate::config::UpstreamUrl;
use crate::lanes::{Lanes, Seat};
use crate::route::{ClientMaker, Hop, Route, UpstreamSetupError};
use crate::upload::{Progress, Upload};
use crate::upstream_fault::UpstreamFault;

/// The upstream and the way to it.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    lanes: Lanes,
    url: UpstreamUrl,
    /// How long it may take to begin an answer.
    patience: Duration,
    route: Arc<Route>,
    maker: Arc<ClientMaker>,
}

impl Upstream {
    /// Loads the certificate authorities and builds the clients. Nothing connects yet.
    ///
    /// `provider` does the encryption, and by it unseals the credential.
    ///
    /// # Errors
    ///
    /// [`UpstreamSetupError`]: no authorities, or a proxy that cannot be used.
    pub(crate) fn new(
        url: UpstreamUrl,
        patience: Duration,
        provider: CryptoProvider,
    ) -> Result<Self, UpstreamSetupError> {
        let (route, maker) = Route::to(&url, provider)?;
        let maker = Arc::new(maker);
        Ok(Self {
            lanes: lanes(&maker)?,
            url,
            patience,
            route: Arc::new(route),
            maker,
        })
    }

    /// The same upstream, by connections of its own: those of one runtime are of no
    /// use in another.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new), which the same parts did not give before.
    pub(crate) fn another(&self) -> Result<Self, UpstreamSetupError> {
        Ok(Self {
            lanes: lanes(&self.maker)?,
            ..self.clone()
        })
    }

    pub(crate) fn url(&self) -> &reqwest::Url {
        self.url.url()
    }

    /// Whether this is where we ourselves listen.
    pub(crate) fn is_ourselves(&self, port: u16) -> bool {
        // We listen on that address alone; others of this host may be somebody else.
        let is_here = matches!(self.url().host_str(), Some("127.0.0.1" | "localhost"));
        is_here && self.url().port_or_known_default() == Some(port)
    }

    pub(crate) fn first_hop(&self) -> Hop {
        self.route.first_hop
    }

    /// Sends one request and waits for the head of its answer.
    ///
    /// The time allowed runs anew as long as the request body makes progress: a
    /// slow upload is the caller's, not the upstream's, silence.
    ///
    /// # Errors
    ///
    /// The [`UpstreamFault`]; the request is cancelled then.
    pub(crate) async fn send(
        &self,
        headers: HeaderMap,
        body: Upload,
    ) -> Result<(reqwest::Response, Seat), UpstreamFault> {
        let progress = body.progress();
        let mut request = Request::new(Method::POST, self.url.url().clone());
        *request.headers_mut() = headers;
        let answer = async {
            let (client, seat, departure) = self.lanes.take().await;
            *request.body_mut() = Some(reqwest::Body::wrap(body.leaving_by(departure)));
            let answer = client.execute(request).await?;
            self.lanes.note(answer.version());
            Ok((answer, seat))
        };
        in_time(answer, self.patience, &progress)
            .await
            .ok_or(UpstreamFault::Timeout(self.patience))?
            .map_err(|error: reqwest::Error| UpstreamFault::from_error(&error))
    }
}

impl fmt::Display for Upstream {
    /// Where requests go and how, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.url.url())?;
        if let Some((count, source)) = &self.route.roots {
            write!(f, ", TLS checked against {count} authorities from {source}")?;
        }
        if let Some(proxy) = &self.route.proxy {
            write!(f, ", through the proxy {proxy}")?;
        }
        if self.url.is_clear() {
            f.write_str(", in clear on this host")?;
        }
        Ok(())
    }
}

fn lanes(maker: &Arc<ClientMaker>) -> Result<Lanes, UpstreamSetupError> {
    let maker = Arc::clone(maker);
    Lanes::new(move || maker.client()).map_err(UpstreamSetupError::Client)
}

/// `None` when `limit` passes without an answer and without progress.
async fn in_time<T>(
    answer: impl Future<Output = T>,
    limit: Duration,
    progress: &Progress,
) -> Option<T> {
    let mut answer = std::pin::pin!(answer);
    loop {
        let before = progress.made();
        match tokio::time::timeout(limit, &mut answer).await {
            Ok(answer) => return Some(answer),
            Err(_) if progress.made() != before => {}
            Err(_) => return None,
        }
    }
}

//! The models that a provider says it serves.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method};
use reqwest::Request;
use serde::Deserialize;

use crate::config::address::without_query;
use crate::terminal::printable::{MAX_NAME, excerpt};
use crate::transport::Client;
use crate::transport::error::Fault;

/// The longest list that is read, in bytes.
const MAX_LIST: usize = 8 << 20;

/// OpenAI's list, or that of Codex's own server. A server for both sends both.
#[derive(Deserialize)]
struct List {
    data: Option<Vec<Model>>,
    models: Option<Vec<Model>>,
}

#[derive(Deserialize)]
struct Model {
    #[serde(alias = "slug")]
    id: String,
}

impl Client {
    /// Asks for the list once: `GET base_url/models`.
    ///
    /// # Errors
    ///
    /// The [`Fault`]; many servers have no such list.
    pub(crate) async fn models(&self) -> Result<Vec<String>, Fault> {
        let mut url = self.template.url().clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop().push("models");
        }
        // What goes wrong is said of where it was asked for, unless that is a Unix socket.
        let place = if self.name == without_query(self.template.url()) {
            without_query(&url)
        } else {
            self.name.clone()
        };
        let mut request = Request::new(Method::GET, url);
        let fields = request.headers_mut();
        fields.clone_from(self.template.headers());
        fields.remove(CONTENT_TYPE);
        fields.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let answer = match self.execute(request).await {
            Ok(answer) => answer,
            Err(fault) => return Err(fault.said_of(place)),
        };
        let body = self.read_body(answer, MAX_LIST).await;
        let listed = serde_json::from_str(&body).ok();
        let Some(models) = listed.and_then(|List { data, models }| data.or(models)) else {
            return Err(Fault::NotModels { from: place });
        };
        let name = |model: Model| excerpt(&self.redactor.clean(&model.id), MAX_NAME);
        Ok(models.into_iter().map(name).collect())
    }
}

//! The models that a provider says it serves.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method};
use reqwest::Request;
use serde::Deserialize;

use crate::terminal::printable::{MAX_NAME, excerpt};
use crate::transport::Client;
use crate::transport::error::Fault;

/// The longest list that is read, in bytes.
const MAX_LIST: usize = 8 << 20;

/// OpenAI's list, or that of Codex's own server.
#[derive(Deserialize)]
struct List {
    #[serde(alias = "models")]
    data: Vec<Model>,
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
        let mut request = Request::new(Method::GET, url);
        let fields = request.headers_mut();
        fields.clone_from(self.template.headers());
        fields.remove(CONTENT_TYPE);
        fields.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let answer = self.execute(request).await?;
        let not_a_list = self.not_an_answer(&answer, "");
        let body = self.read_body(answer, MAX_LIST).await;
        let Ok(List { data }) = serde_json::from_str(&body) else {
            return Err(not_a_list);
        };
        let name = |model: Model| excerpt(&self.redactor.clean(&model.id), MAX_NAME);
        Ok(data.into_iter().map(name).collect())
    }
}

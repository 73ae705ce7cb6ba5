//! What a request says of itself that rules are about.

/// The members of a request's body that rules are about. A member that is `null` is as one that is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Of the body, decoded, in bytes.
    pub bytes: u64,
    /// The model that is asked for.
    pub model: Option<String>,
    /// The most tokens of output that are asked for.
    pub max_output_tokens: Option<u64>,
    /// The service tier that is asked for.
    pub service_tier: Option<String>,
    /// Whether the answer is to come event by event.
    pub stream: bool,
    /// Whether a response is asked for that goes on while nobody listens.
    pub background: bool,
    /// Whether the response is to be stored; the API stores what does not say.
    pub store: Option<bool>,
    /// Whether it goes on from a stored response, whose size is not known here.
    pub previous_response_id: bool,
    /// Whether it goes on from a stored conversation.
    pub conversation: bool,
    /// Whether it is made of a stored prompt, which can have a model and tools of its own.
    pub prompt: bool,
    /// The types of tools, each once, in the order of the body; also those of tools inside a tool.
    pub tools: Vec<String>,
}

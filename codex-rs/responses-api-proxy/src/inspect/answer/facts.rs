//! What an answer says of itself.

/// What was learned from an answer; from one that was cut, what it had said so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AnswerFacts {
    /// The model that answered, as the upstream names it; 1 to 256 bytes, like every text here. Any of them can hold
    /// control characters.
    pub(crate) model: Option<Box<str>>,
    /// `resp_...`.
    pub(crate) response_id: Option<Box<str>>,
    /// The tier that the request was served in, which prices depend on; only from a final event or a whole document.
    pub(crate) service_tier: Option<Box<str>>,
    /// Absent if the upstream did not say, or could not be understood.
    pub(crate) usage: Option<TokenCounts>,
    /// The upstream said something that could not be understood, and `usage` may be absent for that.
    pub(crate) usage_unreadable: bool,
    /// How the upstream says that the response ended.
    pub(crate) end: Option<FinalEvent>,
    /// The code of an error (its type, if it has no code), or why the response is incomplete.
    pub(crate) error_type: Option<Box<str>>,
    /// There was another final event after the one that counts.
    pub(crate) second_final: bool,
    /// Events that hold a piece of output. The API sends about one for each token of visible output.
    pub(crate) deltas: u64,
    /// It is not a stream of events, and ended before it was whole, or is encoded so that nothing can be read from it. The
    /// upstream had made all of it when its first byte came.
    pub(crate) is_cut_document: bool,
}

/// Tokens, as the upstream counts them. The counts are not checked against each other: an upstream can say that more
/// tokens were cached than there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TokenCounts {
    /// Includes those that were cached.
    pub(crate) input: u64,
    /// 0 if the upstream does not say.
    pub(crate) cached: u64,
    /// Those of the input that were written to the cache, for which some models charge more. 0 if the upstream does not
    /// say.
    pub(crate) cache_write: u64,
    /// Includes those of reasoning.
    pub(crate) output: u64,
    /// 0 if the upstream does not say.
    pub(crate) reasoning: u64,
}

/// The event that ends a response, or the `status` of one that is not streamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FinalEvent {
    Completed,
    /// Cut by a limit or a filter; [`AnswerFacts::error_type`] says by which.
    Incomplete,
    Failed,
}

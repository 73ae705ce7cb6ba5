//! How a proxy is, as `status --json` prints it.
//!
//! Every field that a version does not say is as if it said nothing: a status is read also if it comes from an older or
//! a newer proxy.

use serde::{Deserialize, Serialize};

/// How a proxy is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Of the format, see [`VERSION`](crate::protocol::VERSION).
    pub v: u32,
    /// Whether it takes requests.
    pub state: State,
    /// Of the program.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it began to serve, RFC 3339 in UTC.
    pub started_at: String,
    /// For how long it has served, in seconds.
    pub uptime_seconds: f64,
    /// Where callers connect: `127.0.0.1:PORT`, `unix:/PATH`.
    pub listening: Vec<String>,
    /// Where metrics are read, if they are.
    pub metrics: Option<String>,
    /// Where requests go.
    pub upstream: Upstream,
    /// What is in force, in the words of the start-up lines.
    pub protections: Vec<String>,
    /// What the start-up lines warned of.
    pub warnings: Vec<String>,
    /// What requests go up with.
    pub credential: Credential,
    /// How many there were, and how they came out.
    pub requests: Requests,
    /// Of all answers that said what they used.
    pub tokens: Tokens,
    /// Of all that has a price, in US dollars; `None` if nothing has.
    pub cost_usd: Option<f64>,
    /// Some of it is an estimate.
    pub cost_is_estimated: bool,
    /// Of callers.
    pub connections: Connections,
    /// Who has called, or is connected; those who spent most first.
    pub callers: Vec<Caller>,
    /// Limits of the policy; `None` without one.
    pub budgets: Option<Vec<Budget>>,
    /// The server that hosts share, where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<SharedLedger>,
    /// Requests in flight, the oldest first; `None` if they were not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streams: Option<Vec<Stream>>,
    /// Requests in flight that are not among them, because they are too many.
    #[serde(skip_serializing_if = "is_zero")]
    pub streams_left_out: u64,
    /// What logs had to drop.
    pub dropped: Dropped,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How the server does that hosts share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SharedLedger {
    /// Where it is.
    pub address: String,
    /// Whether it has answered the last time.
    pub up: bool,
    /// How long ago it has last answered, in seconds.
    pub since_answer_seconds: f64,
    /// How often it has not.
    pub errors: u64,
    /// Why not, if it has not the last time.
    pub error: Option<String>,
    /// What is wrong with it though it answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Whether requests are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// They are.
    Serving,
    /// It ends, and what is in flight may finish.
    Draining,
    /// One that this version does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

/// Where requests go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Upstream {
    /// Its host, with a port that is not the usual one, or its socket.
    pub name: String,
    /// Requests are encrypted on the way.
    pub tls: bool,
    /// The way there, in the words of the start-up line.
    pub route: String,
    /// Connections to it, idle ones included.
    pub connections: u64,
    /// The last time that it failed.
    pub last_fault: Option<Fault>,
}

/// A fault of the upstream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fault {
    /// When the request was over, RFC 3339 in UTC.
    pub at: String,
    /// How long ago, in seconds.
    pub seconds_ago: f64,
    /// `upstream_failed` or `upstream_cut`.
    pub outcome: String,
    /// Such as `upstream_connect`.
    pub code: String,
    /// A sentence.
    pub cause: String,
}

/// What requests go up with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Credential {
    /// Where it comes from, such as `stdin`, `file`, `token_file`.
    pub kind: String,
    /// How many there have been; 1 for a key that stays.
    pub generation: u64,
    /// Whether there is one that may be used.
    pub available: bool,
    /// For how long the one in force has been so, in seconds.
    pub age_seconds: Option<f64>,
    /// How long it is good for, in seconds, if it expires.
    pub expires_in_seconds: Option<f64>,
    /// How often a new one could not be had.
    pub failures: u64,
}

/// How many requests there were.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Requests {
    /// Those that are over.
    pub finished: u64,
    /// Those that are not.
    pub in_flight: u64,
    /// The most there ever were at once.
    pub most_in_flight: u64,
    /// How they came out; the sum is [`finished`](Self::finished).
    pub outcomes: Vec<OutcomeCount>,
}

/// How many requests came out in one way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OutcomeCount {
    /// As in the access log, such as `complete`, `refused`.
    pub outcome: String,
    /// Of a refusal or a fault, such as `path_not_allowed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// How many.
    pub count: u64,
}

/// Tokens as the upstream counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokens {
    /// With those that were cached.
    pub input: u64,
    /// Of these, from the upstream's cache.
    pub cached: u64,
    /// With those of reasoning.
    pub output: u64,
    /// Of these, not shown to the caller.
    pub reasoning: u64,
}

/// Connections of callers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Connections {
    /// How many there are.
    pub open: u64,
    /// How many there can be.
    pub slots: u64,
    /// Idle ones that were closed to make room for others.
    pub evicted: u64,
}

/// One caller: a user, and where tokens are asked for, the holder of one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Caller {
    /// As logs have it: `alice`, `alice/ci`, `1001`; `-` of nobody that is known.
    pub name: String,
    /// The user, if the kernel says.
    pub uid: Option<u32>,
    /// The name of its client token.
    pub token: Option<String>,
    /// Connections of this user, with whatever token.
    pub connections: u64,
    /// Requests in flight.
    pub in_flight: u64,
    /// Tokens of output a second, of answers in flight, as a mean since each began.
    pub tokens_per_second: f64,
    /// Requests that are over.
    pub requests: u64,
    /// Of these, refused by the proxy.
    pub refused: u64,
    /// Of requests that are over.
    pub tokens: Tokens,
    /// Of requests that are over and have a price, in US dollars.
    pub cost_usd: Option<f64>,
}

/// One limit of the policy, in requests, tokens or US dollars.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Budget {
    /// As `budget show` and metrics have it, such as `total`, `user:1001`.
    pub account: String,
    /// `requests`, `tokens` or `usd`.
    pub measure: String,
    /// In which time, such as `day`, `24h`, `process`.
    pub per: String,
    /// The most that may be spent.
    pub limit: f64,
    /// What is spent.
    pub spent: f64,
    /// What is reserved besides for requests in flight.
    pub reserved: f64,
    /// What is left: never less than 0.
    pub remaining: f64,
    /// When nothing of it will be spent any more, in seconds from now; `None` if never.
    pub resets_in_seconds: Option<f64>,
}

/// One request in flight.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stream {
    /// As in logs and in the header `x-codex-proxy-request-id`.
    pub id: String,
    /// As [`Caller::name`].
    pub caller: String,
    /// What the request asks for, as far as it was read.
    pub model: Option<String>,
    /// How far it has come.
    pub phase: Phase,
    /// Since its head was read, in seconds.
    pub age_seconds: f64,
    /// Of output so far, as deltas: about one each.
    pub tokens: u64,
    /// A second, since the first one.
    pub tokens_per_second: f64,
    /// Of its body, sent upstream so far.
    pub request_bytes: u64,
    /// Of its answer's body so far.
    pub response_bytes: u64,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The upstream has not begun to answer.
    #[default]
    Waiting,
    /// It has, and no output has come.
    Answering,
    /// Output comes.
    Streaming,
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What logs had to drop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dropped {
    /// Whole records, which are in no log and in no figure here.
    pub records: u64,
    /// Lines of the access log.
    pub access_log: u64,
    /// Lines on standard error.
    pub stderr: u64,
}

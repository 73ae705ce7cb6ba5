//! Where the client's requests go, and with which credential. `codex` settles its configuration itself and says here
//! what it came to: that is done in one place.

use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::finding::Finding;
use crate::key_shape::{Holds, holds};

/// How long a listener on this host may take to accept.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

const CONFIG: &str = "client.config";
const PROVIDER: &str = "client.provider";
const CREDENTIAL: &str = "client.credential";
const STORED: &str = "client.files";

/// More is not a file of a login, in bytes.
const MOST_OF_AUTH: u64 = 1 << 20;

/// What the client's configuration comes to.
#[derive(Clone, Debug)]
pub struct ClientFacts {
    /// The files that were read, the weakest first.
    pub files: Vec<PathBuf>,
    /// Where `config.toml` is, or would be.
    pub home: Option<PathBuf>,
    /// The keys of these files that hold an API key, by the looks of it: their names.
    pub keys_in_files: Vec<String>,
    /// The provider in force, or why there is none.
    pub provider: Result<ProviderFacts, String>,
    /// Whether there is none only because nothing is configured, and no key is set.
    pub is_unconfigured: bool,
}

/// The provider in force.
#[derive(Clone, Debug)]
pub struct ProviderFacts {
    /// Its name in `config.toml`.
    pub id: String,
    /// Where requests go, without anything secret.
    pub place: String,
    /// Whether that is on this host.
    pub is_on_this_host: bool,
    /// The addresses to be tried, where it is a port of this host.
    pub addresses: Vec<SocketAddr>,
    /// Whether the proxy that a server-info file names is the one that listens there; `None` without such a file.
    pub proxy: Option<Result<(), String>>,
    /// The variables whose values are sent along as credentials.
    pub key_variables: Vec<String>,
}

/// What is to be said of it; without `facts`, that this program does not read that configuration.
pub(crate) fn findings(facts: Option<&ClientFacts>) -> Vec<Finding> {
    let Some(facts) = facts else {
        return vec![Finding::unknown(
            CONFIG,
            "not looked at: this program has no client",
            "a client that does not go through the proxy needs the key itself",
            "codex doctor",
        )];
    };
    let mut findings = in_force(facts);
    findings.push(files_with_keys(facts));
    findings
}

/// Of the provider in force.
fn in_force(facts: &ClientFacts) -> Vec<Finding> {
    match &facts.provider {
        Ok(provider) => vec![files(facts), goes_to(provider), credential(provider)],
        Err(error) if facts.is_unconfigured => vec![
            files(facts),
            Finding::warning(
                PROVIDER,
                error.clone(),
                "the client of this user is not set up to go through the proxy",
                CONFIGURE,
            ),
        ],
        Err(error) => vec![Finding::failed(
            CONFIG,
            error.clone(),
            "the client cannot make a request with it",
            "codex config show",
        )],
    }
}

fn files(facts: &ClientFacts) -> Finding {
    let names: Vec<String> = facts
        .files
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let found = if names.is_empty() {
        "there is no config.toml".to_owned()
    } else {
        format!("{} can be read and used", names.join(", "))
    };
    Finding::ok(CONFIG, found, "it says where requests go")
}

fn goes_to(provider: &ProviderFacts) -> Finding {
    let ProviderFacts { id, place, .. } = provider;
    let found = format!("{id:?}, requests go to {place}");
    if !provider.is_on_this_host {
        return Finding::failed(
            PROVIDER,
            found,
            "that is not on this host: the client needs a key of its own to call it",
            CONFIGURE,
        );
    }
    let why = "requests go through the proxy, which adds the key";
    match &provider.proxy {
        Some(Ok(())) => Finding::ok(PROVIDER, format!("{found}, where the proxy listens"), why),
        Some(Err(gone)) => Finding::failed(PROVIDER, format!("{found}; {gone}"), why, START),
        None => match connect(&provider.addresses) {
            Ok(()) => Finding::ok(PROVIDER, format!("{found}, where somebody listens"), why),
            Err(error) => Finding::failed(
                PROVIDER,
                format!("{found}, and nobody answers there ({error})"),
                why,
                START,
            ),
        },
    }
}

const CONFIGURE: &str = "set model_provider = \"local-proxy\" in config.toml, and CODEX_PROXY_SERVER_INFO to the proxy's file";
const START: &str = "start the proxy: codex responses-api-proxy --server-info FILE";

fn connect(addresses: &[SocketAddr]) -> Result<(), String> {
    let mut last = "it names no port".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(address, CONNECT_TIMEOUT) {
            Ok(_) => return Ok(()),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

const KNOWS: &str = "the proxy knows the key; a client that has it too can lose it";

fn credential(provider: &ProviderFacts) -> Finding {
    let why = KNOWS;
    let has_key = |name: &&String| {
        std::env::var_os(name)
            .is_some_and(|value| holds(b"OPENAI_API_KEY", value.as_encoded_bytes()) == Holds::Key)
    };
    match provider.key_variables.iter().find(has_key) {
        Some(name) => Finding::failed(
            CREDENTIAL,
            format!("the provider sends what {name} holds, and that looks like an API key"),
            why,
            format!("unset {name}; env_key is for a client token of the proxy"),
        ),
        None if provider.key_variables.is_empty() => {
            Finding::ok(CREDENTIAL, "no variable of the environment is sent", why)
        }
        None => Finding::ok(
            CREDENTIAL,
            format!(
                "{} is sent, and is not an API key by its looks",
                provider.key_variables.join(", ")
            ),
            why,
        ),
    }
}

/// `config.toml`, and `auth.json` beside it, where `codex login --with-api-key` of OpenAI's Codex CLI puts a key.
fn files_with_keys(facts: &ClientFacts) -> Finding {
    if let Some(name) = facts.keys_in_files.first() {
        return Finding::failed(
            STORED,
            format!("{name} in a configuration file looks like an API key"),
            KNOWS,
            format!("remove {name}, and renew the key"),
        );
    }
    let auth = facts.home.as_ref().map(|home| home.join("auth.json"));
    match auth.as_deref().map(|path| (path, key_in_auth_file(path))) {
        Some((path, Ok(true))) => Finding::failed(
            STORED,
            format!("{} has an API key in it", path.display()),
            KNOWS,
            format!("rm {}, and renew the key", path.display()),
        ),
        Some((path, Err(error))) => Finding::unknown(
            STORED,
            format!("{}: {error}", path.display()),
            KNOWS,
            "look whether OPENAI_API_KEY is in it",
        ),
        Some((_, Ok(false))) | None => {
            Finding::ok(STORED, "no file of the client has an API key in it", KNOWS)
        }
    }
}

/// What is of interest in `auth.json`.
#[derive(Deserialize)]
struct Auth {
    #[serde(rename = "OPENAI_API_KEY")]
    key: Option<String>,
}

/// # Errors
///
/// The file cannot be read; that it is not there is not an error.
fn key_in_auth_file(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        // To open a pipe would wait for whoever writes to it.
        Ok(found) if !found.is_file() => return Err(io::ErrorKind::InvalidInput.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        found => found?,
    };
    let mut text = Vec::new();
    let file = File::open(path)?;
    file.take(MOST_OF_AUTH).read_to_end(&mut text)?;
    let auth: Auth = serde_json::from_slice(&text).map_err(|_| io::ErrorKind::InvalidData)?;
    let key = auth.key.unwrap_or_default();
    Ok(holds(b"OPENAI_API_KEY", key.as_bytes()) == Holds::Key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_the_file_of_a_login_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth.json");
        assert!(!key_in_auth_file(&path).unwrap());
        for (content, has_key) in [
            (
                r#"{"OPENAI_API_KEY":"sk-0123456789abcdefghij"}"#,
                Some(true),
            ),
            (r#"{"OPENAI_API_KEY":null,"tokens":{}}"#, Some(false)),
            (r#"{"tokens":{}}"#, Some(false)),
            ("{", None),
        ] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(key_in_auth_file(&path).ok(), has_key, "{content}");
        }
    }
}

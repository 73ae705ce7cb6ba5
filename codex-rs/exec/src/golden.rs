//! Every message of ours, as it is printed: `exec/golden/messages.txt`. With `UPDATE_GOLDEN=1` it is written anew.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::StatusCode;
use uuid::Uuid;

use crate::command::mistyped;
use crate::config::ConfigError;
use crate::config::error::Fault as ConfigFault;
use crate::config::headers::CredentialError;
use crate::config::provider::ProviderError;
use crate::config::schema::SchemaError;
use crate::events::Event;
use crate::events::answer::AnswerError;
use crate::events::server_error::ServerError;
use crate::events::stream::TooLarge;
use crate::prompt::error::PromptError;
use crate::sessions::{SessionError, Store};
use crate::transport::error::Fault;
use crate::transport::http_client::ClientError;

fn file() -> PathBuf {
    "FILE".into()
}

fn cause() -> io::Error {
    io::Error::from_raw_os_error(2)
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn answers() -> Vec<String> {
    let failed = ServerError {
        code: Some(text("rate_limit_exceeded")),
        kind: None,
        message: Some(text("Slow down.")),
    };
    let errors = [
        AnswerError::Failed(failed),
        AnswerError::Failed(ServerError::default()),
        AnswerError::Cancelled,
        AnswerError::Incomplete(Some(text("max_output_tokens"))),
        AnswerError::Incomplete(None),
        AnswerError::Empty(Some(text("shell"))),
        AnswerError::Empty(None),
        AnswerError::TooLong,
        AnswerError::TooManyParts,
        AnswerError::Mixed,
    ];
    let mut said: Vec<String> = errors.iter().map(ToString::to_string).collect();
    for data in ["ping", r#"{"type":"response.output_text.delta"}"#] {
        said.push(Event::parse(data).unwrap_err().to_string());
    }
    said
}

fn faults() -> Vec<String> {
    let status = |status: u16, retry_after| Fault::Status {
        from: text("URL"),
        status: StatusCode::from_u16(status).unwrap(),
        error: ServerError {
            message: Some(text("No.")),
            ..ServerError::default()
        },
        retry_after,
        should_retry: None,
    };
    let send = |hint: Option<&str>| Fault::Send {
        to: text("URL"),
        cause: text("Connection refused (os error 111)"),
        hint: hint.map(str::to_owned),
        is_passing: true,
    };
    let faults = [
        send(None),
        send(Some("is the proxy, or the server, still running there?")),
        status(401, None),
        status(429, Some(Duration::from_secs(3600))),
        Fault::Redirect {
            from: text("URL"),
            to: text("URL-2"),
        },
        Fault::NotEvents {
            from: text("URL"),
            content_type: text("text/html"),
        },
        Fault::NotModels { from: text("URL") },
        Fault::Encoded {
            from: text("URL"),
            encoding: text("gzip"),
        },
        Fault::NoContent {
            from: text("URL"),
            status: StatusCode::NO_CONTENT,
        },
        Fault::Cut(text("the stream ended before response.completed")),
        Fault::Idle(Duration::from_secs(300)),
        Fault::TooLarge(TooLarge::Event),
        Fault::TooLarge(TooLarge::Answer),
        Fault::Output(cause()),
    ];
    faults.iter().map(ToString::to_string).collect()
}

fn prompts() -> Vec<String> {
    let errors = [
        PromptError::Nothing,
        PromptError::Empty,
        PromptError::Stdin(cause()),
        PromptError::StdinTooLong,
        PromptError::StdinNotText,
        PromptError::LooksLikeKey("the prompt"),
        PromptError::Unread(file(), cause()),
        PromptError::FileTooLarge(file()),
        PromptError::FileNotText(file()),
        PromptError::ImageTooLarge(file()),
        PromptError::NotAnImage(file()),
    ];
    errors.iter().map(ToString::to_string).collect()
}

fn configurations() -> Vec<String> {
    let fault = || ConfigFault {
        line: 3,
        key: Some(text("model")),
        what: text("expected a string, found a whole number"),
    };
    let credential = |instructions: Option<&str>| {
        let not_set = CredentialError::NotSet {
            variables: vec![text("KEY")],
            instructions: instructions.map(str::to_owned),
        };
        ConfigError::Provider(ProviderError::Credential(text("ID"), not_set))
    };
    let provider = ConfigError::Provider;
    let errors = [
        ConfigError::HomeMissing(file()),
        ConfigError::Io(file(), cause()),
        ConfigError::File(file(), fault()),
        ConfigError::Override(text("-c model"), fault()),
        ConfigError::NoKey(text("-c a b")),
        ConfigError::NoProfile(text("NAME"), Some(file())),
        ConfigError::NoProfile(text("NAME"), None),
        ConfigError::BadProfileName(text("../NAME")),
        ConfigError::TwoProfiles(text("NAME"), file()),
        ConfigError::NotADirectory(file()),
        ConfigError::UnknownKey(text("FILE: foo is not a known key")),
        provider(ProviderError::Unknown(text("ID"), vec![text("openai")])),
        provider(ProviderError::NoBaseUrl(text("ID"))),
        provider(ProviderError::NoProxyNamed),
        credential(None),
        credential(Some("see the wiki")),
        provider(ProviderError::Credential(
            text("ID"),
            CredentialError::NotAHeaderValue(text("KEY")),
        )),
        provider(ProviderError::InClear(text("ID"), text("http://host"))),
        provider(ProviderError::AuthCommand(text("ID"))),
        provider(ProviderError::Reserved),
    ];
    let mut said: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let not_json = serde_json::from_str::<()>("{").unwrap_err();
    for error in [
        SchemaError::Io(file(), cause()),
        SchemaError::TooLarge(file()),
        SchemaError::NotJson(file(), not_json),
        SchemaError::NotASchema(file(), text("it is not")),
    ] {
        said.push(error.to_string());
    }
    said.push(ClientError::Setup(text("it is not")).to_string());
    said.extend(["login", "exce"].into_iter().filter_map(mistyped::hint));
    said.push(mistyped::no_such("hello"));
    said.extend(mistyped::of_exec("review"));
    said
}

fn sessions() -> Vec<String> {
    let store = || Store::new(Some(Path::new("/home")), "ID", Some(Path::new("/"))).unwrap();
    let id = Uuid::nil();
    let errors = [
        SessionError::NoHome,
        SessionError::NotAnId(text("name")),
        SessionError::NotFound(id),
        SessionError::NoneYet(store(), true),
        SessionError::NoneYet(store(), false),
        SessionError::InUse(id),
        SessionError::CannotLock(id, cause()),
        SessionError::Unreadable(file(), cause()),
        SessionError::NotASession(file()),
        SessionError::TooLarge(file()),
    ];
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn every_message_is_as_it_was_agreed() {
    let parts = [
        ("Answers", answers()),
        ("The way to the server", faults()),
        ("Questions", prompts()),
        ("Configuration and command lines", configurations()),
        ("Sessions", sessions()),
    ];
    let part = |(title, said): &(&str, Vec<String>)| format!("# {title}\n\n{}\n", said.join("\n"));
    let found = parts.iter().map(part).collect::<Vec<_>>().join("\n");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/messages.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let agreed = std::fs::read_to_string(&path).unwrap();
    assert_eq!(found, agreed, "UPDATE_GOLDEN=1 writes it anew");
}

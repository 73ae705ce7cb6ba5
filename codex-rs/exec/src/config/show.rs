//! `codex config show`: what counts, and where it comes from.

use std::fmt::Write;

use toml::{Table, Value};

use crate::config::args::Common;
use crate::config::headers::is_secret_by_name;
use crate::config::keys::OURS;
use crate::config::layer::Environment;
use crate::config::overrides::{ConfigOverride, quoted};
use crate::config::sources::Sources;
use crate::config::{Config, ConfigError, DEFAULT_MODEL};

/// What is shown of a secret.
const HIDDEN: &str = "(hidden)";

/// Every key that is set or has a value built in, as TOML, with its source behind it. Secrets are hidden.
///
/// # Errors
///
/// [`ConfigError`]: a source cannot be read, or they come to nothing that works.
pub(crate) fn show(
    args: &Common,
    overrides: &[ConfigOverride],
    environment: Environment<'_>,
) -> Result<String, ConfigError> {
    let sources = Sources::read(args, overrides, environment)?;
    let mut rows: Vec<(String, String, String)> = Vec::new();
    for source in &sources.all {
        let mut found = Vec::new();
        flatten("", &source.keys, &mut found);
        for (key, value) in found {
            rows.retain(|(other, ..)| *other != key);
            rows.push((key, value, source.name.clone()));
        }
    }
    let config = Config::settle(args, sources, environment)?;
    let built_in = "built in";
    if !rows.iter().any(|(key, ..)| key == "model") {
        let model = quoted(DEFAULT_MODEL);
        rows.push(("model".to_owned(), model, built_in.to_owned()));
    }
    let chosen = quoted(&config.provider.id);
    rows.retain(|(key, value, _)| key != "model_provider" || *value == chosen);
    if !rows.iter().any(|(key, ..)| key == "model_provider") {
        let source = if args.server_info.is_some() {
            "--server-info"
        } else if environment("CODEX_PROXY_SERVER_INFO").is_some() && chosen.contains("local-proxy")
        {
            "CODEX_PROXY_SERVER_INFO"
        } else {
            built_in
        };
        rows.push(("model_provider".to_owned(), chosen, source.to_owned()));
    }
    rows.sort();
    let mut shown = String::new();
    for (key, value, source) in rows {
        let _ = writeln!(shown, "{key} = {value}  # {source}");
    }
    let provider = &config.provider;
    let _ = writeln!(shown, "# requests go to {}", provider.place());
    for note in &config.notes {
        let _ = writeln!(shown, "# {note}");
    }
    Ok(shown)
}

/// The keys of ours in a table, dotted, with their values as TOML.
fn flatten(above: &str, table: &Table, into: &mut Vec<(String, String)>) {
    for (key, value) in table {
        if above.is_empty() && key != "model_providers" && !OURS.contains(&key.as_str()) {
            continue;
        }
        let quoted = if key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        {
            key.clone()
        } else {
            quoted(key)
        };
        let dotted = format!("{above}{quoted}");
        match value {
            Value::Table(below) => flatten(&format!("{dotted}."), below, into),
            _ if is_secret(above, key) => into.push((dotted, HIDDEN.to_owned())),
            _ => into.push((dotted, as_toml(value))),
        }
    }
}

fn as_toml(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(is_so) => is_so.to_string(),
        Value::Datetime(time) => time.to_string(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(as_toml).collect();
            format!("[{}]", items.join(", "))
        }
        // Tables in arrays, which none of our keys has.
        Value::Table(_) => "{}".to_owned(),
    }
}

fn is_secret(above: &str, key: &str) -> bool {
    let is_field = above.ends_with(".http_headers.") || above.ends_with(".query_params.");
    key == "experimental_bearer_token" || is_field && is_secret_by_name(key)
}

use super::*;

fn fault(document: &str) -> (usize, String) {
    let fault = Layer::parse(document).unwrap_err();
    (fault.line, fault.to_string())
}

#[test]
fn a_fault_has_its_line_and_key() {
    for (document, line, says) in [
        (
            "a = 1\nmodel = 3\n",
            2,
            "model: expected a string, found a whole number; quotes make a string of it, as in 'model=\"4.1\"'",
        ),
        (
            "model = 2026-01-02",
            1,
            "model: expected a string, found a date or time; quotes make a string of it, as in 'model=\"4.1\"'",
        ),
        (
            "model = ' '",
            1,
            "model: it is empty; leave it out for none",
        ),
        (
            "[model_providers.p]\nrequest_max_retries = -1",
            2,
            "model_providers.p.request_max_retries: expected a whole number, 0 or more, found a negative number",
        ),
        (
            "[model_providers.p]\nrequest_max_retries = 5000000000",
            2,
            "model_providers.p.request_max_retries: expected a whole number, 0 or more, found one that is too large",
        ),
        (
            "[model_providers.p]\nenv_key = ''",
            2,
            "model_providers.p.env_key: it is empty; leave it out for none",
        ),
        (
            "[model_providers.p]\nhttp_headers = { Content-Length = '3' }",
            2,
            "model_providers.p.http_headers.Content-Length: this header field is the connection's own and cannot be set",
        ),
        (
            "[model_providers.p]\nname = 'x'\n\nstream_idle_timeout_ms = 'soon'",
            4,
            "model_providers.p.stream_idle_timeout_ms: expected a whole number, 0 or more, found a string",
        ),
        (
            "[model_providers.p]\nwire_api = 'chat'",
            2,
            "model_providers.p.wire_api: only wire_api = \"responses\" is spoken here, as in Codex",
        ),
        (
            "model_providers.p = { base_url = 'ftp://x' }",
            1,
            "model_providers.p.base_url: the URL has to begin with https:// or http://",
        ),
        (
            "\nmodel_providers.p.base_url = 'http://me:pw@x/v1'",
            2,
            "model_providers.p.base_url: the URL holds a user name or a password; use env_key for a credential",
        ),
        (
            "[profiles.x]\nmodel = []",
            2,
            "profiles.x.model: expected a string, found an array",
        ),
    ] {
        assert_eq!(fault(document), (line, says.to_owned()), "{document}");
    }
}

#[test]
fn a_document_that_is_no_toml_has_a_line() {
    let (line, says) = fault("a = 1\nmodel = = 3\n");
    assert_eq!(line, 2);
    assert!(!says.is_empty());
}

#[test]
fn a_fault_never_repeats_a_value() {
    for document in [
        "model_providers.p.http_headers = 'Bearer sk-secret'",
        "model_providers.p.http_headers.authorization = \"sk-secret\\u0001\"",
        "model_providers.p.experimental_bearer_token = ['sk-secret']",
        "model_providers.p.request_max_retries = 'sk-secret, expected u32'",
        "model_providers.p.base_url = 'sk-secret'",
    ] {
        let says = fault(document).1;
        assert!(!says.contains("sk-secret"), "{says}");
    }
}

#[test]
fn a_token_is_not_printed() {
    let token = "model_providers.p.experimental_bearer_token = 'sk-secret'";
    let layer = format!("{:?}", Layer::parse(token).unwrap());
    assert!(
        layer.contains("Secret(..)") && !layer.contains("sk-secret"),
        "{layer}"
    );
}

#[test]
fn unknown_keys_are_ignored() {
    let layer = Layer::parse(
        "approval_policy = 'never'\n[model_providers.p]\nrequires_openai_auth = true\n[tui]\nx = 1",
    );
    assert!(layer.unwrap().model_providers.contains_key("p"));
}

#[test]
fn a_layer_counts_over_the_one_below_key_by_key() {
    let mut layer = Layer::parse(
        "model = 'a'\nmodel_reasoning_effort = 'low'\n[model_providers.p]\nname = 'P'\nhttp_headers = { A = '1', b = '2' }",
    )
    .unwrap();
    let over = "model = 'b'\nmodel_providers.p.http_headers.a = '3'\nmodel_providers.q = {}";
    layer.overlay(Layer::parse(over).unwrap());
    assert_eq!(layer.model.as_deref(), Some("b"));
    assert_eq!(layer.model_reasoning_effort.as_deref(), Some("low"));
    let provider = &layer.model_providers["p"];
    assert_eq!(provider.name.as_deref(), Some("P"));
    let values: Vec<_> = provider
        .http_headers
        .values()
        .map(|value| value.0.to_str().unwrap())
        .collect();
    assert_eq!(values, ["3", "2"]);
    assert!(layer.model_providers.contains_key("q"));
}

use super::*;

use crate::observe::request_id::RequestIds;

#[test]
fn users_are_told_of_every_status_and_code() {
    let told = include_str!("../../../../docs/operating.md");
    for reason in Reason::ALL {
        let Row { status, code, .. } = reason.row();
        let row = format!("| {} | `{code}` |", status.as_u16());
        assert!(told.contains(&row), "docs/operating.md has no row {row}");
    }
    let rows = told.lines().filter(|line| {
        let cells: Vec<&str> = line.split(" | ").collect();
        matches!(cells[..], [status, code, ..] if status.len() == 5 && code.starts_with('`'))
    });
    for row in rows {
        let is_of = |reason: &Reason| row.contains(&format!("| `{}` |", reason.code()));
        assert!(Reason::ALL.iter().any(is_of), "{row}");
    }
}

#[test]
fn why_explains_every_code() {
    for reason in Reason::ALL {
        let code = reason.code();
        assert!(codex_doctor::Explanation::of_code(code).is_some(), "{code}");
    }
}

#[test]
fn the_body_has_openai_s_four_fields() {
    let body: serde_json::Value =
        serde_json::from_slice(&Refusal::body_too_large(7).body()).unwrap();
    assert_eq!(
        body,
        serde_json::json!({"error": {
            "message": "the request body is larger than 7 bytes, the limit set by --max-body",
            "type": "invalid_request_error",
            "param": null,
            "code": "body_too_large",
        }})
    );
}

#[test]
fn a_long_target_is_cut_and_an_odd_one_stays_json() {
    let uri: Uri = format!("/{}", "a".repeat(5000)).parse().unwrap();
    let refusal = Refusal::path(&Method::GET, &uri);
    let target = refusal.message.split(' ').nth(1).unwrap();
    assert_eq!(target.len(), TARGET_SHOWN + 3);
    let uri: Uri = "/\"\\<x>".parse().unwrap_or_default();
    let body = Refusal::path(&Method::GET, &uri).body();
    assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
}

#[test]
fn the_raw_form_is_one_complete_http_answer() {
    let id = RequestIds::new().id(7);
    let refusal = Refusal::from(Reason::ShuttingDown);
    let raw = refusal.http1(id, refusal.body());
    let text = String::from_utf8(raw).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
    assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
    assert!(head.contains(&format!("x-codex-proxy-request-id: {id}\r\n")));
    assert!(head.contains("\r\nx-should-retry: true\r\n"));
    assert!(head.ends_with("\r\nretry-after: 1"));
}

#[test]
fn every_refusal_says_whether_to_try_again_in_both_forms() {
    for &reason in Reason::ALL {
        let retry = reason.row().retry;
        let refusal = Refusal::from(reason).after(7);
        let raw = refusal.http1(RequestIds::new().id(7), refusal.body());
        let raw = String::from_utf8(raw).unwrap();
        let answer = Refusal::from(reason).after(7).into_response();
        let expected = if retry == Retry::Never {
            "false"
        } else {
            "true"
        };
        assert_eq!(answer.headers()["x-should-retry"], expected);
        assert!(raw.contains(&format!("\r\nx-should-retry: {expected}\r\n")));
        let is_later = retry == Retry::Later;
        assert_eq!(
            answer
                .headers()
                .get("retry-after")
                .is_some_and(|value| value == "7"),
            is_later
        );
        assert_eq!(raw.contains("\r\nretry-after: 7\r\n"), is_later);
    }
}

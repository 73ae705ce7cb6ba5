//! The entries for what reads answers and requests as they pass by.

use crate::credential::substitution::fuzzing::{cut, split_control};
use crate::inspect::answer::facts::AnswerFacts;
use crate::inspect::answer::{AnswerForm, AnswerMeter};
use crate::inspect::request::RequestModel;

/// However an answer is cut, it says the same; and every text it says is short.
pub fn meter(data: &[u8]) {
    let (control, body) = split_control(data);
    for form in [AnswerForm::EventStream, AnswerForm::Json] {
        let whole = metered(form, body, &[]);
        assert_eq!(whole, metered(form, body, control));
        assert!(!(whole.usage.is_some() && whole.usage_unreadable));
        for text in [
            whole.model,
            whole.response_id,
            whole.service_tier,
            whole.error_type,
        ] {
            assert!(text.is_none_or(|text| (1..=256).contains(&text.len())));
        }
    }
}

fn metered(form: AnswerForm, body: &[u8], control: &[u8]) -> AnswerFacts {
    let mut meter = AnswerMeter::new(form);
    for (piece, _) in cut(body, control) {
        meter.push(piece);
    }
    meter.finish()
}

/// However a request is cut, it asks for the same model, and the one that a parser of the whole finds.
pub fn request_model(data: &[u8]) {
    let (control, body) = split_control(data);
    let found = |control: &[u8]| {
        let mut request = RequestModel::new();
        for (piece, _) in cut(body, control) {
            request.push(piece);
        }
        request.model().map(str::to_owned)
    };
    let model = found(&[]);
    assert_eq!(model, found(control));
    // Not where a name is there twice, in which ours is the first.
    let is_once =
        !body.contains(&b'\\') && body.windows(7).filter(|part| part == b"\"model\"").count() == 1;
    if let Ok(serde_json::Value::Object(body)) = serde_json::from_slice(body)
        && let Some(model) = model
        && is_once
    {
        assert_eq!(body["model"], *model);
    }
}

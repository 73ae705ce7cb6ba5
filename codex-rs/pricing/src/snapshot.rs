//! Names of dated snapshots of a model.

/// The model of which this names a dated snapshot, as in `gpt-5-2025-08-07`.
pub(crate) fn without_date(model: &str) -> Option<&str> {
    const DATE: &[u8] = b"-0000-00-00";
    let (model, date) = model.split_at_checked(model.len().checked_sub(DATE.len())?)?;
    let is_date = date.bytes().zip(DATE).all(|(byte, like)| match like {
        b'0' => byte.is_ascii_digit(),
        _ => byte == *like,
    });
    is_date.then_some(model)
}

#[cfg(test)]
mod tests {
    use super::without_date;

    #[test]
    fn a_snapshot_is_a_model_with_a_date() {
        let cases = [
            ("gpt-5-2025-08-07", Some("gpt-5")),
            ("my model-2026-01-01", Some("my model")),
            ("gpt-5-2025-08-07-2025-08-08", Some("gpt-5-2025-08-07")),
            ("gpt-5", None),
            ("gpt-5-20250807", None),
            ("gpt-5-2025-08-0x", None),
            ("gpt-5_2025-08-07", None),
            ("gpt-5-2025-08-07x", None),
            ("", None),
            // Cut within a character.
            ("é2025-08-07", None),
        ];
        for (name, model) in cases {
            assert_eq!(without_date(name), model, "{name}");
        }
    }
}

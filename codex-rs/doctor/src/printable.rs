//! Text from elsewhere, as it may be shown on a terminal.

/// Names of processes, files and users, and lines of logs, may have anything in them: control characters are shown as
/// they are escaped.
pub(crate) fn one_line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

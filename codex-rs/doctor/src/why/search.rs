//! Finds the line of a request.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;

use memchr::memmem::Finder;
use serde::Deserialize;

use crate::why::lines::{Line, LinesFromEnd};

/// What was looked into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Searched {
    pub(super) logs: u64,
    pub(super) lines: u64,
    /// Lines that are cut, too long, or no JSON objects.
    pub(super) skipped: u64,
}

impl fmt::Display for Searched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            logs,
            lines,
            skipped,
        } = self;
        write!(
            f,
            "logs looked into: {logs}; lines: {lines}, of which {skipped} are cut or not JSON"
        )
    }
}

/// What a request is known by.
#[derive(Deserialize)]
struct Ids<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default, rename = "openai.request_id")]
    upstream: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "gen_ai.response.id")]
    response: Option<Cow<'a, str>>,
}

/// The newest line that has this request.
///
/// # Errors
///
/// Those of reading the file.
pub(super) fn search(
    log: &Path,
    request: &str,
    searched: &mut Searched,
) -> io::Result<Option<String>> {
    let mut lines = LinesFromEnd::of(File::open(log)?)?;
    let finder = Finder::new(request);
    searched.logs += 1;
    while let Some(line) = lines.next()? {
        searched.lines += 1;
        let bytes = match line {
            Line::Whole(bytes) if is_whole(&bytes) => bytes,
            _ => {
                searched.skipped += 1;
                continue;
            }
        };
        // Most lines are of others: they are not parsed.
        if finder.find(&bytes).is_none() {
            continue;
        }
        match serde_json::from_slice::<Ids<'_>>(&bytes) {
            Ok(ids) if ids.are_of(request) => {
                return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
            }
            Ok(_) => {}
            Err(_) => searched.skipped += 1,
        }
    }
    Ok(None)
}

/// Whether a line begins and ends as one of the log does.
fn is_whole(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    line.starts_with(b"{") && line.ends_with(b"}")
}

impl Ids<'_> {
    fn are_of(&self, request: &str) -> bool {
        let [upstream, response] = [&self.upstream, &self.response].map(|id| id.as_deref());
        self.id == request || upstream == Some(request) || response == Some(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(content: &str, request: &str) -> (Option<String>, Searched) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let mut searched = Searched::default();
        let found = search(file.path(), request, &mut searched).unwrap();
        (found, searched)
    }

    #[test]
    fn a_request_is_found_by_each_of_its_ids_and_by_no_other_field() {
        let line = r#"{"id":"00000000aa-1","message":"00000000aa-2","openai.request_id":"req_1","gen_ai.response.id":"resp_1"}"#;
        let content = format!("{{\"id\":\"00000000aa-11\"}}\n{line}\n");
        for id in ["00000000aa-1", "req_1", "resp_1"] {
            assert_eq!(find(&content, id).0.as_deref(), Some(line), "{id}");
        }
        for id in ["00000000aa-2", "00000000aa", "req_", "id", ""] {
            assert_eq!(find(&content, id).0, None, "{id}");
        }
    }

    #[test]
    fn lines_that_are_cut_or_not_json_are_skipped_and_counted() {
        let content = "{\"id\":\"00000000aa-1\"}\n\
                       {\"id\":\"00000000aa-1\",\"outc\n\
                       {\"id\":\"00000000aa-1\",}\n\
                       not JSON\n\
                       {\"id\":\"00000000aa-1\",\"x\"";
        let (found, searched) = find(content, "00000000aa-1");
        assert_eq!(found.as_deref(), Some("{\"id\":\"00000000aa-1\"}"));
        assert_eq!((searched.lines, searched.skipped), (5, 4));
    }
}

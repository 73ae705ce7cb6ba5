//! `why`: what became of one request, by its line in the access log (docs/access-log.schema.json).

pub(crate) mod codes;
pub(crate) mod explanation;
mod lines;
mod record;
mod search;

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::args::WhyArgs;
use crate::why::record::Record;
use crate::why::search::{Searched, search};

/// Where the packaged service has it.
const OF_SERVICE: &str = "/var/log/codex-proxy/access.log";

/// Why nothing can be said of a request.
#[derive(Debug)]
pub enum WhyError {
    /// There is no such log, or it cannot be read.
    Unread(PathBuf, io::Error),
    /// No line has that request.
    NotFound {
        /// What was looked for.
        request: String,
        /// Where, with what came of it.
        searched: String,
    },
    /// What was found cannot be printed.
    Print(io::Error),
}

impl fmt::Display for WhyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread(path, error) => {
                let path = path.display();
                write!(f, "the access log {path} cannot be read ({error}); ")?;
                if error.kind() == io::ErrorKind::PermissionDenied {
                    f.write_str("ask whoever runs the proxy, or use sudo")
                } else {
                    f.write_str("name the file that the proxy was started with: --access-log FILE")
                }
            }
            Self::NotFound { request, searched } => write!(
                f,
                "no line has the request {request} ({searched}); it may be in an older log that was compressed or \
                 removed, in that of another proxy, or still under way: its line is written at its end"
            ),
            Self::Print(error) => write!(f, "what was found cannot be printed ({error})"),
        }
    }
}

impl std::error::Error for WhyError {}

/// Finds a request in the access log and explains on standard output what became of it.
///
/// # Errors
///
/// [`WhyError`].
pub fn run_why(args: &WhyArgs) -> Result<ExitCode, WhyError> {
    let logs = match args.access_log.as_slice() {
        [] => vec![PathBuf::from(OF_SERVICE)],
        named => named.to_vec(),
    };
    let mut searched = Searched::default();
    for log in with_rotated(&logs) {
        let found = search(&log, &args.request_id, &mut searched);
        let found = found.map_err(|error| WhyError::Unread(log.clone(), error))?;
        if let Some(line) = found {
            let printed = print(&log, &line, &searched, args.json);
            return match printed {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    Err(WhyError::Print(error))
                }
                _ => Ok(ExitCode::SUCCESS),
            };
        }
    }
    Err(WhyError::NotFound {
        request: crate::printable::one_line(&args.request_id),
        searched: searched.to_string(),
    })
}

fn print(log: &Path, line: &str, searched: &Searched, as_json: bool) -> io::Result<()> {
    let record = Record::parse(line).ok_or(io::ErrorKind::InvalidData)?;
    let mut output = io::stdout().lock();
    if as_json {
        record.print_json(&mut output, line, log, searched.skipped)?;
    } else {
        record.print(&mut output)?;
        if searched.skipped > 0 {
            writeln!(output, "On the way there: {searched}.")?;
        }
    }
    output.flush()
}

/// Each log, and behind it its rotated ones, as logrotate(8) names them: the lower number is newer. None twice.
fn with_rotated(logs: &[PathBuf]) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = Vec::new();
    for log in logs {
        for one in [log.clone()].into_iter().chain(rotated(log)) {
            if !all.contains(&one) {
                all.push(one);
            }
        }
    }
    all
}

fn rotated(log: &Path) -> Vec<PathBuf> {
    let Some(name) = log.file_name().and_then(|name| name.to_str()) else {
        return Vec::new();
    };
    let directory = match log.parent() {
        Some(directory) if directory != Path::new("") => directory,
        _ => Path::new("."),
    };
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let number_of = |entry: std::fs::DirEntry| {
        let file = entry.file_name().into_string().ok()?;
        let number = file.strip_prefix(name)?.strip_prefix('.')?;
        number.parse::<u32>().ok()
    };
    let mut numbers: Vec<u32> = entries.flatten().filter_map(number_of).collect();
    numbers.sort_unstable();
    numbers
        .into_iter()
        .map(|number| log.with_file_name(format!("{name}.{number}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_logs_come_after_the_one_that_is_named_the_newer_ones_first() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in [
            "a.log",
            "a.log.10",
            "a.log.2",
            "a.log.1.gz",
            "a.log.x",
            "b.log.1",
        ] {
            std::fs::write(at(name), "").unwrap();
        }
        let expected = [at("a.log"), at("a.log.2"), at("a.log.10")];
        assert_eq!(with_rotated(&[at("a.log")]), expected);
        let all = with_rotated(&[at("a.log"), at("a.log.10"), at("a.log.2")]);
        assert_eq!(all, expected);
    }
}

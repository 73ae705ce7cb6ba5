//! What /proc says of a process (proc_pid_status(5), proc_pid_limits(5)).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};

use zeroize::Zeroizing;

use crate::key_shape::{Holds, holds};

/// The most that is read of an environment or of arguments, in bytes: `ARG_MAX` with room to spare.
const MOST: u64 = 8 * 1024 * 1024;

/// How much room is there from the beginning: memory that is given back while it grows would not be wiped.
const AT_ONCE: usize = 64 * 1024;

/// The lines of `/proc/PID/status`, by their names.
#[derive(Clone, Debug)]
pub(crate) struct Status(BTreeMap<String, String>);

impl Status {
    /// Of a process, or of a thread (`PID/task/TID`).
    pub(crate) fn of(process: &str) -> io::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{process}/status"))?;
        Ok(Self::parse(&text))
    }

    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        let lines = lines.map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        Self(lines.collect())
    }

    pub(crate) fn line(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn name(&self) -> &str {
        self.line("Name").unwrap_or("?")
    }

    /// Real, effective, saved and of files; empty where it is not said.
    pub(crate) fn users(&self) -> Vec<u32> {
        self.numbers("Uid")
    }

    /// The same of groups.
    pub(crate) fn groups(&self) -> Vec<u32> {
        self.numbers("Gid")
    }

    fn numbers(&self, name: &str) -> Vec<u32> {
        let line = self.line(name).unwrap_or_default();
        line.split_whitespace()
            .filter_map(|n| n.parse().ok())
            .collect()
    }

    pub(crate) fn parent(&self) -> Option<u32> {
        self.line("PPid")?.parse().ok()
    }
}

/// The soft and the hard limit on a line of `/proc/PID/limits`.
pub(crate) fn limit(pid: u32, name: &str) -> io::Result<Option<(String, String)>> {
    let text = fs::read_to_string(format!("/proc/{pid}/limits"))?;
    Ok(limit_in(&text, name))
}

fn limit_in(text: &str, name: &str) -> Option<(String, String)> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let mut values = line.split_whitespace().map(str::to_owned);
    Some((values.next()?, values.next()?))
}

/// Variables in the environment of a process that hold keys: their names, and how sure that is. What was read is
/// wiped.
pub(crate) fn keys_in_environment(process: &str) -> io::Result<Vec<(String, Holds)>> {
    let bytes = read_secret(&format!("/proc/{process}/environ"))?;
    Ok(keys_among(&bytes))
}

fn keys_among(environment: &[u8]) -> Vec<(String, Holds)> {
    let mut found = Vec::new();
    for variable in environment.split(|&byte| byte == 0) {
        let mut parts = variable.splitn(2, |&byte| byte == b'=');
        if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            match holds(name, value) {
                Holds::NoKey => {}
                kind => found.push((String::from_utf8_lossy(name).into_owned(), kind)),
            }
        }
    }
    found
}

/// Reads a file that may hold a key, into memory that is wiped.
pub(crate) fn read_secret(path: &str) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut input = File::open(path)?.take(MOST);
    let mut bytes = Zeroizing::new(Vec::with_capacity(AT_ONCE));
    let mut piece = Zeroizing::new([0_u8; 4096]);
    loop {
        let read = input.read(&mut piece[..])?;
        if read == 0 {
            return Ok(bytes);
        }
        if bytes.len() + read > bytes.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(bytes.capacity() * 2));
            larger.extend_from_slice(&bytes);
            bytes = larger;
        }
        bytes.extend_from_slice(piece.get(..read).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_status_are_found_by_their_names() {
        let status = Status::parse("Name:\tcat x\nPPid:\t7\nUid:\t1\t2\t3\t4\nSeccomp:\t2\n");
        assert_eq!(status.name(), "cat x");
        assert_eq!(status.parent(), Some(7));
        assert_eq!(status.users(), [1, 2, 3, 4]);
        assert_eq!(status.line("Seccomp"), Some("2"));
        assert_eq!(status.line("NoNewPrivs"), None);
        assert!(Status::of("self").is_ok());
    }

    #[test]
    fn a_limit_has_two_values() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max core file size        0                    unlimited            bytes     \n";
        let core = limit_in(text, "Max core file size").unwrap();
        assert_eq!(core, ("0".to_owned(), "unlimited".to_owned()));
        assert_eq!(limit_in(text, "Max nothing"), None);
    }

    #[test]
    fn variables_with_keys_are_named_and_their_values_are_not() {
        let environment = b"PATH=/bin\0OPENAI_API_KEY=sk-0123456789abcdefghij\0X=\0=\0\
            OTHER_API_KEY=0123456789012345678901234\0NOTHING";
        let found = keys_among(environment);
        assert_eq!(
            found,
            [
                ("OPENAI_API_KEY".to_owned(), Holds::Key),
                ("OTHER_API_KEY".to_owned(), Holds::MaybeKey),
            ]
        );
    }

    #[test]
    fn a_long_file_is_read_whole() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let long = vec![b'x'; 3 * AT_ONCE + 5];
        fs::write(file.path(), &long).unwrap();
        assert_eq!(*read_secret(file.path().to_str().unwrap()).unwrap(), long);
    }
}

//! Copies of the key that its way here has left with the processes that this one was started by.
//!
//! In `printenv KEY | env -u KEY proxy` nothing of the proxy holds the key but its page. The shell that waits
//! for it does, if it got the key by its own environment: until it ends, other processes of its user read
//! that in `/proc/PID/environ` (proc_pid_environ(5)), whatever is done here. Arguments are worse, because
//! every user can read them.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};

use zeroize::Zeroizing;

/// How far up is looked: a shell in a script in a service is three.
const GENERATIONS: usize = 32;

/// How much is read at a time, in bytes.
const PIECE: usize = 64 * 1024;

/// A process that keeps the key where others can read it.
#[derive(Debug)]
pub(crate) struct ExposedKey {
    pid: u32,
    name: String,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Environment,
    Arguments,
}

impl fmt::Display for ExposedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, name, place } = self;
        match place {
            Place::Environment => write!(
                f,
                "process {pid} ({name}), from which this one was started, keeps the key in its \
                 environment, where other processes of its user can read it (/proc/{pid}/environ); start \
                 the proxy in its place, by exec, or from a login that does not have the key"
            ),
            Place::Arguments => write!(
                f,
                "process {pid} ({name}), from which this one was started, has the key in its arguments, \
                 where every user can read it (ps); give the key another way, and a new one"
            ),
        }
    }
}

/// Who of those that this process was started by, and of those they were started by, keeps `key`. What may
/// not be looked at is passed over: whoever may, may read it.
pub(crate) fn processes_holding(key: &[u8]) -> Vec<ExposedKey> {
    let mut found = Vec::new();
    let Some((_, mut pid)) = status("self") else {
        return found;
    };
    for _ in 0..GENERATIONS {
        let Some((name, parent)) = status(&pid.to_string()) else {
            break;
        };
        for (file, place) in [
            ("environ", Place::Environment),
            ("cmdline", Place::Arguments),
        ] {
            let holds = File::open(format!("/proc/{pid}/{file}"))
                .and_then(|mut file| holds(&mut file, key));
            if matches!(holds, Ok(true)) {
                let name = name.clone();
                found.push(ExposedKey { pid, name, place });
            }
        }
        if parent == 0 {
            break;
        }
        pid = parent;
    }
    found
}

/// The name of a process, and its parent (proc_pid_status(5)).
fn status(pid: &str) -> Option<(String, u32)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let name = line("Name:")?.trim().to_owned();
    let parent = line("PPid:")?.trim().parse().ok()?;
    Some((name, parent))
}

/// Whether `input` has `key` in it, however it is cut. What was read is wiped.
fn holds(input: &mut impl Read, key: &[u8]) -> io::Result<bool> {
    if key.is_empty() {
        return Ok(false);
    }
    let mut piece = Zeroizing::new(vec![0; PIECE + key.len()]);
    let mut kept = 0;
    loop {
        let room = piece.get_mut(kept..).unwrap_or_default();
        let read = match input.read(room) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let filled = kept + read;
        let there = piece.get(..filled).unwrap_or_default();
        if there.windows(key.len()).any(|part| part == key) {
            return Ok(true);
        }
        if read == 0 {
            return Ok(false);
        }
        // What the key could have begun with.
        let keep = filled.min(key.len() - 1);
        piece.copy_within(filled - keep..filled, 0);
        kept = keep;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives out so many bytes at a time.
    struct Slowly<'a>(&'a [u8], usize);

    impl Read for Slowly<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(into.len());
            (&mut self.0).take(count as u64).read(into)
        }
    }

    #[test]
    fn the_key_is_found_however_it_is_cut() {
        let mut text = vec![b'x'; 2 * PIECE + 100];
        for at in [0, 1, PIECE - 3, PIECE, PIECE + 4, 2 * PIECE + 91] {
            let mut with = text.clone();
            with[at..at + 9].copy_from_slice(b"sk-secret");
            for step in [1000, 4096, usize::MAX] {
                let found = holds(&mut Slowly(&with, step), b"sk-secret").unwrap();
                assert!(found, "at {at} by {step}");
            }
        }
        text.extend(b"sk-secre");
        assert!(!holds(&mut Slowly(&text, 4096), b"sk-secret").unwrap());
        assert!(!holds(&mut Slowly(b"", 1), b"sk-secret").unwrap());
        assert!(!holds(&mut Slowly(b"x", 1), b"").unwrap());
    }
}

//! Keeps the dumps in a directory below a number of bytes: the oldest go first. Pure.

use std::collections::VecDeque;
use std::io;

use crate::dumps::name::DumpName;

/// More dumps are not kept, however small they are: each is remembered.
pub(super) const MOST_FILES: usize = 1 << 20;

/// Why there is no room.
#[derive(Debug)]
pub(super) enum NoRoom {
    /// Not even with all others removed.
    TooLarge,
    /// One that should go does not.
    Io(io::Error),
}

/// What is there.
#[derive(Debug)]
pub(super) struct Retention {
    limit: u64,
    most_files: usize,
    /// The oldest first.
    kept: VecDeque<(DumpName, u64)>,
    kept_bytes: u64,
    /// Of files that are not whole yet.
    unfinished_bytes: u64,
}

impl Retention {
    /// Of at most so many bytes, with what is there already.
    pub(super) fn new(limit: u64, mut found: Vec<(DumpName, u64)>) -> Self {
        found.sort_unstable();
        Self {
            limit,
            most_files: MOST_FILES,
            kept_bytes: found.iter().map(|(_, size)| size).sum(),
            kept: found.into(),
            unfinished_bytes: 0,
        }
    }

    /// The most that one file may take: a request that is dumped is not to push all others out, and then be too large
    /// itself.
    pub(super) fn most_of_one(&self) -> u64 {
        self.limit / 4
    }

    /// Makes room for so many bytes that are about to be written, by calling `remove` with what has to go.
    ///
    /// # Errors
    ///
    /// [`NoRoom`]; then nothing is to be written.
    pub(super) fn reserve(
        &mut self,
        bytes: u64,
        mut remove: impl FnMut(DumpName) -> io::Result<()>,
    ) -> Result<(), NoRoom> {
        while self.is_over(bytes) {
            let &(oldest, size) = self.kept.front().ok_or(NoRoom::TooLarge)?;
            match remove(oldest) {
                Ok(()) => {}
                // By somebody else.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(NoRoom::Io(error)),
            }
            self.kept.pop_front();
            self.kept_bytes -= size;
        }
        self.unfinished_bytes += bytes;
        Ok(())
    }

    fn is_over(&self, bytes: u64) -> bool {
        let all = self.kept_bytes + self.unfinished_bytes;
        all.saturating_add(bytes) > self.limit || self.kept.len() >= self.most_files
    }

    /// So many bytes of a file that is not whole are no more.
    pub(super) fn release(&mut self, bytes: u64) {
        self.unfinished_bytes = self.unfinished_bytes.saturating_sub(bytes);
    }

    /// A file for which so many bytes were reserved is whole.
    pub(super) fn keep(&mut self, name: DumpName, bytes: u64) {
        self.release(bytes);
        self.kept_bytes += bytes;
        self.kept.push_back((name, bytes));
    }
}

#[cfg(test)]
mod tests {
    use crate::dumps::name::Half;

    use super::*;

    fn name(number: u64) -> DumpName {
        DumpName {
            unix_ms: 1000 + number,
            number,
            half: Half::Request,
        }
    }

    fn removed(retention: &mut Retention, bytes: u64) -> Result<Vec<u64>, NoRoom> {
        let mut gone = Vec::new();
        let outcome = retention.reserve(bytes, |name| {
            gone.push(name.number);
            Ok(())
        });
        outcome.map(|()| gone)
    }

    #[test]
    fn the_oldest_go_first_and_no_more_than_have_to() {
        let found = vec![(name(3), 30), (name(1), 10), (name(2), 20)];
        let mut retention = Retention::new(100, found);
        assert_eq!(removed(&mut retention, 40).unwrap(), [0_u64; 0]);
        assert_eq!(removed(&mut retention, 1).unwrap(), [1]);
        retention.keep(name(4), 41);
        assert_eq!(removed(&mut retention, 59).unwrap(), [2, 3]);
        retention.release(59);
        assert_eq!(removed(&mut retention, 59).unwrap(), [0_u64; 0]);
        assert!(matches!(removed(&mut retention, 42), Err(NoRoom::TooLarge)));
        retention.release(59);
        assert_eq!(removed(&mut retention, 100).unwrap(), [0_u64; 0]);
    }

    #[test]
    fn there_are_only_so_many_files() {
        let mut retention = Retention::new(100, vec![]);
        retention.most_files = 2;
        for number in 0..2 {
            assert_eq!(removed(&mut retention, 1).unwrap(), [0_u64; 0]);
            retention.keep(name(number), 1);
        }
        assert_eq!(removed(&mut retention, 1).unwrap(), [0]);
    }

    #[test]
    fn what_does_not_go_takes_room() {
        let mut retention = Retention::new(10, vec![(name(1), 10)]);
        let refused = |_| Err(io::ErrorKind::PermissionDenied.into());
        for _ in 0..2 {
            assert!(matches!(retention.reserve(1, refused), Err(NoRoom::Io(_))));
        }
        let gone = |_| Err(io::ErrorKind::NotFound.into());
        assert!(retention.reserve(1, gone).is_ok());
    }
}

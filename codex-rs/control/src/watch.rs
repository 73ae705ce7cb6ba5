//! Waits until something happens to a file that may not be there yet, nor its directory (inotify(7)).

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use crate::process::ready_within;

/// What happens around a file, from when this was made on.
#[derive(Debug)]
pub(crate) struct Watch(OwnedFd);

impl Watch {
    /// Watches the directory of `file`, or the nearest one above it that is there.
    ///
    /// # Errors
    ///
    /// Those of `inotify_add_watch(2)`; none because of a directory that is missing.
    pub(crate) fn around(file: &Path) -> io::Result<Self> {
        let descriptor = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let changes = WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        let mut nearest = file.ancestors().skip(1);
        loop {
            let directory = match nearest.next() {
                Some(directory) if directory.as_os_str().is_empty() => Path::new("."),
                Some(directory) => directory,
                None => return Err(io::ErrorKind::NotFound.into()),
            };
            match inotify::add_watch(&descriptor, directory, changes) {
                Ok(_) => return Ok(Self(descriptor)),
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until something has happened, so long at most.
    ///
    /// # Errors
    ///
    /// Those of `poll(2)`.
    pub(crate) fn changed_within(self, limit: Duration) -> io::Result<()> {
        ready_within(&self.0, limit).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_file_is_noticed_when_it_comes_when_it_is_written_and_when_its_directory_comes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("later/file");
        let noticed = |change: &dyn Fn()| {
            let watch = Watch::around(&file).unwrap();
            let started = Instant::now();
            change();
            watch.changed_within(LONG).unwrap();
            assert!(started.elapsed() < LONG);
        };
        noticed(&|| std::fs::create_dir(dir.path().join("later")).unwrap());
        noticed(&|| drop(std::fs::File::create(&file).unwrap()));
        noticed(&|| std::fs::write(&file, "1").unwrap());
        noticed(&|| std::fs::remove_dir_all(dir.path().join("later")).unwrap());
    }

    #[test]
    fn without_a_change_a_wait_is_as_long_as_it_was_to_be() {
        let dir = tempfile::tempdir().unwrap();
        let watch = Watch::around(&dir.path().join("file")).unwrap();
        let limit = Duration::from_millis(20);
        let started = Instant::now();
        watch.changed_within(limit).unwrap();
        assert!(started.elapsed() >= limit);
    }
}

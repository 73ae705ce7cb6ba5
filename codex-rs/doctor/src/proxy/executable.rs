//! The program file of a process: whoever can read it can enter a process of it while that starts, and whoever can
//! write it decides what runs next time.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::finding::Finding;
use crate::proxy::path::weakness;

const CHECK: &str = "proxy.executable";
const WHY: &str = "who can read it can enter it while it starts, who can write it replaces it";

/// Read permission of the group and of others.
const READABLE: u32 = 0o044;

pub(super) fn finding(pid: u32) -> Finding {
    let link = format!("/proc/{pid}/exe");
    let seen = fs::read_link(&link).and_then(|path| Ok((path, fs::metadata(&link)?)));
    match seen {
        Ok((path, found)) => judge(&path, found.uid(), found.mode() & 0o7777),
        Err(error) => Finding::unknown(
            CHECK,
            format!("not shown to this user ({error})"),
            WHY,
            "sudo codex doctor",
        ),
    }
}

fn judge(path: &Path, owner: u32, mode: u32) -> Finding {
    let name = path.display();
    let install =
        format!("sudo install -o root -g root -m 0711 {name} /usr/local/bin/, and start that");
    if owner != 0 {
        let found = format!("{name} belongs to user {owner}");
        return Finding::failed(CHECK, found, WHY, install);
    }
    if mode & READABLE != 0 {
        let found = format!("{name} can be read by others (mode {mode:o})");
        return Finding::failed(CHECK, found, WHY, format!("sudo chmod 711 {name}"));
    }
    match weakness(path, &[0]) {
        Ok(None) => Finding::ok(
            CHECK,
            format!("{name} is root's, mode {mode:o}, and root alone can replace it"),
            WHY,
        ),
        Ok(Some(weak)) => Finding::failed(
            CHECK,
            format!("{} {}", weak.path.display(), weak.what),
            WHY,
            install,
        ),
        Err(_) if is_deleted(path) => Finding::warning(
            CHECK,
            format!("{name}: another file is in its place by now"),
            "what runs is not what is installed",
            "start the proxy anew",
        ),
        Err(error) => Finding::unknown(CHECK, format!("{name}: {error}"), WHY, "sudo codex doctor"),
    }
}

/// As the kernel marks a file that has no name any more.
fn is_deleted(path: &Path) -> bool {
    path.to_string_lossy().ends_with(" (deleted)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::State;

    #[test]
    fn it_is_root_s_alone_and_only_to_be_executed() {
        let path = Path::new("/nowhere/codex");
        assert_eq!(judge(path, 1000, 0o711).state, State::Failed);
        assert_eq!(judge(path, 0, 0o755).state, State::Failed);
        assert_eq!(judge(path, 0, 0o751).state, State::Failed);
        assert_eq!(judge(path, 0, 0o711).state, State::Unknown);
        let replaced = Path::new("/nowhere/codex (deleted)");
        assert_eq!(judge(replaced, 0, 0o711).state, State::Warning);
        assert_eq!(judge(Path::new("/"), 0, 0o711).state, State::Ok);
    }
}

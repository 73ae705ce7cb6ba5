//! Which proxy: the server-info file, whose it is, and whether the process that wrote it is still there.

use std::path::{Path, PathBuf};

use codex_server_info::{Found, ReadError, read};

use crate::finding::Finding;
use crate::proxy::path;

/// Names the file where no flag does.
const VARIABLE: &str = "CODEX_PROXY_SERVER_INFO";

/// Where the packaged service has it.
const OF_SERVICE: &str = "/run/codex-proxy/server-info.json";

const CHECK: &str = "proxy.server_info";
const WHY: &str = "whoever can write it leads every client to a proxy of their own";

/// What is to be said of the file, and what it says if it may be believed.
pub(super) fn findings(named: Option<&Path>) -> (Vec<Finding>, Option<Found>) {
    let Some(path) = which(named) else {
        let none = Finding::unknown(
            CHECK,
            format!(
                "no proxy was named: neither --server-info nor {VARIABLE}, and no {OF_SERVICE}"
            ),
            "it leads to the process whose protections are read back",
            "codex doctor --server-info FILE",
        );
        return (vec![none], None);
    };
    let found = match read(&path) {
        Ok(found) => found,
        Err(error) => return (vec![unread(&error)], None),
    };
    let gone = match found.process.verify() {
        Ok(()) => Finding::ok(
            "proxy.running",
            format!("process {} listens at {}", found.info.pid, found.address),
            "requests go to the process that wrote the file",
        ),
        Err(gone) if gone.is_unknown() => Finding::unknown(
            "proxy.running",
            gone.to_string(),
            "requests should go to the process that wrote the file",
            "sudo codex doctor",
        ),
        Err(gone) => Finding::failed(
            "proxy.running",
            gone.to_string(),
            "requests could go to somebody else",
            "start the proxy anew",
        ),
    };
    let findings = vec![path::of_server_info(CHECK, WHY, &path, &found), gone];
    (findings, Some(found))
}

fn which(named: Option<&Path>) -> Option<PathBuf> {
    let variable = || {
        let value = std::env::var_os(VARIABLE).filter(|value| !value.is_empty())?;
        Some(PathBuf::from(value))
    };
    let of_service = || Some(PathBuf::from(OF_SERVICE)).filter(|path| path.exists());
    named
        .map(Path::to_owned)
        .or_else(variable)
        .or_else(of_service)
}

fn unread(error: &ReadError) -> Finding {
    Finding::failed(
        CHECK,
        error.to_string(),
        WHY,
        "name the file of a proxy that runs",
    )
}

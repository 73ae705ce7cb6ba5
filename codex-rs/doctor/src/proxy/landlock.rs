//! Landlock is the one protection that /proc does not show.

use crate::finding::Finding;

pub(super) fn finding() -> Finding {
    Finding::unknown(
        "proxy.landlock",
        "cannot be seen from outside: no file of /proc has it",
        "it takes files, ports and other processes away from whoever gets into the proxy",
        "the proxy's line `process:` on standard error has it, as does codex-responses-api-proxy status; with \
         --sandbox=require it does not start without",
    )
}

//! Where there are no Unix sockets nobody is served with keys.

use anyhow::bail;

use crate::config::key_source::ServeKeysArgs;

/// # Errors
///
/// Always: not supported here.
pub(crate) fn serve_keys(_args: ServeKeysArgs) -> anyhow::Result<()> {
    bail!("keys from files and programs are not supported on this system")
}

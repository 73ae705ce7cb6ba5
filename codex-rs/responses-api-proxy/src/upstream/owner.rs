//! Whose requests may share a connection to the upstream.

use std::sync::Arc;

/// Whoever a request is for, as far as requests are kept apart: by user, and by client token.
///
/// Requests of one owner share connections, and with them their fate: what makes an upstream end a
/// connection costs its owner's requests and nobody else's. Where neither the user nor a token is known,
/// all callers are one owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    /// Of the process at the other end of the caller's connection, where the kernel tells.
    pub(crate) user: Option<u32>,
    /// The name of the client token, where one is needed.
    pub(crate) token: Option<Arc<str>>,
    /// A request of the proxy itself, whose connection the first caller takes over.
    is_proxy: bool,
}

impl Owner {
    pub(crate) fn new(user: Option<u32>, token: Option<&str>) -> Self {
        Self {
            user,
            token: token.map(Arc::from),
            is_proxy: false,
        }
    }

    /// The proxy itself.
    pub(crate) fn proxy() -> Self {
        Self {
            is_proxy: true,
            ..Self::default()
        }
    }

    /// Whether this owner can be told from others.
    pub(crate) fn is_known(&self) -> bool {
        self.user.is_some() || self.token.is_some()
    }
}

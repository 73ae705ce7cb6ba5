//! Who makes a request, as far as callers are told apart.

use std::sync::Arc;

/// By user and by client token. Where neither is known, all callers are one.
///
/// Requests of one caller share connections to the upstream, and with them their fate: what makes an upstream
/// end a connection costs that caller's requests and nobody else's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Caller {
    /// Of the process at the other end of the caller's connection, where the kernel tells.
    pub(crate) user: Option<u32>,
    /// The name of the client token, where one is needed.
    pub(crate) token: Option<Arc<str>>,
    /// A request of the proxy itself, whose connection the first caller takes over.
    is_proxy: bool,
}

impl Caller {
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

    /// Whether this one can be told from others.
    pub(crate) fn is_known(&self) -> bool {
        self.user.is_some() || self.token.is_some()
    }
}

//! What the environment says of connections to a server: which certificate authorities it is checked
//! against, and which HTTP proxy is on the way.
//!
//! The variables are read here for the proxy and for the chat client. The proxy takes what is set at its
//! word or refuses it, since nobody watches it and it holds a key; the chat client passes over a source
//! that cannot be had while there are others, and leaves the choice of an HTTP proxy to reqwest.
#![forbid(unsafe_code)]

pub mod environment;
pub mod http_proxy;
pub mod tls_roots;

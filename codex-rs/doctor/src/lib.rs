//! `codex doctor`: what keeps the key safe on this host, read back from the kernel and not from what anybody says; and
//! `why`: what became of one request, by the access log.
//!
//! A check never turns what it could not see into a success: it is `unknown` then, with the reason. Nothing here prints
//! a key, a token, or the value of a variable.
//!
//! ```text
//!  host/         what the kernel gives: secret memory, Landlock, seccomp, limits
//!  environment/  keys in variables, certificates, an HTTP proxy, groups that are as good as root
//!  client.rs     where the client's requests go, as `codex` settled it
//!  proxy/        a running proxy: its protections, and an attempt to get past them
//!  why/          a line of the access log, found from the end and explained
//! ```
#![forbid(unsafe_code)]

mod args;
mod client;
mod environment;
mod examination;
mod finding;
#[cfg(target_os = "linux")]
mod host;
mod key_shape;
mod printable;
#[cfg(target_os = "linux")]
mod processes;
#[cfg(target_os = "linux")]
mod proxy;
mod report;
mod why;

pub use args::{DoctorArgs, WhyArgs};
pub use client::{ClientFacts, ProviderFacts};
pub use examination::run_doctor;
pub use why::explanation::Explanation;
pub use why::{WhyError, run_why};

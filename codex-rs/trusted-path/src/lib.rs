//! Files whose place and content nobody else could have chosen.
//!
//! Whoever owns a symbolic link on the way to a file, or the file itself, decides what a program that
//! opens it gets, or what it overwrites. [`Place`] walks a path and follows the links of
//! [`Trusted`] users only, as `fs.protected_symlinks` does (proc_sys_fs(5)) but in every directory, and
//! holds the last directory open, so that what is done to the file later is done there. [`Directory`] holds one
//! open in which files are made. [`read_small`]
//! reads a file that only a trusted user or the owner of its directory could have written, [`read_owned`] one that its
//! owner alone could.
#![forbid(unsafe_code)]

#[cfg(unix)]
mod directory;
#[cfg(unix)]
mod of_owner;
mod one_file;
#[cfg(unix)]
mod place;
mod replaceable;
#[cfg_attr(not(unix), path = "small_file_unsupported.rs")]
mod small_file;
#[cfg(unix)]
mod status;
#[cfg(unix)]
mod trusted;
#[cfg(unix)]
mod walk;

#[cfg(unix)]
pub use directory::Directory;
#[cfg(unix)]
pub use of_owner::read_owned;
pub use one_file::lead_to_one_file;
#[cfg(unix)]
pub use place::{Missing, PathError, Place};
pub use replaceable::ReplaceableBy;
/// How a file is opened (`open(2)`).
#[cfg(unix)]
pub use rustix::fs::OFlags;
pub use small_file::{SmallFile, SmallFileError, read_small};
#[cfg(unix)]
pub use status::{Kind, Status};
#[cfg(unix)]
pub use trusted::Trusted;

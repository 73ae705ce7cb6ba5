//! Which source keys are read from, and how the process that reads them is told.

#![cfg_attr(not(unix), allow(dead_code, reason = "only Unix has such sources"))]

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::environment;
use crate::config::units::parse_duration;

// What a help page says of other sources than standard input. Not a doc comment: clap would print it.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(id = "key_source", multiple = false)]
pub struct KeyArgs {
    /// File to read the key from instead of standard input; read again on SIGHUP
    ///
    /// It must belong to root or to the user that starts the proxy, and be readable only by its owner. With `--user`
    /// it belongs to root, and a root process that does nothing else reads it again later.
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,

    /// systemd credential to read the key from (`LoadCredential=NAME:...`); read again on SIGHUP
    #[arg(long, value_name = "NAME", value_parser = parse_credential_name)]
    pub key_credential: Option<String>,

    /// Descriptor to read keys from, one per line; each later line replaces the key
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(3..))]
    pub key_fd: Option<i32>,

    /// Shell command that prints the key; run again on SIGHUP
    ///
    /// It runs outside the sandbox, with the rights that the proxy is started with or as `--key-command-user`, and
    /// must finish within 30 s.
    #[arg(long, value_name = "COMMAND")]
    pub key_command: Option<String>,
}

/// Clap does not insist on what conflicts with something that is there.
const OTHER_SOURCES: [&str; 3] = ["key_file", "key_credential", "key_fd"];

// What goes with `--key-command`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct KeyCommandArgs {
    /// How long to use a key of `--key-command` before running the command again (`55m`)
    #[arg(long, value_name = "TIME", value_parser = parse_duration, requires = "key_command", conflicts_with_all = OTHER_SOURCES)]
    pub key_ttl: Option<Duration>,

    /// User to run `--key-command` as; requires root
    #[arg(long, value_name = "USER", requires = "key_command", conflicts_with_all = OTHER_SOURCES)]
    pub key_command_user: Option<String>,
}

/// A source of keys that can be read more than once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeySourceConfig {
    /// A descriptor that this process is started with.
    Descriptor(i32),
    Reader {
        reader: KeyReader,
        ttl: Option<Duration>,
    },
}

/// What is read by a process of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyReader {
    File(KeyFile),
    Program {
        command: String,
        user: Option<String>,
    },
}

/// What `--key-file` or `--key-credential` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyFile {
    pub(crate) path: PathBuf,
    /// A service manager has put it there for this service alone, and shows who may read it in its own way.
    pub(crate) is_credential: bool,
}

/// There is no directory of credentials.
#[derive(Debug)]
pub(crate) struct NoCredentials(String);

impl std::fmt::Display for NoCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(name) = self;
        write!(
            f,
            "--key-credential {name}, but CREDENTIALS_DIRECTORY is not an absolute path; it is for a service of systemd with \
             LoadCredential={name}:FILE or LoadCredentialEncrypted={name}:FILE"
        )
    }
}

impl std::error::Error for NoCredentials {}

impl KeySourceConfig {
    /// `None`: the key comes on standard input.
    ///
    /// # Errors
    ///
    /// [`NoCredentials`].
    pub(crate) fn from_args(
        args: KeyArgs,
        command: KeyCommandArgs,
    ) -> Result<Option<Self>, NoCredentials> {
        let file = |path: PathBuf, is_credential| {
            Some(Self::Reader {
                reader: KeyReader::File(KeyFile {
                    path,
                    is_credential,
                }),
                ttl: None,
            })
        };
        if let Some(path) = args.key_file {
            return Ok(file(path, false));
        }
        if let Some(name) = args.key_credential {
            let directory = environment::path(environment::OF_CREDENTIALS).map(PathBuf::from);
            let directory = directory.filter(|directory| directory.is_absolute());
            return match directory {
                Some(directory) => Ok(file(directory.join(name), true)),
                None => Err(NoCredentials(name)),
            };
        }
        Ok(match (args.key_fd, args.key_command) {
            (Some(number), _) => Some(Self::Descriptor(number)),
            (_, Some(text)) => Some(Self::Reader {
                reader: KeyReader::Program {
                    command: text,
                    user: command.key_command_user,
                },
                ttl: command.key_ttl,
            }),
            _ => None,
        })
    }

    /// One word for it, in logs.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Descriptor(_) => "fd",
            Self::Reader { reader, .. } => match reader {
                KeyReader::File(file) if file.is_credential => "credential",
                KeyReader::File(_) => "file",
                KeyReader::Program { .. } => "command",
            },
        }
    }

    /// As it was typed, for lines about it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Descriptor(number) => format!("--key-fd {number}"),
            Self::Reader { reader, .. } => match reader {
                KeyReader::File(file) if file.is_credential => {
                    let name = file.path.file_name().unwrap_or_default();
                    format!("--key-credential {}", name.display())
                }
                KeyReader::File(file) => format!("--key-file {}", file.path.display()),
                KeyReader::Program { .. } => "--key-command".to_owned(),
            },
        }
    }

    /// The file, if it is one.
    pub(crate) fn file(&self) -> Option<&std::path::Path> {
        match self {
            Self::Reader {
                reader: KeyReader::File(file),
                ..
            } => Some(&file.path),
            _ => None,
        }
    }
}

// How the process that reads keys is told what to read; nobody types it.
#[derive(Clone, Debug, clap::Args)]
pub struct ServeKeysArgs {
    #[arg(long)]
    file: Option<PathBuf>,

    #[arg(long)]
    is_credential: bool,

    #[arg(long, allow_hyphen_values = true)]
    command: Option<String>,

    #[arg(long)]
    pub(crate) user: Option<String>,
}

impl KeyReader {
    /// It as arguments, which [`ServeKeysArgs`] reads.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        match self {
            Self::File(file) => {
                let mut arguments = vec!["--file".into(), absolute(&file.path).into()];
                if file.is_credential {
                    arguments.push("--is-credential".into());
                }
                arguments
            }
            Self::Program { command, user } => {
                let mut arguments = vec!["--command".into(), command.into()];
                if let Some(user) = user {
                    arguments.extend(["--user".into(), user.into()]);
                }
                arguments
            }
        }
    }
}

/// A path that begins with `-` would pass for a flag.
fn absolute(path: &std::path::Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

impl TryFrom<ServeKeysArgs> for KeyReader {
    type Error = anyhow::Error;

    fn try_from(args: ServeKeysArgs) -> anyhow::Result<Self> {
        match (args.file, args.command) {
            (Some(path), None) => Ok(Self::File(KeyFile {
                path,
                is_credential: args.is_credential,
            })),
            (None, Some(command)) => Ok(Self::Program {
                command,
                user: args.user,
            }),
            _ => anyhow::bail!("this command is the proxy's own; it starts it itself"),
        }
    }
}

/// A name in a directory, and no way out of it.
fn parse_credential_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains('/') || matches!(text, "." | "..") {
        return Err("it is the name that LoadCredential= gives it, without a slash".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Serve {
        #[command(flatten)]
        args: ServeKeysArgs,
    }

    #[test]
    fn a_reader_survives_the_way_through_arguments() {
        let file = |path: &str, is_credential| {
            KeyReader::File(KeyFile {
                path: path.into(),
                is_credential,
            })
        };
        let program = |user: Option<&str>| KeyReader::Program {
            command: "--help; cat 'a b'".to_owned(),
            user: user.map(str::to_owned),
        };
        for reader in [
            file("/run/key", false),
            file("/run/credentials/x/key", true),
            program(None),
            program(Some("vault")),
        ] {
            let arguments = [OsString::from("serve-keys")].into_iter();
            let parsed = Serve::try_parse_from(arguments.chain(reader.arguments())).unwrap();
            assert_eq!(KeyReader::try_from(parsed.args).unwrap(), reader);
        }
    }

    #[test]
    fn the_name_of_a_credential_stays_in_its_directory() {
        for bad in ["", ".", "..", "a/b", "/a"] {
            assert!(parse_credential_name(bad).is_err(), "{bad}");
        }
        assert!(parse_credential_name("openai-api-key").is_ok());
    }
}

//! What requests go up with: memory for it before it is read, the first of it before anybody can connect, and what
//! replaces it once the process is in its sandbox.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use codex_secret_memory::{PageError, Protection, SecretPage};
use rustls::crypto::CryptoProvider;

use crate::config::Config;
use crate::config::credential_source::CredentialSource;
use crate::config::key_source::{KeyReader, KeySourceConfig};
use crate::credential::Credential;
use crate::credential::locked::{EmptySlot, Room, SlotPool};
use crate::credential::rotation::{KeySource, Reading, Rotation};
use crate::credential::source::OpenKeySource;
use crate::credential::source::key_process::KeyProcess;
#[cfg(unix)]
use crate::credential::source::lines::Lines;
use crate::credential::source::stdin::key_from_stdin;
use crate::credential::wishes::Wishes;

/// Mapped and locked, and still empty.
pub(crate) enum CredentialMemory {
    /// For one key that stays.
    Page(SecretPage),
    /// For those that follow each other.
    Slots(Arc<SlotPool>),
}

impl CredentialMemory {
    /// As much as `source` takes, and how it is protected.
    ///
    /// # Errors
    ///
    /// No memory, or none that can be locked.
    pub(crate) fn map(config: &Config) -> anyhow::Result<(Self, Protection)> {
        Self::for_source(&config.credential, config.allow_unlocked_key).context(
            "no safe place for the key (--allow-unlocked-key starts with one that can be swapped out)",
        )
    }

    fn for_source(
        source: &CredentialSource,
        allow_unlocked: bool,
    ) -> Result<(Self, Protection), PageError> {
        if let CredentialSource::Stdin = source {
            let page = Room::Key.page(allow_unlocked)?;
            let protection = page.protection();
            return Ok((Self::Page(page), protection));
        }
        let (slots, protection) = SlotPool::new(Room::Token, allow_unlocked)?;
        Ok((Self::Slots(slots), protection))
    }
}

/// Where credentials come from, opened as far as that has to be before anything else is.
pub(crate) enum OpenSource {
    Stdin,
    /// A descriptor that this process was started with.
    #[cfg(unix)]
    Descriptor(std::os::fd::OwnedFd),
    /// Something that is read by a process of its own.
    Reader(KeyReader),
}

impl OpenSource {
    /// # Errors
    ///
    /// No such descriptor.
    pub(crate) fn open(source: &CredentialSource) -> anyhow::Result<Self> {
        Ok(match source {
            CredentialSource::Stdin => Self::Stdin,
            #[cfg(unix)]
            CredentialSource::Keys(KeySourceConfig::Descriptor(number)) => {
                let taken = codex_process_hardening::take_inherited(*number);
                Self::Descriptor(taken.with_context(|| {
                    format!("--key-fd {number}: this process was not started with that descriptor open (3< FILE)")
                })?)
            }
            #[cfg(not(unix))]
            CredentialSource::Keys(KeySourceConfig::Descriptor(_)) => {
                anyhow::bail!("--key-fd is not supported on this system")
            }
            CredentialSource::Keys(KeySourceConfig::Reader { reader, .. }) => {
                Self::Reader(reader.clone())
            }
        })
    }
}

/// A credential that is in force, and what is still to be started for the next ones.
pub(crate) struct FirstCredential {
    pub(crate) credential: Credential,
    pub(crate) provider: CryptoProvider,
    pub(crate) renewal: Renewal,
}

impl FirstCredential {
    /// Reads the first one. With `called_as` this program is asked for the proxy; `look` is called with the secret once
    /// it is there.
    ///
    /// # Errors
    ///
    /// No credential, or a bad one.
    pub(crate) fn read(
        source: OpenSource,
        memory: CredentialMemory,
        config: &Config,
        called_as: &[&str],
        look: impl FnOnce(&[u8]),
    ) -> anyhow::Result<Self> {
        let slots = match memory {
            CredentialMemory::Page(page) => {
                let key = key_from_stdin(EmptySlot::for_good(page, Room::Key))?;
                look(key.secret());
                let (credential, provider) = Credential::fixed(key, &config.upstream)?;
                return Ok(Self {
                    credential,
                    provider,
                    renewal: Renewal::None,
                });
            }
            CredentialMemory::Slots(slots) => slots,
        };
        let CredentialSource::Keys(keys) = &config.credential else {
            bail!("there is no source of keys");
        };
        let name = keys.name();
        let mut source = match source {
            OpenSource::Stdin => bail!("there is no source of keys"),
            #[cfg(unix)]
            OpenSource::Descriptor(descriptor) => OpenKeySource::Lines(Lines::new(descriptor)),
            OpenSource::Reader(reader) => {
                let process = KeyProcess::start(&reader, called_as);
                OpenKeySource::Process(process.with_context(|| {
                    format!("{name}: the process that reads it cannot be started")
                })?)
            }
        };
        let (generations, provider) = Credential::changing(keys.kind(), &config.upstream)?;
        let slot = slots
            .take(Duration::ZERO)
            .context("no memory for the key")?;
        let key = source.read(slot).with_context(|| name.clone())?;
        let key = key.with_context(|| format!("{name}: there is no key in it"))?;
        look(key.secret());
        generations.replace(key, None)?;
        let reading = match keys {
            KeySourceConfig::Descriptor(_) => Reading::AsTheyCome,
            KeySourceConfig::Reader { ttl, .. } => Reading::WhenAsked { ttl: *ttl },
        };
        Ok(Self {
            credential: generations.into(),
            provider,
            renewal: Renewal::Keys(Rotation::new(source, name, reading, slots, generations)),
        })
    }
}

/// What replaces a credential by the next.
pub(crate) enum Renewal {
    /// Nothing does.
    None,
    Keys(Rotation<OpenKeySource>),
}

impl Renewal {
    /// Goes on by itself, in the sandbox of this thread.
    ///
    /// # Errors
    ///
    /// When the system has no thread to give.
    pub(crate) fn start(self) -> anyhow::Result<()> {
        match self {
            Self::None => Ok(()),
            Self::Keys(rotation) => rotation
                .start()
                .context("the thread that reads keys cannot start (ulimit -u)"),
        }
    }
}

/// On SIGHUP the source is asked again, from now on. Needs a runtime around it.
///
/// # Errors
///
/// When the handler cannot be installed.
#[cfg(unix)]
pub(crate) fn reload_on_hangup(wishes: &'static Wishes) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut hangups = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            wishes.reload();
        }
    });
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn reload_on_hangup(_wishes: &'static Wishes) -> io::Result<()> {
    Ok(())
}

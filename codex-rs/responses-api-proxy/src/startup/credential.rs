//! What requests go up with: memory for it before it is read, and the first of it before anybody can connect.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use codex_secret_memory::{PageError, Protection, SecretPage};
use rustls::crypto::CryptoProvider;

use crate::config::Config;
use crate::config::credential_source::CredentialSource;
use crate::config::key_source::{KeyReader, KeySourceConfig};
use crate::credential::Credential;
use crate::credential::locked::{EmptySlot, LockedCredential, Room, SlotPool};
use crate::credential::refresh::Refresher;
use crate::credential::reload_requests::ReloadRequests;
use crate::credential::rotation::{KeySource, Reading, Rotation};
use crate::credential::source::OpenKeySource;
use crate::credential::source::key_process::KeyProcess;
#[cfg(unix)]
use crate::credential::source::lines::Lines;
use crate::credential::source::stdin::{key_from_stdin, request_token_from_stdin};
use crate::credential::workload::WorkloadIdentity;
use crate::lifecycle::clock::since_boot;
use crate::startup::renewal::{Renewal, Tokens};

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
        Self::for_source(config).context(
            "no safe place for the key (--allow-unlocked-key starts with one that can be swapped out)",
        )
    }

    fn for_source(config: &Config) -> Result<(Self, Protection), PageError> {
        let allow_unlocked = config.allow_unlocked_key;
        let room = match (&config.credential, config.lifecycle.expire_after) {
            (CredentialSource::Stdin, None) => {
                let page = Room::Key.page(allow_unlocked)?;
                let protection = page.protection();
                return Ok((Self::Page(page), protection));
            }
            // Memory that can be wiped before the end.
            (CredentialSource::Stdin, Some(_)) => Room::Key,
            (CredentialSource::Keys(_) | CredentialSource::Workload(_), _) => Room::Token,
        };
        let (slots, protection) = SlotPool::new(room, allow_unlocked)?;
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
    /// Servers.
    Workload(Box<WorkloadIdentity>),
}

impl OpenSource {
    /// Whether names have to be looked up for it.
    pub(crate) fn has_names(&self) -> bool {
        match self {
            Self::Workload(identity) => identity.hops().any(|hop| hop.is_name),
            _ => false,
        }
    }

    /// # Errors
    ///
    /// No such descriptor; no certificate authorities, or a variable of the environment that is not in force as it
    /// stands.
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
            CredentialSource::Workload(config) => {
                Self::Workload(Box::new(WorkloadIdentity::new((**config).clone())?))
            }
        })
    }
}

/// A credential that is in force, and what is still to be started for the next ones.
pub(crate) struct FirstCredential {
    pub(crate) credential: Credential,
    pub(crate) provider: CryptoProvider,
    pub(crate) renewal: Renewal,
    /// Where the next ones come from, for the start-up lines.
    pub(crate) source: Option<String>,
    /// Where it is asked that it be read again; `None` where it is not.
    pub(crate) reload: Option<&'static ReloadRequests>,
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
        match (memory, source, &config.credential) {
            (CredentialMemory::Page(page), OpenSource::Stdin, _) => {
                let key = key_from_stdin(EmptySlot::for_good(page, Room::Key))?;
                look(key.secret());
                let (credential, provider) = Credential::fixed(key, &config.upstream)?;
                Ok(Self {
                    credential,
                    provider,
                    renewal: Renewal::None,
                    source: None,
                    reload: None,
                })
            }
            (CredentialMemory::Slots(slots), OpenSource::Stdin, _) => {
                Self::of_stdin_for_a_time(&slots, config, look)
            }
            (CredentialMemory::Slots(slots), OpenSource::Workload(identity), _) => {
                Self::of_identity(*identity, slots, config, look)
            }
            (CredentialMemory::Slots(slots), source, CredentialSource::Keys(keys)) => {
                let source = open_keys(source, &keys.name(), called_as)?;
                Self::of_keys(source, keys, slots, config, look)
            }
            _ => bail!("there is no such source of keys"),
        }
    }

    /// The one key of standard input, as one that can be wiped while the process still runs.
    fn of_stdin_for_a_time(
        slots: &Arc<SlotPool>,
        config: &Config,
        look: impl FnOnce(&[u8]),
    ) -> anyhow::Result<Self> {
        let (generations, provider) = Credential::changing("stdin", &config.upstream, None);
        let slot = slots
            .take(Duration::ZERO)
            .context("no memory for the key")?;
        let key = key_from_stdin(slot)?;
        look(key.secret());
        generations.replace(key, 1)?;
        Ok(Self {
            credential: generations.into(),
            provider,
            renewal: Renewal::None,
            source: None,
            reload: None,
        })
    }

    fn of_keys(
        mut source: OpenKeySource,
        keys: &KeySourceConfig,
        slots: Arc<SlotPool>,
        config: &Config,
        look: impl FnOnce(&[u8]),
    ) -> anyhow::Result<Self> {
        let name = keys.name();
        let (generations, provider) = Credential::changing(keys.kind(), &config.upstream, None);
        let slot = slots
            .take(Duration::ZERO)
            .context("no memory for the key")?;
        let key = source.read(slot).with_context(|| name.clone())?;
        let key = key.with_context(|| format!("{name}: there is no key in it"))?;
        look(key.secret());
        generations.replace(key, 1)?;
        let (reading, when) = match keys {
            KeySourceConfig::Descriptor(_) => {
                (Reading::AsTheyCome, "replaced by the next line".to_owned())
            }
            KeySourceConfig::Reader { ttl, .. } => {
                let when = ttl.map(|ttl| format!(" and every {ttl:?}"));
                let when = format!("read again on SIGHUP{}", when.unwrap_or_default());
                (Reading::WhenAsked { ttl: *ttl }, when)
            }
        };
        Ok(Self {
            credential: generations.into(),
            provider,
            reload: matches!(reading, Reading::WhenAsked { .. })
                .then(|| generations.reload_requests()),
            source: Some(format!("{name}, {when}")),
            renewal: Renewal::Keys(Rotation::new(source, name, reading, slots, generations)),
        })
    }

    /// The first token is got later, when names can be looked up ([`Renewal::obtain_first`]).
    fn of_identity(
        identity: WorkloadIdentity,
        slots: Arc<SlotPool>,
        config: &Config,
        look: impl FnOnce(&[u8]),
    ) -> anyhow::Result<Self> {
        let mut request_token: &'static [u8] = &[];
        if identity.needs_request_token() {
            let page = Room::Token.page(config.allow_unlocked_key)?;
            let token = request_token_from_stdin(EmptySlot::for_good(page, Room::Token))?;
            // It is needed at each renewal, until the end.
            let token: &'static LockedCredential = Box::leak(Box::new(token));
            request_token = token.secret();
            look(request_token);
        }
        let clock: fn() -> Duration = since_boot;
        // rustix finds the clock in the vDSO (vdso(7)) when it is first asked, by a call that the sandbox refuses.
        let _ = clock();
        let refresher: &'static Refresher = Box::leak(Box::new(Refresher::new(clock)));
        let kind = identity.kind();
        let (generations, provider) = Credential::changing(kind, &config.upstream, Some(refresher));
        Ok(Self {
            credential: generations.into(),
            provider,
            source: Some(identity.to_string()),
            reload: None,
            renewal: Renewal::Tokens(Box::new(Tokens {
                identity,
                request_token,
                slots,
                generations,
                refresher,
            })),
        })
    }
}

fn open_keys(source: OpenSource, name: &str, called_as: &[&str]) -> anyhow::Result<OpenKeySource> {
    match source {
        #[cfg(unix)]
        OpenSource::Descriptor(descriptor) => Ok(OpenKeySource::Lines(Lines::new(descriptor))),
        OpenSource::Reader(reader) => {
            let process = KeyProcess::start(&reader, called_as);
            let process = process
                .with_context(|| format!("{name}: the process that reads it cannot be started"))?;
            Ok(OpenKeySource::Process(process))
        }
        OpenSource::Stdin | OpenSource::Workload(_) => bail!("there is no such source of keys"),
    }
}

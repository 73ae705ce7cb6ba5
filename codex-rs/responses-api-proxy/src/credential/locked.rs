//! A credential in its locked memory, in the two forms in which it leaves this process; and the memory for
//! those that are to come.
//!
//! A key that is read once lies in one page, read-only, for the life of the process. Credentials that change
//! take turns in a few stretches of memory that are mapped and locked at the start: one that nothing refers to
//! any more is wiped, and its memory serves again. So nothing is mapped while requests are served, and however
//! often a credential changes, what is locked stays as it is.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use codex_secret_memory::{CAPACITY, PageError, Protection, ReadOnlyPage, SecretPage};
use zeroize::Zeroize;

use crate::credential::alphabet::Alphabet;
use crate::credential::substitution::{SCHEME, huffman_form};

/// So many credentials have memory at once: the one in force, two of which some request's head is still to be
/// encrypted, and the next.
pub(crate) const SLOTS: usize = 4;

/// The longest token, in bytes.
pub(crate) const LONGEST_TOKEN: usize = 8 * 1024;

/// How much memory one credential has, and what may be in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// For an API key: one page of 4 KiB.
    Key,
    /// For any bearer token.
    Token,
}

impl Room {
    pub(crate) const fn alphabet(self) -> Alphabet {
        match self {
            Self::Key => Alphabet::Key,
            Self::Token => Alphabet::Token,
        }
    }

    /// How many bytes the header value `Bearer <credential>` may take, and one more: a credential that is one byte
    /// too long is not to be taken for one that fits. The Huffman-encoded form comes behind that.
    pub(crate) const fn plain(self) -> usize {
        match self {
            Self::Key => 1024,
            Self::Token => SCHEME.len() + LONGEST_TOKEN + 1,
        }
    }

    /// All of it, in bytes. No character takes more than 13 bits of Huffman code.
    const fn capacity(self) -> usize {
        match self {
            Self::Key => CAPACITY,
            Self::Token => self.plain() + self.plain() * 13 / 8 + 1,
        }
    }

    /// Maps and locks as much memory.
    ///
    /// # Errors
    ///
    /// [`PageError`].
    pub(crate) fn page(self, allow_unlocked: bool) -> Result<SecretPage, PageError> {
        SecretPage::with_capacity(self.capacity(), allow_unlocked)
    }
}

/// Why what was read is not a credential.
#[derive(Debug)]
pub(crate) enum NotACredential {
    Missing,
    TooLarge,
    ForbiddenCharacter,
    Page(PageError),
}

/// Memory that a credential is being written to. Dropped before that is done, it is wiped.
pub(crate) struct EmptySlot {
    page: Option<SecretPage>,
    room: Room,
    home: Option<Home>,
}

/// Where memory goes back to.
#[derive(Clone)]
struct Home {
    pool: Arc<SlotPool>,
    slot: usize,
}

impl EmptySlot {
    /// For a credential that stays until the end.
    pub(crate) fn for_good(page: SecretPage, room: Room) -> Self {
        Self {
            page: Some(page),
            room,
            home: None,
        }
    }

    pub(crate) fn room(&self) -> Room {
        self.room
    }

    /// Where the credential alone is to be written, from the first byte on: room for the longest, and one byte more.
    pub(crate) fn token_mut(&mut self) -> &mut [u8] {
        let plain = self.room.plain();
        let bytes = self.page.as_mut().map(AsMut::as_mut);
        let bytes = bytes.and_then(|bytes: &mut [u8]| bytes.get_mut(SCHEME.len()..plain));
        bytes.unwrap_or_default()
    }

    /// Takes the first `len` bytes of [`token_mut`](Self::token_mut) for the credential, and wipes what is behind
    /// them.
    ///
    /// # Errors
    ///
    /// [`NotACredential`]; all of it is wiped then.
    pub(crate) fn finish(mut self, len: usize) -> Result<LockedCredential, NotACredential> {
        let room = self.room;
        let token = self.token_mut();
        let too_large = len >= token.len();
        let (token, rest) = token
            .split_at_mut_checked(len)
            .ok_or(NotACredential::TooLarge)?;
        rest.zeroize();
        if too_large {
            return Err(NotACredential::TooLarge);
        }
        if token.is_empty() {
            return Err(NotACredential::Missing);
        }
        if !token.iter().all(|&byte| room.alphabet().contains(byte)) {
            return Err(NotACredential::ForbiddenCharacter);
        }
        let header = SCHEME.len() + len;
        let mut page = self.page.take().ok_or(NotACredential::TooLarge)?;
        let (plain, coded) = page.as_mut().split_at_mut(room.plain());
        let (plain, _) = plain
            .split_at_mut_checked(header)
            .ok_or(NotACredential::TooLarge)?;
        let (scheme, _) = plain.split_at_mut(SCHEME.len());
        scheme.copy_from_slice(SCHEME);
        let Some(huffman) = huffman_form(plain, coded) else {
            self.page = Some(page);
            return Err(NotACredential::ForbiddenCharacter);
        };
        let memory = match &self.home {
            None => Memory::ForGood(page.seal().map_err(NotACredential::Page)?),
            Some(home) => Memory::Lent {
                // A page that the kernel does not let be read-only is wiped and gone.
                page: Some(page.into_read_only().map_err(NotACredential::Page)?),
                home: home.clone(),
            },
        };
        Ok(LockedCredential {
            memory,
            room,
            header,
            huffman,
        })
    }
}

impl Drop for EmptySlot {
    fn drop(&mut self) {
        if let (Some(mut page), Some(home)) = (self.page.take(), &self.home) {
            page.wipe();
            home.pool.put(home.slot, page);
        }
    }
}

/// A credential as it is sent. Wiped when dropped, unless it stays for good. `Debug` shows nothing of it.
pub(crate) struct LockedCredential {
    memory: Memory,
    room: Room,
    /// Lengths of the two forms, in bytes.
    header: usize,
    huffman: usize,
}

enum Memory {
    ForGood(&'static [u8]),
    Lent {
        /// `None` only while it is dropped.
        page: Option<ReadOnlyPage>,
        home: Home,
    },
}

impl LockedCredential {
    /// The header value `Bearer <credential>`.
    pub(crate) fn header(&self) -> &[u8] {
        self.bytes().get(..self.header).unwrap_or_default()
    }

    /// The same in HPACK's Huffman code, as HTTP/2 writes it.
    pub(crate) fn huffman(&self) -> &[u8] {
        let from = self.room.plain();
        let form = self.bytes().get(from..from + self.huffman);
        form.unwrap_or_default()
    }

    /// The credential alone.
    pub(crate) fn secret(&self) -> &[u8] {
        self.header().get(SCHEME.len()..).unwrap_or_default()
    }

    pub(crate) fn alphabet(&self) -> Alphabet {
        self.room.alphabet()
    }

    /// The header value, of a credential that stays for good.
    pub(crate) fn header_for_good(&self) -> Option<&'static str> {
        match &self.memory {
            Memory::ForGood(bytes) => std::str::from_utf8(bytes.get(..self.header)?).ok(),
            Memory::Lent { .. } => None,
        }
    }

    /// Which of the [`SLOTS`] it is in; one that stays for good is alone, in the first.
    pub(crate) fn slot(&self) -> usize {
        match &self.memory {
            Memory::ForGood(_) => 0,
            Memory::Lent { home, .. } => home.slot,
        }
    }

    fn bytes(&self) -> &[u8] {
        match &self.memory {
            Memory::ForGood(bytes) => bytes,
            Memory::Lent { page, .. } => page.as_ref().map_or(&[], ReadOnlyPage::bytes),
        }
    }

    /// One that stays until the end of the tests.
    #[cfg(any(test, fuzzing))]
    #[allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        reason = "tests and fuzz targets report by panicking"
    )]
    pub(crate) fn for_tests(secret: &str, room: Room) -> Self {
        let mut slot = EmptySlot::for_good(room.page(true).unwrap(), room);
        slot.token_mut()[..secret.len()].copy_from_slice(secret.as_bytes());
        slot.finish(secret.len()).unwrap()
    }
}

impl Drop for LockedCredential {
    fn drop(&mut self) {
        if let Memory::Lent { page, home } = &mut self.memory
            // One that cannot be written any more is unmapped instead, and there is one less.
            && let Some(Ok(page)) = page.take().map(ReadOnlyPage::into_writable)
        {
            home.pool.put(home.slot, page);
        }
    }
}

impl fmt::Debug for LockedCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockedCredential")
    }
}

/// The memory in which credentials take turns.
pub(crate) struct SlotPool {
    room: Room,
    free: Mutex<Vec<(usize, SecretPage)>>,
    returned: Condvar,
}

impl SlotPool {
    /// Maps and locks memory for all [`SLOTS`], and says how it is protected.
    ///
    /// # Errors
    ///
    /// [`PageError`].
    pub(crate) fn new(
        room: Room,
        allow_unlocked: bool,
    ) -> Result<(Arc<Self>, Protection), PageError> {
        let mut free = Vec::with_capacity(SLOTS);
        let first = room.page(allow_unlocked)?;
        let protection = first.protection();
        for slot in (1..SLOTS).rev() {
            free.push((slot, room.page(allow_unlocked)?));
        }
        free.push((0, first));
        let pool = Self {
            room,
            free: Mutex::new(free),
            returned: Condvar::new(),
        };
        Ok((Arc::new(pool), protection))
    }

    /// Memory for the next credential. Blocks until there is some; `None` if that takes longer than `patience`,
    /// because requests that have older credentials are not sent.
    pub(crate) fn take(self: &Arc<Self>, patience: Duration) -> Option<EmptySlot> {
        let waited = self
            .returned
            .wait_timeout_while(self.free(), patience, |free| free.is_empty());
        let (mut free, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let (slot, page) = free.pop()?;
        Some(EmptySlot {
            page: Some(page),
            room: self.room,
            home: Some(Home {
                pool: Arc::clone(self),
                slot,
            }),
        })
    }

    fn put(&self, slot: usize, page: SecretPage) {
        self.free().push((slot, page));
        self.returned.notify_one();
    }

    fn free(&self) -> MutexGuard<'_, Vec<(usize, SecretPage)>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SlotPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SlotPool")
    }
}

#[cfg(test)]
mod tests;

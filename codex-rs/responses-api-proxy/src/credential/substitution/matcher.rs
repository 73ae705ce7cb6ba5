//! Finds the placeholder in a stream of header bytes, across any cuts, and says
//! which bytes of each piece the secret takes the place of. Pure.

/// A placeholder and what it stands for, of equal length on the wire.
///
/// Both begin with the same `shared` bytes (`Bearer `), which need no replacing:
/// a match that has come no further has changed nothing.
#[derive(Debug)]
pub(super) struct Pair {
    placeholder: Vec<u8>,
    secret: Secret,
    shared: usize,
    /// The Knuth-Morris-Pratt table: how much of a match remains after a mismatch.
    fallback: Vec<usize>,
}

/// Bytes in the locked page. `Debug` shows nothing of them, and they are compared with nothing: a
/// comparison that ends at the first difference says where it is.
#[derive(Clone, Copy)]
pub(super) struct Secret(&'static [u8]);

impl Secret {
    /// What is in the page.
    pub(super) fn bytes(self) -> &'static [u8] {
        self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Pair {
    /// `None` unless both are equally long and begin with the same `shared` bytes.
    pub(super) fn new(placeholder: Vec<u8>, secret: &'static [u8], shared: usize) -> Option<Self> {
        let common = placeholder.get(..shared)?;
        if placeholder.len() != secret.len() || secret.get(..shared)? != common {
            return None;
        }
        let mut fallback = vec![0; placeholder.len()];
        let mut matched = 0;
        for at in 1..placeholder.len() {
            while matched > 0 && placeholder.get(at) != placeholder.get(matched) {
                matched = *fallback.get(matched - 1)?;
            }
            if placeholder.get(at) == placeholder.get(matched) {
                matched += 1;
            }
            *fallback.get_mut(at)? = matched;
        }
        Some(Self {
            placeholder,
            secret: Secret(secret),
            shared,
            fallback,
        })
    }

    /// The placeholder, and what it stands for.
    #[cfg(fuzzing)]
    pub(super) fn sides(&self) -> (&[u8], &'static [u8]) {
        (&self.placeholder, self.secret.0)
    }
}

/// One replacement in one piece of plaintext.
#[derive(Clone, Copy, Debug)]
pub(super) struct Splice {
    /// Where in the piece it begins, in bytes.
    pub(super) at: usize,
    /// What stands there instead, for as many bytes as it is long.
    pub(super) with: Secret,
}

/// The placeholder was not where it has to be; nothing more may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Desynchronized;

/// Looks for one placeholder in one block of headers.
#[derive(Debug, Default)]
pub(super) struct Matcher {
    matched: usize,
    /// How much of `matched` has already left, in earlier pieces.
    sent: usize,
    found: bool,
}

impl Matcher {
    /// Whether the one placeholder of this block is behind us.
    pub(super) fn is_done(&self) -> bool {
        self.found
    }

    /// Takes `bytes`, which begin at `offset` of their piece.
    ///
    /// Everything is looked at but nothing after the first match: the headers
    /// that follow are the caller's.
    pub(super) fn take(
        &mut self,
        pair: &Pair,
        bytes: &[u8],
        offset: usize,
        splices: &mut Vec<Splice>,
    ) -> Result<(), Desynchronized> {
        if self.found {
            return Ok(());
        }
        for (at, byte) in bytes.iter().enumerate() {
            while self.matched > 0 && pair.placeholder.get(self.matched) != Some(byte) {
                let shorter = *pair.fallback.get(self.matched - 1).ok_or(Desynchronized)?;
                // What was sent as the secret's beginning turns out not to be it.
                if self.sent > pair.shared && shorter < self.matched {
                    return Err(Desynchronized);
                }
                self.matched = shorter;
                self.sent = self.sent.min(shorter);
            }
            if pair.placeholder.get(self.matched) == Some(byte) {
                self.matched += 1;
            }
            if self.matched == pair.placeholder.len() {
                self.found = true;
                self.replace(pair, offset + at + 1, splices)?;
                return Ok(());
            }
        }
        // The piece ends inside of what may be the placeholder: it cannot wait,
        // so it goes out as the secret, and must go on as it.
        self.replace(pair, offset + bytes.len(), splices)?;
        Ok(())
    }

    /// Replaces what is matched beyond the shared part and has not left yet; it
    /// ends at `end` of the piece.
    fn replace(
        &mut self,
        pair: &Pair,
        end: usize,
        splices: &mut Vec<Splice>,
    ) -> Result<(), Desynchronized> {
        let from = self.sent.max(pair.shared);
        self.sent = self.matched;
        if self.matched > from {
            let with = pair
                .secret
                .0
                .get(from..self.matched)
                .ok_or(Desynchronized)?;
            let at = end.checked_sub(with.len()).ok_or(Desynchronized)?;
            let with = Secret(with);
            splices.push(Splice { at, with });
        }
        Ok(())
    }
}

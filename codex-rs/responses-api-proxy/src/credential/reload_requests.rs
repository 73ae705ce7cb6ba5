//! What is wished of whoever provides keys: told by any thread, heard by one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

/// Wishes of the same kind are one until they are heard.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    reload: AtomicBool,
    /// The newest that was refused; 0 if none was.
    refused: AtomicU64,
    any: Notify,
}

/// What was wished since the last time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wished {
    /// Somebody sent SIGHUP.
    pub(crate) reload: bool,
    /// The number of a credential that the upstream has refused.
    pub(crate) refused: Option<u64>,
}

impl Wishes {
    /// SIGHUP: the source is to be asked again.
    #[cfg_attr(not(unix), allow(dead_code, reason = "there is no such signal"))]
    pub(crate) fn reload(&self) {
        self.reload.store(true, Ordering::Release);
        self.any.notify_one();
    }

    /// The upstream has answered 401 to a request with the credential of this number.
    pub(crate) fn refused(&self, number: u64) {
        self.refused.fetch_max(number, Ordering::AcqRel);
        self.any.notify_one();
    }

    /// Waits until there is a wish. For one listener; dropped before it is done, it has heard nothing.
    pub(crate) async fn heard(&self) -> Wished {
        loop {
            let wished = Wished {
                reload: self.reload.swap(false, Ordering::AcqRel),
                refused: match self.refused.swap(0, Ordering::AcqRel) {
                    0 => None,
                    number => Some(number),
                },
            };
            if wished != Wished::default() {
                return wished;
            }
            self.any.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wishes_of_one_kind_are_one_and_none_is_lost() {
        let wishes = Wishes::default();
        wishes.refused(2);
        wishes.refused(1);
        wishes.reload();
        wishes.reload();
        let expected = Wished {
            reload: true,
            refused: Some(2),
        };
        assert_eq!(wishes.heard().await, expected);
        let later = async {
            tokio::task::yield_now().await;
            wishes.refused(3);
        };
        let (heard, ()) = tokio::join!(wishes.heard(), later);
        let expected = Wished {
            reload: false,
            refused: Some(3),
        };
        assert_eq!(heard, expected);
    }
}

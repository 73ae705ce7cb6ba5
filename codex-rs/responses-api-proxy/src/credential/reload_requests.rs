//! Requests that a key be read again: made by any thread, taken by one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

/// Requests of the same kind are one until they are taken.
#[derive(Debug, Default)]
pub(crate) struct ReloadRequests {
    reload: AtomicBool,
    /// The newest that was refused; 0 if none was.
    refused: AtomicU64,
    any: Notify,
}

/// What was requested since the last time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requested {
    /// Somebody sent SIGHUP.
    pub(crate) reload: bool,
    /// The number of a credential that the upstream has refused.
    pub(crate) refused: Option<u64>,
}

impl ReloadRequests {
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

    /// Waits for a request. For one task; dropped before it is done, it has taken nothing.
    pub(crate) async fn next(&self) -> Requested {
        loop {
            let requested = Requested {
                reload: self.reload.swap(false, Ordering::AcqRel),
                refused: match self.refused.swap(0, Ordering::AcqRel) {
                    0 => None,
                    number => Some(number),
                },
            };
            if requested != Requested::default() {
                return requested;
            }
            self.any.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_of_one_kind_are_one_and_none_is_lost() {
        let requests = ReloadRequests::default();
        requests.refused(2);
        requests.refused(1);
        requests.reload();
        requests.reload();
        let expected = Requested {
            reload: true,
            refused: Some(2),
        };
        assert_eq!(requests.next().await, expected);
        let later = async {
            tokio::task::yield_now().await;
            requests.refused(3);
        };
        let (taken, ()) = tokio::join!(requests.next(), later);
        let expected = Requested {
            reload: false,
            refused: Some(3),
        };
        assert_eq!(taken, expected);
    }
}

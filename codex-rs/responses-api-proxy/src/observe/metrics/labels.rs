//! Values of a label whose number is bounded: whoever can choose names must not fill the memory of this process and of
//! whatever reads its metrics.

use std::borrow::{Borrow, ToOwned};
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::observe::printable::printable_within;

/// What names beyond the limit have in common.
pub(crate) const OTHER: &str = "other";

/// The longest value, in bytes.
const LONGEST: usize = 256;

/// Stands for one value of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(u16);

impl Slot {
    /// There is nothing to name. To Prometheus an empty value and a label that is absent are the same.
    pub(crate) const NOTHING: Self = Self(0);
    const OTHER: Self = Self(1);
}

/// The values of one label, by what they name.
#[derive(Debug)]
pub(crate) struct Labels<N: ToOwned + ?Sized> {
    /// Few, so that one is found faster than its name is hashed.
    slots: BTreeMap<N::Owned, Slot>,
    values: Vec<Arc<str>>,
}

impl<N> Labels<N>
where
    N: ToOwned + Ord + ?Sized,
    N::Owned: Ord + Borrow<N>,
{
    pub(crate) fn new() -> Self {
        Self {
            slots: BTreeMap::new(),
            values: vec![Arc::from(""), Arc::from(OTHER)],
        }
    }

    /// The slot of `name`: a new one, shown as `shown`, if there are fewer than `most` and it has none yet; otherwise
    /// the one that all others share.
    pub(crate) fn slot(&mut self, name: &N, most: usize, shown: impl FnOnce() -> String) -> Slot {
        if let Some(&slot) = self.slots.get(name) {
            return slot;
        }
        let next = u16::try_from(self.values.len()).ok().map(Slot);
        match next.filter(|_| self.slots.len() < most) {
            Some(slot) => {
                let value = printable_within(&shown(), LONGEST).into();
                self.values.push(value);
                self.slots.insert(name.to_owned(), slot);
                slot
            }
            None => Slot::OTHER,
        }
    }

    pub(crate) fn value(&self, slot: Slot) -> Arc<str> {
        // Every slot that was given out has one.
        let value = self.values.get(usize::from(slot.0));
        value.map_or_else(|| Arc::from(OTHER), Arc::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_limit_names_share_one_slot_and_those_before_keep_theirs() {
        let mut labels = Labels::<str>::new();
        let shown = |name: &str| name.to_owned();
        for _ in 0..2 {
            for number in 0..100 {
                let name = format!("model-{number}");
                let slot = labels.slot(&name, 64, || shown(&name));
                let expected = if number < 64 { &name } else { OTHER };
                assert_eq!(&*labels.value(slot), expected);
            }
        }
        assert_eq!(labels.values.len(), 66);
        assert_eq!(&*labels.value(Slot::NOTHING), "");
    }

    #[test]
    fn a_value_is_short_and_has_no_control_characters() {
        let mut labels = Labels::<str>::new();
        let name = format!("gpt\u{1b}[2J\n{}", "x".repeat(300));
        let slot = labels.slot(&name, 1, || name.clone());
        let value = labels.value(slot);
        assert!(value.starts_with("gpt\\u{1b}[2J\\nx"), "{value}");
        assert_eq!(value.len(), LONGEST);
    }
}

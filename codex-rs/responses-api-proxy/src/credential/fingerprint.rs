//! Tells whether a text is the key without having the key. Pure.
//!
//! A key that was replaced is wiped, and an answer can still hold it. So what is compared is a
//! fingerprint: the text as a polynomial over the prime field of 2^61 - 1, at two points that this
//! process has drawn (Carter and Wegman, Universal classes of hash functions, 1979). Another text of the same
//! length, up to 8 KiB, has the same one in a case of 2^96. It takes the same steps for every text of one
//! length, and none of it is copied.

/// The prime number 2^61 - 1.
const PRIME: u64 = (1 << 61) - 1;

/// The points at which texts are taken; drawn once for each key.
#[derive(Clone, Copy)]
pub(super) struct Points([u64; 2]);

/// What a text comes to at these points. Without `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint([u64; 2]);

impl Points {
    /// `random` fills a buffer; `None` if it cannot.
    pub(super) fn draw(random: &mut dyn FnMut(&mut [u8]) -> bool) -> Option<Self> {
        let mut points = [0; 2];
        for point in &mut points {
            let mut bytes = [0; size_of::<u64>()];
            if !random(&mut bytes) {
                return None;
            }
            *point = u64::from_ne_bytes(bytes) % PRIME;
        }
        Some(Self(points))
    }

    /// The fingerprint of `text`, each byte of it as `fold` makes it.
    pub(super) fn of(self, text: &[u8], fold: impl Fn(u8) -> u8) -> Fingerprint {
        let mut sums = [0; 2];
        for &byte in text {
            let value = u64::from(fold(byte)) + 1;
            for (sum, point) in sums.iter_mut().zip(self.0) {
                *sum = times_plus(*sum, point, value);
            }
        }
        Fingerprint(sums)
    }
}

/// `a * b + c` in the field; all of them below the prime number.
fn times_plus(a: u64, b: u64, c: u64) -> u64 {
    let product = u128::from(a) * u128::from(b) + u128::from(c);
    // 2^61 is 1 in the field. At most 2^61 of each half, so one more round is enough.
    let low = (product & u128::from(PRIME)) as u64;
    let high = (product >> 61) as u64;
    let sum = low + high;
    let folded = (sum & PRIME) + (sum >> 61);
    if folded == PRIME { 0 } else { folded }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_calculates_in_the_field(a in 0..PRIME, b in 0..PRIME, c in 0..PRIME) {
            let expected = (u128::from(a) * u128::from(b) + u128::from(c)) % u128::from(PRIME);
            prop_assert_eq!(u128::from(times_plus(a, b, c)), expected);
        }
    }

    #[test]
    fn the_extremes_stay_in_the_field() {
        let most = PRIME - 1;
        let expected = (u128::from(most) * u128::from(most) + u128::from(most)) % u128::from(PRIME);
        assert_eq!(u128::from(times_plus(most, most, most)), expected);
        assert_eq!(times_plus(most, 1, 1), 0);
    }

    #[test]
    fn equal_texts_alone_are_equal() {
        let mut next = 7_u8;
        let points = Points::draw(&mut |buffer| {
            buffer.fill_with(|| {
                next = next.wrapping_mul(201).wrapping_add(13);
                next
            });
            true
        });
        let points = points.unwrap();
        let of = |text: &[u8]| points.of(text, |byte| byte);
        assert!(of(b"sk-test") == of(b"sk-test"));
        for other in [&b"sk-tesu"[..], b"ks-test", b"SK-test", b"sk-\0est"] {
            assert!(of(b"sk-test") != of(other));
        }
        let lower = |text: &[u8]| points.of(text, |byte| byte.to_ascii_lowercase());
        assert!(lower(b"SK-Test") == of(b"sk-test"));
        assert!(Points::draw(&mut |_| false).is_none());
    }
}

//! Looks for the test key in whatever left the proxy: whole, in part, or encoded.

/// A made-up key. It opens nothing; it is long and odd enough not to turn up by accident.
pub const TEST_KEY: &str = "sk-test-Zq7vK2wXh9_RbT4nYc8LmJ6pDf3-GsA5uEe1WkQoHiV";

/// A fragment shorter than this is not taken for a part of the key.
const FRAGMENT: usize = 12;

/// How many bytes of a needle are compared before the match is extended.
const GRAM: usize = 4;

/// Where the key was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// How it was written: `plain`, `reversed`, `base64`, `hex`, `percent`...
    pub form: &'static str,
    /// Offset of the first byte found.
    pub offset: usize,
    /// Bytes found; shorter than the key when only a part of it leaked.
    pub len: usize,
}

/// Finds any form of [`TEST_KEY`] in `bytes`.
#[must_use]
pub fn find_key(bytes: &[u8]) -> Option<Leak> {
    test_key_scanner().find(bytes)
}

/// Panics when any form of [`TEST_KEY`] is in `bytes`; `what` names them in the message.
///
/// # Panics
/// On a leak.
#[track_caller]
pub fn assert_no_key(bytes: &[u8], what: &str) {
    test_key_scanner().assert_clean(bytes, what);
}

/// The scanner for [`TEST_KEY`], made once.
pub(crate) fn test_key_scanner() -> &'static Scanner {
    static SCANNER: std::sync::OnceLock<Scanner> = std::sync::OnceLock::new();
    SCANNER.get_or_init(|| Scanner::for_key(TEST_KEY.as_bytes()))
}

/// Looks for one key.
#[derive(Clone, Debug)]
pub struct Scanner {
    needles: Vec<Needle>,
    /// By first byte: the grams of every needle that a match must run through.
    anchors: Vec<Vec<Anchor>>,
}

#[derive(Clone, Debug)]
struct Needle {
    form: &'static str,
    bytes: Vec<u8>,
    /// The shortest part of `bytes` that counts as a leak.
    least: usize,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    needle: usize,
    at: usize,
}

impl Scanner {
    /// A scanner for `key`. A key of fewer than eight bytes finds nothing: it would turn up by
    /// accident.
    #[must_use]
    pub fn for_key(key: &[u8]) -> Self {
        let mut needles = Vec::new();
        if key.len() >= 8 {
            let least = FRAGMENT.min(key.len());
            needles.push(Needle {
                form: "plain",
                bytes: key.to_vec(),
                least,
            });
            let coded = crate::hpack::coded(key);
            let least_coded = FRAGMENT.min(coded.len());
            needles.push(Needle {
                form: "hpack",
                bytes: coded,
                least: least_coded,
            });
            let reversed = key.iter().rev().copied().collect();
            needles.push(Needle {
                form: "reversed",
                bytes: reversed,
                least,
            });
            for (form, prefix, upper) in [
                ("hex", "", false),
                ("hex", "", true),
                ("percent", "%", false),
                ("percent", "%", true),
            ] {
                let each = prefix.len() + 2;
                needles.push(Needle {
                    form,
                    bytes: hex(key, prefix, upper),
                    least: each * least,
                });
            }
            for shift in 0..3 {
                for url_safe in [false, true] {
                    let bytes = base64_inside(key, shift, url_safe);
                    // Four characters stand for three bytes; the ends of a fragment are blurred.
                    let least = (least / 3 * 4).min(bytes.len());
                    needles.push(Needle {
                        form: "base64",
                        bytes,
                        least,
                    });
                }
            }
        }
        let mut anchors = vec![Vec::new(); 256];
        for (index, needle) in needles.iter().enumerate() {
            // Any part of `least` bytes runs through one of the grams at these distances.
            let step = needle.least.saturating_sub(GRAM) + 1;
            for at in (0..=needle.bytes.len().saturating_sub(GRAM)).step_by(step) {
                anchors[usize::from(needle.bytes[at])].push(Anchor { needle: index, at });
            }
        }
        Self { needles, anchors }
    }

    /// The first place where some form of the key is in `bytes`.
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> Option<Leak> {
        self.find_besides(bytes, &[])
    }

    /// The same, but a part of the key is none where it stands, as it is and as a whole, in one
    /// of the `known` texts too.
    pub(crate) fn find_besides(&self, bytes: &[u8], known: &[Vec<u8>]) -> Option<Leak> {
        let is_known = |leak: &Leak| {
            let found = &bytes[leak.offset..leak.offset + leak.len];
            known
                .iter()
                .any(|text| text.windows(found.len()).any(|part| part == found))
        };
        for (position, byte) in bytes.iter().enumerate() {
            for anchor in &self.anchors[usize::from(*byte)] {
                let leak = self.needles[anchor.needle].extend(bytes, position, anchor.at);
                if let Some(leak) = leak.filter(|leak| !is_known(leak)) {
                    return Some(leak);
                }
            }
        }
        None
    }

    /// Panics when some form of the key is in `bytes`; `what` names them in the message.
    ///
    /// # Panics
    /// On a leak. The message does not repeat the bytes around it: logs are kept.
    #[track_caller]
    pub fn assert_clean(&self, bytes: &[u8], what: &str) {
        self.assert_clean_besides(bytes, &[], what);
    }

    /// The same, apart from what is in the `known` texts, see [`Self::find_besides`].
    #[track_caller]
    pub(crate) fn assert_clean_besides(&self, bytes: &[u8], known: &[Vec<u8>], what: &str) {
        if let Some(Leak { form, offset, len }) = self.find_besides(bytes, known) {
            panic!("THE KEY LEAKED in {what}: {len} bytes of it ({form}) at offset {offset}");
        }
    }
}

impl Needle {
    /// Grows a match of `self.bytes[at..]` at `bytes[position..]` both ways.
    fn extend(&self, bytes: &[u8], position: usize, at: usize) -> Option<Leak> {
        let after = bytes[position..]
            .iter()
            .zip(&self.bytes[at..])
            .take_while(|(found, wanted)| found == wanted)
            .count();
        if after < GRAM {
            return None;
        }
        let before = bytes[..position]
            .iter()
            .rev()
            .zip(self.bytes[..at].iter().rev())
            .take_while(|(found, wanted)| found == wanted)
            .count();
        let len = before + after;
        (len >= self.least).then(|| Leak {
            form: self.form,
            offset: position - before,
            len,
        })
    }
}

fn hex(key: &[u8], prefix: &str, upper: bool) -> Vec<u8> {
    key.iter()
        .flat_map(|byte| {
            let digits = if upper {
                format!("{byte:02X}")
            } else {
                format!("{byte:02x}")
            };
            [prefix.as_bytes(), digits.as_bytes()].concat()
        })
        .collect()
}

/// The characters of base64 that depend on the key alone when it starts `shift` bytes into a
/// group of three.
fn base64_inside(key: &[u8], shift: usize, url_safe: bool) -> Vec<u8> {
    const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let alphabet = if url_safe { URL_SAFE } else { STANDARD };
    let shifted: Vec<u8> = std::iter::repeat_n(0, shift)
        .chain(key.iter().copied())
        .collect();
    let encoded: Vec<u8> = shifted
        .chunks_exact(3)
        .flat_map(|group| {
            let bits = u32::from(group[0]) << 16 | u32::from(group[1]) << 8 | u32::from(group[2]);
            [18, 12, 6, 0].map(|right| alphabet[(bits >> right & 63) as usize])
        })
        .collect();
    // The first characters mix in bits of whatever stands before the key.
    let blurred = [0, 2, 3][shift];
    encoded[blurred..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_has_the_shape_of_one() {
        assert_eq!(TEST_KEY.len(), 51);
        assert!(
            TEST_KEY
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        );
    }

    #[test]
    fn finds_every_fragment_of_twelve_and_none_of_eleven() {
        for start in 0..=TEST_KEY.len() - 12 {
            let text = format!("x: {}!", &TEST_KEY[start..start + 12]);
            let leak = find_key(text.as_bytes()).expect("a fragment of twelve");
            assert_eq!((leak.offset, leak.len), (3, 12), "{start}");
            assert_eq!(find_key(&TEST_KEY.as_bytes()[start..start + 11]), None);
        }
    }

    #[test]
    fn finds_encoded_forms() {
        // From `printf 'user:%s' KEY | base64 -w0` and relatives.
        let encoded =
            b"dXNlcjpzay10ZXN0LVpxN3ZLMndYaDlfUmJUNG5ZYzhMbUo2cERmMy1Hc0E1dUVlMVdrUW9IaVY=";
        assert_eq!(find_key(encoded).expect("base64").form, "base64");
        let reversed: String = TEST_KEY.chars().rev().collect();
        assert_eq!(
            find_key(reversed.as_bytes()).expect("reversed").form,
            "reversed"
        );
        let percent: String = TEST_KEY.bytes().map(|b| format!("%{b:02X}")).collect();
        assert!(find_key(percent.as_bytes()).is_some());
    }

    #[test]
    fn finds_base64_at_any_alignment() {
        for pad in 0..6 {
            let text = [&b"abcdef"[..pad], TEST_KEY.as_bytes(), b"zzzzzz"].concat();
            assert!(find_key(&base64_inside(&text, 0, false)).is_some(), "{pad}");
        }
    }

    #[test]
    fn what_a_test_put_in_is_no_leak_and_a_byte_more_is_one() {
        let known = [format!("data: {}\n\n", &TEST_KEY[..40]).into_bytes()];
        let scanner = test_key_scanner();
        for len in [12, 39, 40] {
            let text = format!("...{}", &TEST_KEY[..len]);
            assert!(scanner.find(text.as_bytes()).is_some());
            assert_eq!(scanner.find_besides(text.as_bytes(), &known), None);
        }
        let longer = [known[0].as_slice(), &TEST_KEY.as_bytes()[..41]].concat();
        let leak = scanner.find_besides(&longer, &known).expect("a byte more");
        assert_eq!((leak.offset, leak.len), (known[0].len(), 41));
        let elsewhere = &TEST_KEY.as_bytes()[30..45];
        assert!(scanner.find_besides(elsewhere, &known).is_some());
    }

    #[test]
    fn is_quiet_on_ordinary_text() {
        assert_eq!(
            find_key(b"Authorization: Bearer sk-test-nothing-like-it_at_all"),
            None
        );
        assert_eq!(find_key(b""), None);
    }
}

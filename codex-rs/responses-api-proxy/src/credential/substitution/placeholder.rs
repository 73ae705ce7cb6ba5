//! What stands for a credential until it is encrypted: random, and as long as it in both forms. Pure.

use super::huffman::{self, LONG};
use super::{SCHEME, SubstitutionError};

/// What the placeholder of the credential in each slot begins with, behind the scheme. Their Huffman codes have
/// five bits, each another five: the first byte tells them apart in either form.
const FIRST: [u8; crate::credential::locked::SLOTS] = *b"012a";

/// So many letters are exchanged, at most, until the length fits: some hundreds are enough for the longest token.
const MOST_STEPS: usize = 1_000_000;

/// `Bearer ` and random letters, as long as `credential` in plain and `huffman_len` bytes long in Huffman code.
///
/// # Errors
///
/// [`SubstitutionError`] when there is no randomness, no such slot, or no text of that length in code.
pub(super) fn placeholder_for(
    credential: &[u8],
    huffman_len: usize,
    slot: usize,
    random: &mut dyn FnMut(&mut [u8]) -> bool,
) -> Result<Vec<u8>, SubstitutionError> {
    // What is overwritten below is the scheme's length and no secret: nothing of the credential is copied.
    let mut text = SCHEME.to_vec();
    text.resize(credential.len(), 0);
    let letters = text.get_mut(SCHEME.len()..).ok_or(SubstitutionError)?;
    if !random(letters) {
        return Err(SubstitutionError);
    }
    for byte in letters.iter_mut() {
        *byte = huffman::letter(*byte);
    }
    let (first, letters) = letters.split_first_mut().ok_or(SubstitutionError)?;
    *first = *FIRST.get(slot).ok_or(SubstitutionError)?;
    let wanted = u32::try_from(huffman_len).map_err(|_| SubstitutionError)?;
    let mut bits = huffman::bits(SCHEME) + huffman::bits(&[*first]) + huffman::bits(letters);
    // Beyond the longest code of a letter, only the characters with longer ones help.
    let needs_long = huffman_len.saturating_mul(8) > text_bits_at_most(credential.len());
    // Exchange letters for longer or shorter Huffman codes until the length fits.
    for _ in 0..MOST_STEPS {
        let huffman = bits.div_ceil(8);
        if huffman == wanted {
            return Ok(text);
        }
        let mut dice = [0; 4];
        if letters.is_empty() || !random(&mut dice) {
            return Err(SubstitutionError);
        }
        let [high, low, letter, long] = dice;
        let long = long % 8;
        let place = usize::from(u16::from_be_bytes([high, low])) % letters.len();
        let old = letters.get_mut(place).ok_or(SubstitutionError)?;
        let new = match LONG.get(usize::from(long)) {
            Some(&character) if needs_long => character,
            _ => huffman::letter(letter),
        };
        let (old_bits, new_bits) = (huffman::bits(&[*old]), huffman::bits(&[new]));
        if (huffman < wanted) == (new_bits > old_bits) && new_bits != old_bits {
            *old = new;
            bits = bits - old_bits + new_bits;
        }
    }
    Err(SubstitutionError)
}

/// How many bits `len` bytes of a header value take, of which all but the scheme and the first are the longest letters.
fn text_bits_at_most(len: usize) -> usize {
    let letters = len.saturating_sub(SCHEME.len() + 1);
    usize::try_from(huffman::bits(SCHEME)).unwrap_or(0) + 5 + letters * 8
}

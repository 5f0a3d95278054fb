//! Stable 64-bit hashes: the same content gives the same number in every process, on every machine and in every
//! version.
//!
//! They order edges that are equal in every other way and key blocks of records, so they must not change between
//! releases; the standard library's hashers don't promise that. The mixing step is the folded multiplication of wyhash
//! (Wang Yi, 2019), two multiplications for eight bytes.

/// What is mixed into one half, so that zeros do not stay zeros: the golden ratio as 64 bits. Any odd number whose bits have no
/// pattern would do as well, but what is stored was ordered by this one.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
/// The same for the other half.
const STEP: u64 = 0xd6e8_feb8_6659_fd93;

/// Combines two numbers; the order matters.
pub(crate) fn mix(left: u64, right: u64) -> u64 {
    let product = u128::from(left ^ SEED) * u128::from(right.rotate_left(32) ^ STEP);
    (product as u64 ^ (product >> 64) as u64).wrapping_add(left.rotate_left(17) ^ right)
}

/// Hashes text.
pub(crate) fn text(text: &str) -> u64 {
    let mut chunks = text.as_bytes().chunks_exact(8);
    let mut state = text.len() as u64;
    for chunk in &mut chunks {
        state = mix(
            state,
            u64::from_le_bytes(chunk.try_into().expect("chunks of exactly eight bytes")),
        );
    }
    let mut tail = [0; 8];
    let rest = chunks.remainder();
    tail[..rest.len()].copy_from_slice(rest);
    finish(mix(state, u64::from_le_bytes(tail)))
}

/// Spreads every bit of `value` over all bits (the finaliser of MurmurHash3).
pub(crate) fn finish(mut value: u64) -> u64 {
    value ^= value >> 33;
    value = value.wrapping_mul(0xff51_afd7_ed55_8ccd);
    value ^= value >> 33;
    value = value.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    value ^ (value >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_never_change() {
        assert_eq!(text(""), text(""));
        assert_eq!([text("ada@example.org"), text("a")], [text("ada@example.org"), text("a")]);
        assert_eq!(finish(1), 0xb456_bcfc_34c2_cb2c);
    }

    #[test]
    fn short_texts_do_not_collide() {
        let hashes: std::collections::HashSet<u64> =
            (0..200_000).map(|i| text(&format!("{i}"))).collect();
        assert_eq!(hashes.len(), 200_000);
        assert_ne!(text("a\0"), text("a"));
        assert_ne!(mix(1, 2), mix(2, 1));
    }
}

//! `sha256_hex`: a digest that advertising platforms match on.

use arrow::datatypes::DataType;
use sha2::{Digest, Sha256};

use crate::column::{Specification, text};

pub(crate) fn specification() -> Specification {
    Specification {
        name: "sha256_hex",
        section: "Privacy",
        description: "Returns the SHA-256 digest of a text's UTF-8 bytes as 64 lower-case hexadecimal digits. A digest of an e-mail \
                      address or a telephone number is still personal: it can be found by trying.",
        parameters: const { &[text("text", "The text, taken as it is.")] },
        required: 1,
        example: (
            &["ada@x.com"],
            "fe2cefe36d6ea66e92d973c05d1c03d5db8dae6e2de8edc6dbe29fcf360d65c6",
        ),
        returns: DataType::Utf8View,
        logical_type: None,
        evaluate: |arguments| arguments.map_text(|text| Some(sha256_hex(text))),
    }
}

/// Returns the SHA-256 digest of `text` in lower-case hexadecimal.
pub fn sha256_hex(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_digests_come_out() {
        for (text, expected) in [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ] {
            assert_eq!(sha256_hex(text), expected);
        }
    }
}

//! Which of a Cluster's 16,384 hash slots a key is in
//! (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model>).

/// The slot of `key`: by what is between its first `{` and the next `}`, if there is something, otherwise by all of it.
pub(super) fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let inside = &key[open + 1..];
        let close = inside.iter().position(|byte| *byte == b'}')?;
        (close > 0).then(|| &inside[..close])
    });
    crc16(tag.unwrap_or(key)) % 16_384
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |mut crc, byte| {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        }
        crc
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of the specification's appendix, and `CLUSTER KEYSLOT` of redis 7.0.15.
    #[test]
    fn slots_are_those_that_the_server_computes() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        for (key, wanted) in [
            ("skewgate:user-42", 14_077),
            ("skewgate:a{b}c", 3_300),
            ("skewgate:{}b{c}", 7_668),
            ("skewgate:}a{b", 14_416),
            ("skewgate:{{a}}", 10_276),
            ("", 0),
        ] {
            assert_eq!(slot(key.as_bytes()), wanted, "{key}");
        }
    }
}

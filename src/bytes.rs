//! Numbers as bytes, each in one way: for what is kept in files and databases.

/// Why bytes are no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// They end before it does.
    TooShort,
    /// Begins at this byte, and is written in another way than it would be.
    Invalid { at: usize },
}

/// A base-128 integer: its lowest seven bits first, the top bit of each byte saying whether there is another.
pub(crate) fn put(bytes: &mut Vec<u8>, mut value: u64) {
    loop {
        let [lowest, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return bytes.push(lowest & 0x7f);
        }
        bytes.push(lowest | 0x80);
    }
}

/// Small in either direction is small.
pub(crate) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

const fn zagzig(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Takes values from the front.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    pub(crate) at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes are left.
    pub(crate) const fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk());
        let taken = *taken.ok_or(Malformed::TooShort)?;
        self.at += N;
        Ok(taken)
    }

    /// So many bytes.
    pub(crate) fn slice(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(length).ok_or(Malformed::TooShort)?;
        let taken = self.bytes.get(self.at..end).ok_or(Malformed::TooShort)?;
        self.at = end;
        Ok(taken)
    }

    /// What [`put`] has written.
    #[inline]
    pub(crate) fn integer(&mut self) -> Result<u64, Malformed> {
        let begin = self.at;
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take()?;
            let bits = u64::from(byte & 0x7f);
            let last = byte & 0x80 == 0;
            // More than 64 bits, or a last byte that adds nothing: the same number could be written shorter.
            if (bits << shift) >> shift != bits || (last && byte == 0 && shift > 0) {
                return Err(Malformed::Invalid { at: begin });
            }
            value |= bits << shift;
            if last {
                return Ok(value);
            }
        }
        Err(Malformed::Invalid { at: begin })
    }

    /// What [`put`] has written of a [`zigzag`].
    pub(crate) fn signed(&mut self) -> Result<i64, Malformed> {
        self.integer().map(zagzig)
    }
}

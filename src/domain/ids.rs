//! Typed names of things: server-made ids, region codes, request ids.

use std::fmt;

use arrayvec::ArrayString;

/// Characters of an id: a prefix of four, and 32 hexadecimal digits.
pub const ID_LENGTH: usize = 36;

/// The text of an id. Answers name a dozen ids, and the general formatter is many times slower.
fn id_text(prefix: &str, raw: u128) -> [u8; ID_LENGTH] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'0'; ID_LENGTH];
    let (head, digits) = text.split_at_mut(ID_LENGTH - 32);
    head.copy_from_slice(prefix.as_bytes());
    for (pair, byte) in digits.chunks_exact_mut(2).zip(raw.to_be_bytes()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            pub const PREFIX: &'static str = $prefix;

            pub const fn from_u128(raw: u128) -> Self {
                Self(raw)
            }

            pub const fn as_u128(self) -> u128 {
                self.0
            }

            /// The text form, in ASCII.
            pub fn to_ascii(self) -> [u8; ID_LENGTH] {
                id_text(Self::PREFIX, self.0)
            }

            /// The text form; what `to_string` makes too, in a fraction of the time.
            pub fn to_text(self) -> String {
                String::from_utf8(self.to_ascii().to_vec()).unwrap_or_default()
            }

            /// Reads the text form: the prefix and 32 lower-case hexadecimal digits.
            pub fn parse(text: &str) -> Option<Self> {
                let digits = text.strip_prefix(Self::PREFIX)?;
                let plain = digits.len() == 32 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                if !plain {
                    return None;
                }
                u128::from_str_radix(digits, 16).ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(std::str::from_utf8(&self.to_ascii()).map_err(|_| fmt::Error)?)
            }
        }
    };
}

typed_id!(
    /// An insured person (参保人): `mem_` and a UUIDv7.
    MemberId, "mem_"
);
typed_id!(
    /// A tie between owner and beneficiary (绑定关系).
    BindingId, "bnd_"
);
typed_id!(
    /// A committed settlement (结算).
    SettlementId, "stl_"
);
typed_id!(
    /// A transfer between accounts (划转).
    TransferId, "trf_"
);

typed_id!(
    /// A certification of eligibility (资格认证).
    CertificationId, "crt_"
);

/// The six-digit `admdvs` code of a pooling region (统筹区). Only the province may be derived from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegionCode(u32);

impl RegionCode {
    /// Whose values hold where no region says otherwise.
    pub const NATIONAL: Self = Self(0);

    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit());
        if plain { text.parse().ok().map(Self) } else { None }
    }

    pub const fn as_u32(self) -> u32 {
        self.0
    }

    pub fn from_u32(raw: u32) -> Option<Self> {
        (raw <= 999_999).then_some(Self(raw))
    }

    /// The node of the province: the first two digits and zeros.
    pub const fn province(self) -> Self {
        Self(self.0 / 10_000 * 10_000)
    }
}

impl RegionCode {
    /// What `to_string` makes too, in a fraction of the time.
    pub fn to_text(self) -> String {
        let digits = [100_000, 10_000, 1_000, 100, 10, 1].map(|unit| b'0' + (self.0 / unit % 10) as u8);
        String::from_utf8(digits.to_vec()).unwrap_or_default()
    }
}

impl fmt::Display for RegionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

impl fmt::Debug for RegionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The caller's name for one change: 1–64 visible ASCII characters, so a national 30-character `msgid` fits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(String);

impl RequestId {
    pub const MAX_LEN: usize = 64;

    pub fn parse(text: &str) -> Option<Self> {
        is_printable(text, Self::MAX_LEN).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The code of a designated institution (定点医药机构), 1–32 visible ASCII characters. Kept in place: a settlement names it in
/// every posting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstitutionCode(ArrayString<32>);

impl InstitutionCode {
    pub const MAX_LEN: usize = 32;

    pub fn parse(text: &str) -> Option<Self> {
        if is_printable(text, Self::MAX_LEN) { ArrayString::from(text).ok().map(Self) } else { None }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Visible ASCII without the space, 1 to `max` characters.
pub fn is_printable(text: &str, max: usize) -> bool {
    !text.is_empty() && text.len() <= max && text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_what_they_print() {
        let id = MemberId::from_u128(0x0190_0000_0000_7000_8000_0000_0000_002a);
        assert_eq!((MemberId::parse(&id.to_string()), id.to_text()), (Some(id), id.to_string()));
        for bad in ["", "mem_", "bnd_019000000000700080000000000002a0", "mem_0190000000007000800000000000002A"] {
            assert_eq!(MemberId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_province_is_the_first_two_digits() {
        for (code, province) in [("130181", "130000"), ("429005", "420000"), ("500235", "500000"), ("139900", "130000")]
        {
            let code = RegionCode::parse(code).expect("test code");
            assert_eq!((code.province().to_string(), code.province().to_text()), (province.into(), province.into()));
        }
        assert_eq!(RegionCode::parse("44030"), None);
        assert_eq!(RegionCode::parse("44030a"), None);
    }

    #[test]
    fn request_ids_are_short_visible_ascii() {
        assert!(RequestId::parse("H44030000001202611220930150001").is_some());
        assert!(RequestId::parse(&"x".repeat(64)).is_some());
        for bad in ["", "a b", "编号", "a\n"] {
            assert!(RequestId::parse(bad).is_none(), "{bad:?}");
        }
        assert!(RequestId::parse(&"x".repeat(65)).is_none());
    }
}

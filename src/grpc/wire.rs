//! Fields of messages written as bytes, where building the message first would be most of the work.

use std::fmt::Display;
use std::io::Write as _;

/// The first byte of a field whose value has a length before it.
pub const fn bytes(field: u8) -> u8 {
    field << 3 | 2
}

/// The first byte of a field that is a number.
pub const fn number(field: u8) -> u8 {
    field << 3
}

/// A number as protobuf writes it.
pub fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A text field. Writes the text first and its length before it, which is one byte for nearly every text there is.
pub fn put_text(out: &mut Vec<u8>, field: u8, text: impl Display) {
    out.extend_from_slice(&[field, 0]);
    let start = out.len();
    let written = write!(out, "{text}");
    debug_assert!(written.is_ok(), "memory takes what is written");
    set_length(out, start);
}

/// A text field of less than 128 bytes that is at hand; the first byte of the field comes with it.
pub fn put_short(out: &mut Vec<u8>, first: u8, text: &[u8]) {
    debug_assert!(text.len() < 0x80, "its length is one byte");
    out.extend_from_slice(&[first, text.len() as u8]);
    out.extend_from_slice(text);
}

/// A text field that is a whole number in decimal.
pub fn put_decimal(out: &mut Vec<u8>, first: u8, number: i64) {
    put_short(out, first, itoa::Buffer::new().format(number).as_bytes());
}

/// The field of this number as `write` fills it, with its length before it.
pub fn put_message<T>(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    put_number(out, u64::from(number) << 3 | 2);
    out.push(0);
    let start = out.len();
    let result = write(out);
    set_length(out, start);
    result
}

/// Puts the length of what was written since `start` into the byte before it, or into as many as it needs.
fn set_length(out: &mut Vec<u8>, start: usize) {
    let length = out.len() - start;
    if length < 0x80 {
        out[start - 1] = length as u8;
        return;
    }
    let mut rest = length >> 7;
    let mut more = 0;
    while rest > 0 {
        more += 1;
        rest >>= 7;
    }
    out.resize(out.len() + more, 0);
    out.copy_within(start..start + length, start + more);
    let mut rest = length;
    for byte in &mut out[start - 1..start + more] {
        *byte = (rest & 0x7f) as u8 | 0x80;
        rest >>= 7;
    }
    out[start + more - 1] &= 0x7f;
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::grpc::proto;

    #[test]
    fn numbers_are_written_as_they_are_displayed() {
        for number in [0, 1, -1, 9, 10, -10, 1_234_567_890, i64::MAX, i64::MIN] {
            let (mut one, mut other) = (Vec::new(), Vec::new());
            put_decimal(&mut one, bytes(9), number);
            put_text(&mut other, bytes(9), number);
            assert_eq!(one, other, "{number}");
        }
    }

    #[test]
    fn lengths_of_every_size_are_those_of_the_message() {
        for length in [0, 1, 126, 127, 128, 129, 16_382, 16_383, 16_384, 16_385, 2_097_151, 2_097_152] {
            let value = proto::NamedValue { name: "n".to_owned(), value: "v".repeat(length) };
            let step = proto::Step { inputs: vec![value], ..Default::default() };
            let mut out = Vec::new();
            put_message(&mut out, 5, |out| {
                put_text(out, bytes(1), "n");
                if length > 0 {
                    put_text(out, bytes(2), "v".repeat(length));
                }
            });
            assert!(out == step.encode_to_vec(), "{length}");
        }
    }
}

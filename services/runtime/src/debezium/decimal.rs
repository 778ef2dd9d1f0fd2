//! Numbers as connectors write decimals: `decimal.handling.mode` and `numeric` columns without precision
//! (`io.debezium.data.VariableScaleDecimal`).

use super::Cell;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// The integer of an unscaled value in base64 (big-endian two's complement, as `java.math.BigInteger` writes it) with a scale; `None` when
/// it is a fraction, larger than 128 bits (38 digits, as many as a `NUMBER` has), or no number.
pub fn integer(base64: &str, scale: i128) -> Option<i128> {
    let bytes = BASE64_STANDARD.decode(base64).ok()?;
    let first = *bytes.first()?;
    // What lies above the low bytes may only repeat the sign.
    let sign = if first & 0x80 == 0 { 0 } else { 0xff };
    let (high, low) = bytes.split_at(bytes.len().saturating_sub(16));
    if high.iter().any(|byte| *byte != sign) {
        return None;
    }
    let mut unscaled = [sign; 16];
    unscaled[16 - low.len()..].copy_from_slice(low);
    let unscaled = i128::from_be_bytes(unscaled);
    if unscaled.is_negative() != (sign == 0xff) {
        return None;
    }
    if unscaled == 0 {
        return Some(0);
    }
    let factor = 10_i128.checked_pow(u32::try_from(scale.unsigned_abs()).ok()?)?;
    if scale < 0 {
        unscaled.checked_mul(factor)
    } else {
        (unscaled % factor == 0).then_some(unscaled / factor)
    }
}

/// The integer that a text writes without leading zeros, sign `+` or fraction: what a number becomes when it is sent as text, and no text
/// that stands for something else.
pub fn plain_integer(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == text || digits != "0");
    let has_no_lead = digits.len() == 1 || !digits.starts_with('0');
    (is_plain && has_no_lead).then(|| text.parse().ok()).flatten()
}

/// The integer that a text of digits writes, also with leading zeros, or with a fraction of nothing but zeros. What pads a fixed width
/// around it, spaces or NUL, does not count.
pub fn padded_integer(text: &str) -> Option<i128> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    let whole = match text.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0') => whole,
        Some(_) => return None,
        None => text,
    };
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| whole.parse().ok()).flatten()
}

/// The cell of a number with a fraction in JSON.
pub(super) fn of_float(value: f64) -> Cell<'static> {
    // Beyond 2^53 a double no longer says which integer it was.
    let is_whole = value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0;
    if is_whole { Cell::Integer(value as i128) } else { Cell::Other }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unscaled_values_with_their_scale() {
        for (base64, scale, value) in [
            ("AQ==", 0, Some(1)),
            ("fw==", 0, Some(127)),
            ("gA==", 0, Some(-128)),
            ("AIA=", 0, Some(128)),
            ("AAAAAAAAAAAAAAAAAAAAAAAAAQ==", 0, Some(1)),
            ("/////////////////////////w==", 0, Some(-1)),
            ("ZA==", 2, Some(1)),
            ("ZQ==", 2, None),
            ("AQ==", -3, Some(1000)),
            ("AA==", 38, Some(0)),
            ("AQ==", 400, None),
            ("f/////////8=", 0, Some(i64::MAX.into())),
            ("AIAAAAAAAAAA", 0, Some(1 << 63)),
            ("AIAAAAAAAAAAAAAAAAAAAAA=", 0, None),
            ("", 0, None),
            ("1", 0, None),
        ] {
            assert_eq!(integer(base64, scale), value, "{base64} {scale}");
        }
    }

    #[test]
    fn texts_of_integers() {
        for (text, plain, padded) in [
            ("1", Some(1), Some(1)),
            ("-7", Some(-7), Some(-7)),
            ("0", Some(0), Some(0)),
            ("-0", None, Some(0)),
            ("007", None, Some(7)),
            ("1.00", None, Some(1)),
            ("1.50", None, None),
            ("1.", None, None),
            ("+1", None, None),
            ("", None, None),
            ("-", None, None),
            (
                "20261127000000000001",
                Some(20_261_127_000_000_000_001),
                Some(20_261_127_000_000_000_001),
            ),
            ("340282366920938463463374607431768211456", None, None),
            ("A1", None, None),
            (" 7\0\0", None, Some(7)),
        ] {
            assert_eq!((plain_integer(text), padded_integer(text)), (plain, padded), "{text}");
        }
        assert!(of_float(1.0) == Cell::Integer(1) && of_float(1.5) == Cell::Other && of_float(1e300) == Cell::Other);
    }
}

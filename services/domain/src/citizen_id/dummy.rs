//! Numbers that are typed where there is none, because a field must be filled (占位号码).

use super::CitizenId;

/// Divisions that are none and were none (GB/T 2260 since 1980), but are easily typed. 222222 and 654321 are counties.
const DIVISIONS: [u32; 13] = [
    0, 12_345, 100_000, 111_111, 123_123, 123_456, 333_333, 444_444, 555_555, 666_666, 777_777, 888_888, 999_999,
];

/// Whether nobody can have a number: its division is a typing pattern, its birth is in no century of anybody who was given a number, or
/// it has a system's default birth date with a default sequence.
///
/// A pattern that is no calendar day (123456789012345) needs no rule, and a division that is merely unknown is no reason: codes date from
/// when the number was given.
pub(super) fn is_dummy(number: CitizenId) -> bool {
    let (year, month, day) = number.birth_date().ymd();
    let sequence = number.digits() % 1000;
    let default = matches!((year, month, day), (1900, 1, 1) | (1899, 12, 30 | 31));
    // Real people of these days have sequences between, and a county.
    let typed = sequence <= 10 || sequence.is_multiple_of(111) || sequence == 123 || number.division().is_multiple_of(10_000);
    DIVISIONS.contains(&number.division()) || !(1800..2100).contains(&year) || (default && typed)
}

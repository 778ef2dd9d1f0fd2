//! Mutations of JSON and of bytes.

use serde_json::Value;

/// JSON tokens at the ends of something.
const TOKENS: &[&str] = &[
    "0",
    "-1",
    "1",
    "2147483647",
    "-2147483648",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "1e308",
    "-0",
    "1.5",
    "2932896",
    "2932897",
    "-719162",
    "-719163",
    "253402300799999999",
    "99991231",
    "999912",
    "190001",
    "20270231",
    "null",
    "true",
    "false",
    "[]",
    "{}",
    "\"\"",
    "\" \"",
    "\"\\u0000\"",
    "\"\\u001b[2J\"",
    "\"9999-12-31\"",
    "\"0000-01-01\"",
    "\"0001-01-01\"",
    "\"99991231\"",
    "\"000101\"",
    "\"9999-12-31T23:59:60Z\"",
    "\"0000-01-01T00:00:00+23:59\"",
    "\"320501199003070012\"",
    "\"320102999912310014\"",
    "\"320102000101010011\"",
    "\"111111111111111111\"",
    "\"\\u202e\\u200b\"",
    "\"__debezium_unavailable_value\"",
    "\"ａ１２\"",
    "\"·\"",
    "\"32\"",
    "\"999999999999\"",
    "\"last\"",
    "\"c\"",
    "\"u\"",
    "\"d\"",
];

/// Ends of Avro's variable-length integers, and lengths that lie.
const VARINTS: &[&[u8]] = &[
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xfe, 0xff, 0xff, 0xff, 0x0f],
    &[0x80, 0x80, 0x80, 0x80, 0x08],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0xc0, 0x84, 0xe6, 0x02],
    &[0x00],
    &[0x01],
];

/// xorshift64*: the same inputs for the same seed, on every machine.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// A generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`; 0 when there is none.
    pub(super) fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() >> 11) as usize % end }
    }

    pub(super) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(super) fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// Changes one place of a JSON value.
pub(super) fn json(random: &mut Random, value: &mut Value) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            let names: Vec<String> = members.keys().cloned().collect();
            let name = random.of(&names).clone();
            match random.below(16) {
                0 => drop(members.remove(&name)),
                1 => {
                    let copy = members[&name].clone();
                    members.insert(format!("{name}x"), copy);
                }
                2 => {
                    let copy = members[random.of(&names)].clone();
                    members.insert(name, copy);
                }
                _ => json(random, &mut members[&name]),
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let at = random.below(items.len());
            json(random, &mut items[at]);
        }
        leaf => *leaf = token(random),
    }
}

fn token(random: &mut Random) -> Value {
    match random.below(8) {
        0 => Value::String("长".repeat(random.below(800))),
        1 => Value::from(random.next() as i64),
        2 => {
            let length = random.below(24);
            let character = |random: &mut Random| char::from_u32((random.next() % 0x1_1000) as u32).unwrap_or('\0');
            Value::String((0..length).map(|_| character(random)).collect())
        }
        3 => {
            let length = random.below(20);
            Value::String((0..length).map(|_| char::from(b'0' + random.below(10) as u8)).collect())
        }
        4 => Value::from(random.below(80_000) as i64 - 30_000),
        _ => serde_json::from_str(random.of::<&str>(TOKENS)).unwrap_or_default(),
    }
}

/// Changes some bytes; `other` lends pieces of itself.
pub(super) fn bytes(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=random.below(4) {
        let length = bytes.len();
        let at = random.below(length + 1);
        let piece = |random: &mut Random, from: &[u8], most: usize| {
            let start = random.below(from.len());
            from[start..(start + random.below(most)).min(from.len())].to_vec()
        };
        match random.below(9) {
            0 if at < length => bytes[at] = random.next() as u8,
            1 if at < length => bytes[at] ^= 1 << random.below(8),
            2 => bytes.truncate(at),
            3 => drop(bytes.splice(at..at, random.of::<&str>(TOKENS).bytes())),
            4 if at < length => drop(bytes.drain(at..(at + random.below(40)).min(length))),
            5 if length > 0 => {
                let own = piece(random, bytes, 200);
                bytes.splice(at..at, own);
            }
            6 if !other.is_empty() => {
                let lent = piece(random, other, 100);
                bytes.splice(at..at, lent);
            }
            7 => {
                let byte = *random.of(&[b'[', b'{', b'"', b',', 0xff, 0xef, 0]);
                let times = if random.one_in(200) { 20_000 } else { random.below(30) };
                bytes.splice(at..at, std::iter::repeat_n(byte, times));
            }
            8 if at < length => drop(bytes.splice(at..=at, random.of::<&[u8]>(VARINTS).iter().copied())),
            _ => (),
        }
    }
}

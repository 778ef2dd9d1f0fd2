//! How the values of the domain stand in Avro: ids as sixteen bytes or hexadecimal text, codes by name, dates and months as integers.
//!
//! [`plain`], [`opt`], [`list`] and [`hex`] are for `#[serde(with = "...")]` on the fields of wire types.
//!
//! Reading checks: whatever came out of here lies inside [`domain::limits`], so that nothing behind it can overflow, or be refused by
//! the database. Schemas cannot say such things; who wrote the bytes may have been anybody.

use crate::event::{FindingStatus, Remedy, Scope};
use domain::date::{Day, Month, Timestamp};
use domain::decision::Verdict;
use domain::division::{City, Division};
use domain::document::DocumentKind;
use domain::facts::{
    BenefitKind, BenefitStatus, CardStatus, CircumstanceKind, ContributionStatus, EmployerKind, EmploymentForm, FactsKind,
    HardshipKind, HukouStatus, MaritalStatus, Occupation, Post,
};
use domain::finding::{AlertKind, EvidenceRole, FormReason, Overlap, Rule};
use domain::ids::{AnchorId, RecordId};
use domain::limits::{self, LARGEST_RANK, LONGEST_KEY, LONGEST_LIST, LONGEST_TEXT};
use domain::name::Name;
use domain::person::Standing;
use domain::personal::Personal;
use domain::release::{Cause, EventKind};
use domain::scheme::Scheme;
use domain::sex::Sex;
use domain::shard::Shard;
use domain::source::{Agency, TableName};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// A value of the domain that has a place in a schema.
pub trait Wire: Sized {
    /// Writes it as the schema wants it.
    fn put<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
    /// Reads it. The text of an error is one of [`REFUSED`], never what was read.
    fn take<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

struct Put<'a, T>(&'a T);

impl<T: Wire> Serialize for Put<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.put(serializer)
    }
}

struct Take<T>(T);

impl<'de, T: Wire> Deserialize<'de> for Take<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::take(deserializer).map(Self)
    }
}

/// A value.
pub mod plain {
    use super::{Deserializer, Serializer, Wire};

    pub fn serialize<T: Wire, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        value.put(serializer)
    }

    pub fn deserialize<'de, T: Wire, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        T::take(deserializer)
    }
}

/// A value or null.
pub mod opt {
    use super::{Deserialize, Deserializer, Put, Serialize, Serializer, Take, Wire};

    #[allow(clippy::ref_option, reason = "serde passes a reference to the field")]
    pub fn serialize<T: Wire, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(Put).serialize(serializer)
    }

    pub fn deserialize<'de, T: Wire, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
        Ok(Option::<Take<T>>::deserialize(deserializer)?.map(|taken| taken.0))
    }
}

/// Values in an array.
pub mod list {
    use super::{Deserialize, Deserializer, Error, LIST, LONGEST_LIST, Put, Serializer, Take, Wire};

    pub fn serialize<T: Wire, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(Put))
    }

    pub fn deserialize<'de, T: Wire, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
        let taken = Vec::<Take<T>>::deserialize(deserializer)?;
        if taken.len() > LONGEST_LIST {
            return Err(D::Error::custom(LIST));
        }
        Ok(taken.into_iter().map(|taken| taken.0).collect())
    }
}

/// An epoch or a mapping revision.
pub mod rank {
    use super::{Deserialize, Deserializer, Error, LARGEST_RANK, RANK, Serialize, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference to the field")]
    pub fn serialize<S: Serializer>(rank: &u16, serializer: S) -> Result<S::Ok, S::Error> {
        rank.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
        let rank = u16::deserialize(deserializer)?;
        if rank > LARGEST_RANK {
            return Err(D::Error::custom(RANK));
        }
        Ok(rank)
    }
}

/// The canonical key of a source record: longer than other texts.
pub mod key {
    use super::{Cow, Deserialize, Deserializer, Error, KEY, LONGEST_KEY, Personal, Serialize, Serializer, limits};

    #[allow(clippy::ptr_arg, reason = "serde passes a reference to the field")]
    pub fn serialize<S: Serializer>(key: &Cow<'_, Personal>, serializer: S) -> Result<S::Ok, S::Error> {
        key.reveal().serialize(serializer)
    }

    pub fn deserialize<'de, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'a, Personal>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if limits::is_text(&text, LONGEST_KEY) {
            Ok(Cow::Owned(Personal::new(text)))
        } else {
            Err(D::Error::custom(KEY))
        }
    }
}

/// An id as text, for subscribers: 32 hexadecimal digits.
pub mod hex {
    use super::{Deserialize, Deserializer, Error, IDENTIFIER, Serializer};
    use std::fmt::Display;
    use std::str::FromStr;

    pub fn serialize<T: Display, S: Serializer>(id: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&id.to_string())
    }

    pub fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(|_| D::Error::custom(IDENTIFIER))
    }
}

/// Ids as text, in an array.
pub mod hex_list {
    use super::{Deserialize, Deserializer, Error, IDENTIFIER, Serializer};
    use std::fmt::Display;
    use std::str::FromStr;

    pub fn serialize<T: Display, S: Serializer>(ids: &[T], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(ids.iter().map(ToString::to_string))
    }

    pub fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts
            .iter()
            .map(|text| text.parse().map_err(|_| D::Error::custom(IDENTIFIER)))
            .collect()
    }
}

/// A circumstance stands in a row of another kind.
pub const CIRCUMSTANCE: &str = "kind of a row with a circumstance";
const IDENTIFIER: &str = "identifier";
const KEY: &str = "key of a record";
const LIST: &str = "list: it is too long";
const RANK: &str = "epoch or mapping revision";

macro_rules! wire {
    ($($type:ty, $what:literal, $repr:ty, |$value:ident| $put:expr, |$read:ident| $take:expr;)*) => {
        $(impl Wire for $type {
            fn put<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let $value = self;
                $put.serialize(serializer)
            }

            fn take<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let $read = <$repr>::deserialize(deserializer)?;
                $take.ok_or_else(|| D::Error::custom($what))
            }
        })*

        /// What can be wrong with a value that follows the schema: the only texts an error may carry.
        pub const REFUSED: &[&str] = &[CIRCUMSTANCE, IDENTIFIER, KEY, LIST, RANK, $($what),*];
    };
}

wire! {
    Agency, "agency", String, |value| value.as_str(), |text| text.parse().ok();
    AlertKind, "alert kind", String, |value| value.as_str(), |text| Self::from_name(&text);
    BenefitKind, "benefit kind", String, |value| value.as_str(), |text| Self::from_name(&text);
    BenefitStatus, "benefit status", String, |value| value.as_str(), |text| Self::from_name(&text);
    CardStatus, "card status", String, |value| value.as_str(), |text| Self::from_name(&text);
    CircumstanceKind, "circumstance kind", String, |value| value.as_str(), |text| Self::from_name(&text);
    ContributionStatus, "contribution status", String, |value| value.as_str(), |text| Self::from_name(&text);
    DocumentKind, "document kind", String, |value| value.as_str(), |text| text.parse().ok();
    EmployerKind, "employer kind", String, |value| value.as_str(), |text| Self::from_name(&text);
    EmploymentForm, "employment form", String, |value| value.as_str(), |text| Self::from_name(&text);
    EvidenceRole, "evidence role", String, |value| value.as_str(), |text| Self::from_name(&text);
    FactsKind, "facts kind", String, |value| value.as_str(), |text| Self::from_name(&text);
    FormReason, "form reason", String, |value| value.as_str(), |text| Self::from_name(&text);
    HardshipKind, "hardship kind", String, |value| value.as_str(), |text| Self::from_name(&text);
    HukouStatus, "hukou status", String, |value| value.as_str(), |text| Self::from_name(&text);
    MaritalStatus, "marital status", String, |value| value.as_str(), |text| Self::from_name(&text);
    Occupation, "occupation", String, |value| value.as_str(), |text| Self::from_name(&text);
    Overlap, "overlap", String, |value| value.as_str(), |text| Self::from_name(&text);
    Post, "post", String, |value| value.as_str(), |text| Self::from_name(&text);
    Rule, "rule", String, |value| value.as_str(), |text| Self::from_name(&text);
    Scheme, "scheme", String, |value| value.as_str(), |text| text.parse().ok();
    Standing, "standing", String, |value| value.as_str(), |text| Self::from_name(&text);
    EventKind, "event kind", String, |value| value.as_str(), |text| Self::from_name(&text);
    Cause, "cause", String, |value| value.as_str(), |text| Self::from_name(&text);
    Remedy, "remedy", String, |value| value.as_str(), |text| Self::from_name(&text);
    Scope, "scope", String, |value| value.as_str(), |text| Self::from_name(&text);
    Verdict, "verdict", String, |value| value.as_str(), |text| Self::from_name(&text);
    FindingStatus, "finding status", String, |value| value.as_str(), |text| Self::from_name(&text);

    Name, "name", String, |value| value.reveal_raw(),
        |text| limits::is_text(&text, LONGEST_TEXT).then(|| Self::parse(&text).ok()).flatten();
    Personal, "personal text", String, |value| value.reveal(),
        |text| limits::is_text(&text, LONGEST_TEXT).then(|| Self::new(text));
    String, "text", String, |value| value.as_str(), |text| limits::is_text(&text, LONGEST_TEXT).then_some(text);
    TableName, "table", String, |value| value.as_str(), |text| limits::is_table(&text).then(|| Self::new(text));

    Sex, "sex", u8, |value| value.code(), |code| Self::from_code(code);
    City, "city", u16, |value| value.code(), |code| Self::from_code(code);
    Shard, "shard", u8, |value| value.number(), |number| Self::new(number);
    Day, "day", i32, |value| value.0, |days| limits::day(days.into());
    Month, "month", i32, |value| yyyymm(*value), |code| Self::from_yyyymm(code);
    Timestamp, "timestamp", i64, |value| value.0, |millis| limits::instant(millis);
    Division, "division", i64, |value| value.code() as i64, |code| u64::try_from(code).ok().and_then(|code| code.try_into().ok());
    // Avro has no unsigned integers; nothing counted here reaches 2^63.
    u64, "unsigned integer", i64, |value| i64::try_from(*value).unwrap_or(i64::MAX), |value| u64::try_from(value).ok();
    domain::citizen_id::CitizenId, "citizen number", i64, |value| value.digits() as i64,
        |digits| u64::try_from(digits).ok().and_then(|digits| Self::from_digits(digits).ok());
    domain::document::DocumentNumber, "document number", String, |value| value.reveal(), |text| Self::parse(&text).ok();
}

/// `yyyymm`; a month outside the years 1 to 9999, which no constructor makes, is drawn to the nearest of them.
fn yyyymm(month: Month) -> i32 {
    let (first, last) = (Month(12), Month(9999 * 12 + 11));
    month.clamp(first, last).yyyymm()
}

macro_rules! fixed {
    ($($id:ty),*) => {
        $(impl Wire for $id {
            fn put<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&self.0)
            }

            fn take<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_bytes(Sixteen).map(Self)
            }
        })*
    };
}

fixed!(RecordId, AnchorId);

struct Sixteen;

impl Visitor<'_> for Sixteen {
    type Value = [u8; 16];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sixteen bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<[u8; 16], E> {
        bytes.try_into().map_err(|_| E::custom(IDENTIFIER))
    }
}

/// What is written is borrowed, what is read is owned.
impl<T: Wire + Clone> Wire for Cow<'_, T> {
    fn put<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_ref().put(serializer)
    }

    fn take<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::take(deserializer).map(Cow::Owned)
    }
}

/// Makes a type of the domain [`Wire`] through the `serde(remote)` type that mirrors its schema.
macro_rules! remote {
    ($($type:ty => $mirror:ident),* $(,)?) => {
        $(impl $crate::wire::Wire for $type {
            fn put<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $mirror::serialize(self, serializer)
            }

            fn take<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $mirror::deserialize(deserializer)
            }
        })*
    };
}
pub(crate) use remote;

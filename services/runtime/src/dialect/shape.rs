//! Which fields each kind of table has, what they hold and how columns may write it.

use super::codes::Target;
use super::field::{Field, Kind, named};
use domain::document::DocumentKind;
use domain::facts::{
    BenefitKind, BenefitStatus, CardStatus, CircumstanceKind, ContributionStatus, EmployerKind, EmploymentForm, HardshipKind,
    HukouStatus, MaritalStatus, Occupation, Post,
};
use domain::scheme::Scheme;
use domain::sex::Sex;

/// What a field holds, which decides the encodings its column may have.
#[derive(Clone, Copy)]
pub(super) enum Content {
    /// Text.
    Text,
    /// A value of a code set.
    Code(Target),
    /// Yes or no.
    Flag,
    /// A calendar day.
    Day,
    /// A month.
    Month,
    /// An instant.
    Instant,
    /// A division code.
    Division,
    /// Number of an ethnicity, GB/T 3304.
    Ethnicity,
}

/// Whether a dialect must map a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Mandatory,
    Optional,
}

/// How far it reaches that a field holds what nobody can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The whole row: findings, or whom the row is about, follow from the field, so that without it they would be told on a misreading.
    Row,
    /// The field alone: it is shown and nothing follows from it. It is unknown, with its cause in the dead letters, and the row's other
    /// facts hold.
    Alone,
    /// The field alone, which keeps its last value: that of the image before, if it is of the same person and the field named here, where
    /// one is, was the same. An address says nothing of another place.
    Keeps(Option<Field>),
    /// The field alone where the row states a usable citizen number, which says the same and wins over it; else the row.
    BesideNumber,
}

use Content::{Code, Day, Division, Ethnicity, Flag, Instant, Month, Text};
use Need::{Mandatory, Optional};
use Reach::{Alone, BesideNumber, Keeps, Row};

/// A field of a kind: what it holds, whether it must be mapped, and how far it reaches that it cannot be read.
pub(super) type Spec = (Field, Content, Need, Reach);

/// Whom a row is about: the same in every kind about persons.
const IDENTITY: &[Spec] = &[
    (Field::Number, Text, Mandatory, Row),
    (Field::DocumentKind, Code(Target::of::<DocumentKind>()), Optional, Row),
    (Field::Name, Text, Mandatory, Row),
    (Field::Birth, Day, Optional, BesideNumber),
    (Field::Sex, Code(Target::of::<Sex>()), Optional, BesideNumber),
];

impl Kind {
    /// The fields beside the identity's.
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn facts(self) -> &'static [Spec] {
        match self {
            Self::Resident => {
                const {
                    &[
                        (Field::FormerName, Text, Optional, Row),
                        (Field::Ethnicity, Ethnicity, Optional, Keeps(None)),
                        (Field::Hukou, Division, Optional, Row),
                        (Field::HukouAddress, Text, Optional, Keeps(Some(Field::Hukou))),
                        (Field::Residence, Division, Optional, Row),
                        (Field::ResidenceAddress, Text, Optional, Keeps(Some(Field::Residence))),
                        (Field::Death, Day, Optional, Row),
                        (Field::Status, Code(Target::of::<HukouStatus>()), Mandatory, Row),
                        (Field::Phone, Text, Optional, Keeps(None)),
                    ]
                }
            }
            Self::TemporaryResident => {
                const {
                    &[
                        (Field::Hukou, Division, Optional, Row),
                        (Field::Residence, Division, Optional, Row),
                        (Field::ResidenceAddress, Text, Optional, Keeps(Some(Field::Residence))),
                        (Field::From, Day, Optional, Row),
                        (Field::Until, Day, Optional, Row),
                        (Field::Cancelled, Day, Optional, Row),
                        (Field::Phone, Text, Optional, Keeps(None)),
                    ]
                }
            }
            Self::NumberCorrection => const { &[(Field::FormerNumber, Text, Mandatory, Row)] },
            Self::Funeral => const { &[(Field::Death, Day, Mandatory, Row), (Field::Cremation, Day, Optional, Row)] },
            Self::Marriage => {
                const {
                    &[
                        (Field::Status, Code(Target::of::<MaritalStatus>()), Mandatory, Row),
                        (Field::Registered, Day, Optional, Alone),
                    ]
                }
            }
            Self::Hardship => {
                const {
                    &[
                        (Field::Assistance, Code(Target::of::<HardshipKind>()), Mandatory, Row),
                        (Field::From, Day, Optional, Row),
                        (Field::Until, Day, Optional, Row),
                        (Field::Place, Division, Optional, Row),
                    ]
                }
            }
            Self::Person => {
                const {
                    &[
                        (Field::Ethnicity, Ethnicity, Optional, Keeps(None)),
                        (Field::Occupation, Code(Target::of::<Occupation>()), Optional, Row),
                        (Field::Post, Code(Target::of::<Post>()), Optional, Row),
                        (Field::Nationality, Text, Optional, Row),
                        (Field::Phone, Text, Optional, Keeps(None)),
                        (Field::Address, Text, Optional, Keeps(None)),
                        (Field::Place, Division, Optional, Row),
                    ]
                }
            }
            Self::Employment => {
                const {
                    &[
                        (Field::Unit, Text, Optional, Row),
                        (Field::UnitName, Text, Optional, Keeps(Some(Field::Unit))),
                        (Field::Employer, Code(Target::of::<EmployerKind>()), Mandatory, Row),
                        (Field::Form, Code(Target::of::<EmploymentForm>()), Mandatory, Row),
                        (Field::From, Day, Mandatory, Row),
                        (Field::Until, Day, Optional, Row),
                        (Field::Place, Division, Optional, Row),
                    ]
                }
            }
            Self::Enrolment => {
                const {
                    &[
                        (Field::Scheme, Code(Target::of::<Scheme>()), Mandatory, Row),
                        (Field::Status, Code(Target::of::<ContributionStatus>()), Mandatory, Row),
                        (Field::From, Day, Optional, Row),
                        (Field::Until, Day, Optional, Row),
                        (Field::FirstMonth, Month, Optional, Row),
                        (Field::PaidThrough, Month, Optional, Row),
                        (Field::DeferredUntil, Month, Optional, Row),
                        (Field::Transferring, Flag, Optional, Row),
                        (Field::Unit, Text, Optional, Row),
                        (Field::Place, Division, Optional, Row),
                    ]
                }
            }
            Self::Benefit => {
                const {
                    &[
                        (Field::Scheme, Code(Target::of::<Scheme>()), Mandatory, Row),
                        (Field::Benefit, Code(Target::of::<BenefitKind>()), Mandatory, Row),
                        (Field::Status, Code(Target::of::<BenefitStatus>()), Mandatory, Row),
                        (Field::From, Day, Optional, Row),
                        (Field::Until, Day, Optional, Row),
                        (Field::Place, Division, Optional, Row),
                    ]
                }
            }
            Self::Card => {
                const {
                    &[
                        (Field::Status, Code(Target::of::<CardStatus>()), Mandatory, Row),
                        (Field::Issued, Day, Optional, Alone),
                    ]
                }
            }
            // A day that cannot be read leaves the row unreadable: an exemption neither ends nor begins by a misreading.
            Self::Circumstance => {
                const {
                    &[
                        (Field::Circumstance, Code(Target::of::<CircumstanceKind>()), Mandatory, Row),
                        (Field::From, Day, Optional, Row),
                        (Field::Until, Day, Optional, Row),
                        (Field::Place, Division, Optional, Row),
                    ]
                }
            }
            Self::Employer => {
                const {
                    &[
                        (Field::Unit, Text, Mandatory, Row),
                        (Field::UnitName, Text, Mandatory, Row),
                        (Field::UnitCode, Text, Optional, Keeps(Some(Field::Unit))),
                        (Field::Employer, Code(Target::of::<EmployerKind>()), Mandatory, Row),
                        (Field::Place, Division, Optional, Row),
                    ]
                }
            }
            Self::Completeness => const { &[(Field::Time, Instant, Mandatory, Row), (Field::DataDate, Day, Optional, Row)] },
        }
    }

    /// Every field of the kind.
    pub(super) fn fields(self) -> impl Iterator<Item = &'static Spec> {
        let identity = if self.facts_kind().is_some() { IDENTITY } else { &[] };
        identity.iter().chain(self.facts())
    }
}

named! {
    /// How a column writes its value in JSON.
    Encoding {
        /// Text.
        Text = "text",
        /// Text in GB 18030 (or GBK, GB 2312), its bytes in base64: what becomes of text that a database keeps as bytes.
        Gb18030 = "gb18030-base64",
        /// An integer, read as the text of its digits.
        Integer = "int",
        /// A whole decimal in base64 (`org.apache.kafka.connect.data.Decimal` with scale 0, under `decimal.handling.mode=precise`), read
        /// as the text of its digits.
        Base64 = "decimal-base64",
        /// A bit string in base64, the lowest byte first (`io.debezium.data.Bits`), or a single bit as a boolean; read as the text of its
        /// number's digits.
        Bits = "bits",
        /// A boolean.
        Boolean = "bool",
        /// Days since 1970-01-01 (`DATE`, `io.debezium.time.Date`).
        DateDays = "date-days",
        /// Text `yyyy-mm-dd`, `yyyy/mm/dd` or `yyyymmdd`, or the integer `yyyymmdd`.
        DateText = "date-text",
        /// A month as the integer or text `yyyymm`, or the text `yyyy-mm`.
        YearMonth = "yyyymm",
        /// Milliseconds of a wall clock in China since 1970-01-01T00:00 (`io.debezium.time.Timestamp`: Oracle's `DATE`, `DATETIME(0)` to
        /// `(3)`, whatever comes under `time.precision.mode=connect`).
        TimestampMillis = "timestamp-millis",
        /// Microseconds of a wall clock in China since 1970-01-01T00:00 (`timestamp`, `io.debezium.time.MicroTimestamp`).
        TimestampMicros = "timestamp-micros",
        /// Nanoseconds of a wall clock in China since 1970-01-01T00:00 (`io.debezium.time.NanoTimestamp`: `TIMESTAMP(7)` to `(9)`).
        TimestampNanos = "timestamp-nanos",
        /// Milliseconds of an instant since 1970-01-01T00:00Z: midnight in China where a program made a date of it, which was at 16:00 UTC, in
        /// summer time at 15:00. No type of Debezium's; programs that publish by themselves write it.
        InstantMillis = "instant-millis",
        /// Microseconds of such an instant.
        InstantMicros = "instant-micros",
        /// ISO 8601 text with its zone (`timestamptz`, `io.debezium.time.ZonedTimestamp`).
        TimestampText = "timestamp-text",
        /// Text of a wall clock in China without a zone: `yyyy-mm-dd hh:mm:ss`, also with `T` and with a fraction.
        WallClockText = "wall-clock-text",
        /// Text or integer of 2, 4, 6, 9 or 12 digits.
        Division = "division",
    }
}

impl Content {
    /// The encodings a column of this content may have; the first is meant when a file states none, if it is the only one or
    /// plain text.
    pub(super) fn encodings(self) -> &'static [Encoding] {
        use Encoding as E;
        match self {
            Text => &[E::Text, E::Integer, E::Base64, E::Gb18030],
            Code(_) | Ethnicity => &[E::Text, E::Integer, E::Base64, E::Bits, E::Gb18030],
            Flag => &[E::Boolean, E::Text, E::Integer, E::Base64, E::Bits],
            Day => &[
                E::DateDays,
                E::DateText,
                E::TimestampMillis,
                E::TimestampMicros,
                E::TimestampNanos,
                E::InstantMillis,
                E::InstantMicros,
                E::TimestampText,
                E::WallClockText,
            ],
            Month => &[E::YearMonth, E::Base64],
            Instant => &[
                E::TimestampText,
                E::WallClockText,
                E::TimestampMillis,
                E::TimestampMicros,
                E::TimestampNanos,
                E::InstantMillis,
                E::InstantMicros,
            ],
            Division => &[E::Division, E::Base64],
        }
    }

    /// The code set, for contents that need a code table in this encoding.
    pub(super) fn target(self, encoding: Encoding) -> Option<Target> {
        match self {
            Code(target) => Some(target),
            Flag if encoding != Encoding::Boolean => Some(Target::of::<bool>()),
            _ => None,
        }
    }
}

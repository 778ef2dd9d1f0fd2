//! Which fields each kind of table has, what they hold and how columns may write it.

use super::codes::Target;
use super::field::{Field, Kind, named};
use domain::document::DocumentKind;
use domain::facts::{
    BenefitKind, BenefitStatus, CardStatus, ContributionStatus, EmployerKind, EmploymentForm, HardshipKind, HukouStatus,
    MaritalStatus, Occupation, Post,
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

use Content::{Code, Day, Division, Ethnicity, Flag, Instant, Month, Text};
use Need::{Mandatory, Optional};

type Spec = (Field, Content, Need);

/// Whom a row is about: the same in every kind about persons.
const IDENTITY: &[Spec] = &[
    (Field::Number, Text, Mandatory),
    (Field::DocumentKind, Code(Target::of::<DocumentKind>()), Optional),
    (Field::Name, Text, Mandatory),
    (Field::Birth, Day, Optional),
    (Field::Sex, Code(Target::of::<Sex>()), Optional),
];

impl Kind {
    /// The fields beside the identity's.
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn facts(self) -> &'static [Spec] {
        match self {
            Self::Resident => {
                const {
                    &[
                        (Field::FormerName, Text, Optional),
                        (Field::Ethnicity, Ethnicity, Optional),
                        (Field::Hukou, Division, Optional),
                        (Field::HukouAddress, Text, Optional),
                        (Field::Residence, Division, Optional),
                        (Field::ResidenceAddress, Text, Optional),
                        (Field::Death, Day, Optional),
                        (Field::Status, Code(Target::of::<HukouStatus>()), Mandatory),
                        (Field::Phone, Text, Optional),
                    ]
                }
            }
            Self::TemporaryResident => {
                const {
                    &[
                        (Field::Hukou, Division, Optional),
                        (Field::Residence, Division, Optional),
                        (Field::ResidenceAddress, Text, Optional),
                        (Field::From, Day, Optional),
                        (Field::Until, Day, Optional),
                        (Field::Cancelled, Day, Optional),
                        (Field::Phone, Text, Optional),
                    ]
                }
            }
            Self::NumberCorrection => const { &[(Field::FormerNumber, Text, Mandatory)] },
            Self::Funeral => const { &[(Field::Death, Day, Mandatory), (Field::Cremation, Day, Optional)] },
            Self::Marriage => {
                const {
                    &[
                        (Field::Status, Code(Target::of::<MaritalStatus>()), Mandatory),
                        (Field::Registered, Day, Optional),
                    ]
                }
            }
            Self::Hardship => {
                const {
                    &[
                        (Field::Assistance, Code(Target::of::<HardshipKind>()), Mandatory),
                        (Field::From, Day, Optional),
                        (Field::Until, Day, Optional),
                        (Field::Place, Division, Optional),
                    ]
                }
            }
            Self::Person => {
                const {
                    &[
                        (Field::Ethnicity, Ethnicity, Optional),
                        (Field::Occupation, Code(Target::of::<Occupation>()), Optional),
                        (Field::Post, Code(Target::of::<Post>()), Optional),
                        (Field::Nationality, Text, Optional),
                        (Field::Phone, Text, Optional),
                        (Field::Address, Text, Optional),
                        (Field::Place, Division, Optional),
                    ]
                }
            }
            Self::Employment => {
                const {
                    &[
                        (Field::Unit, Text, Optional),
                        (Field::UnitName, Text, Optional),
                        (Field::Employer, Code(Target::of::<EmployerKind>()), Mandatory),
                        (Field::Form, Code(Target::of::<EmploymentForm>()), Mandatory),
                        (Field::From, Day, Mandatory),
                        (Field::Until, Day, Optional),
                        (Field::Place, Division, Optional),
                    ]
                }
            }
            Self::Enrolment => {
                const {
                    &[
                        (Field::Scheme, Code(Target::of::<Scheme>()), Mandatory),
                        (Field::Status, Code(Target::of::<ContributionStatus>()), Mandatory),
                        (Field::From, Day, Optional),
                        (Field::Until, Day, Optional),
                        (Field::FirstMonth, Month, Optional),
                        (Field::PaidThrough, Month, Optional),
                        (Field::DeferredUntil, Month, Optional),
                        (Field::Transferring, Flag, Optional),
                        (Field::Unit, Text, Optional),
                        (Field::Place, Division, Optional),
                    ]
                }
            }
            Self::Benefit => {
                const {
                    &[
                        (Field::Scheme, Code(Target::of::<Scheme>()), Mandatory),
                        (Field::Benefit, Code(Target::of::<BenefitKind>()), Mandatory),
                        (Field::Status, Code(Target::of::<BenefitStatus>()), Mandatory),
                        (Field::From, Day, Optional),
                        (Field::Until, Day, Optional),
                        (Field::Place, Division, Optional),
                    ]
                }
            }
            Self::Card => {
                const {
                    &[
                        (Field::Status, Code(Target::of::<CardStatus>()), Mandatory),
                        (Field::Issued, Day, Optional),
                    ]
                }
            }
            Self::Employer => {
                const {
                    &[
                        (Field::Unit, Text, Mandatory),
                        (Field::UnitName, Text, Mandatory),
                        (Field::UnitCode, Text, Optional),
                        (Field::Employer, Code(Target::of::<EmployerKind>()), Mandatory),
                        (Field::Place, Division, Optional),
                    ]
                }
            }
            Self::Completeness => const { &[(Field::Time, Instant, Mandatory), (Field::DataDate, Day, Optional)] },
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
        /// An integer, read as the text of its digits.
        Integer = "int",
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
            Text | Code(_) | Ethnicity => &[E::Text, E::Integer],
            Flag => &[E::Boolean, E::Text, E::Integer],
            Day => &[
                E::DateDays,
                E::DateText,
                E::TimestampMillis,
                E::TimestampMicros,
                E::TimestampNanos,
                E::TimestampText,
                E::WallClockText,
            ],
            Month => &[E::YearMonth],
            Instant => &[
                E::TimestampText,
                E::WallClockText,
                E::TimestampMillis,
                E::TimestampMicros,
                E::TimestampNanos,
            ],
            Division => &[E::Division],
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

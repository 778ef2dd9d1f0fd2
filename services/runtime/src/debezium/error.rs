//! Why a message became a dead letter.

use std::borrow::Cow;
use std::fmt::{self, Write};

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The class of a dead letter: stable, for counting, alert rules and the header of the dead letter.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorClass { $($(#[$doc])* $name,)* }

        impl ErrorClass {
            /// Every class.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its stable name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The class of a name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|class| class.as_str() == name)
            }
        }
    };
}

classes! {
    /// Key or value is no UTF-8 JSON.
    NotJson = "not-json",
    /// Framed for a schema registry, and not understood: the schema is not to be had, or does not fit the bytes.
    WrongFrame = "wrong-frame",
    /// JSON, but no Debezium envelope, or a row that is no object.
    WrongEnvelope = "wrong-envelope",
    /// No dialect maps the table.
    UnknownTable = "unknown-table",
    /// The message, or one of its key columns, has no key.
    MissingKey = "missing-key",
    /// The key has other columns than the mapping names, or other values than the row.
    KeyMismatch = "key-mismatch",
    /// The message or a text in it is longer than anything meant.
    Oversized = "oversized",
    /// A row without number and name is about nobody.
    NoIdentity = "no-identity",
    /// A row of a table lacks a mapped column, which is another thing than a null there.
    AbsentColumn = "absent-column",
    /// A value that contradicts another of the row, such as a death before the birth.
    Contradiction = "contradiction",
    /// A text that was cut or converted in the midst of a character.
    BrokenText = "broken-text",
    /// A mapped column holds `__debezium_unavailable_value`.
    UnavailableValue = "unavailable-value",
    /// A day, month or time that no calendar has.
    ImpossibleDate = "impossible-date",
    /// A code that the dialect does not list, or a division that is none.
    UnknownCode = "unknown-code",
    /// A number was expected: an integer, or a usable identity number.
    NotANumber = "not-a-number",
    /// The column holds another type than its encoding says.
    WrongEncoding = "wrong-encoding",
    /// A column that the facts cannot do without is null.
    MissingValue = "missing-value",
}

impl ErrorClass {
    /// What to do about a letter of this class, as the sources' contracts have it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::NotJson => "check the converter",
            Self::WrongFrame => "check which registry the converter writes to",
            Self::WrongEnvelope => r#"as the letter says: declare `rows = "flattened"`, or remove the transform"#,
            Self::UnknownTable => "map the table, or list it under `ignored`",
            Self::MissingKey => "give the table a primary key or `message.key.columns`",
            Self::KeyMismatch => "align `key` in the dialect",
            Self::Oversized => "exclude the column",
            Self::NoIdentity => "publish the exchange table, not the internal one",
            Self::AbsentColumn => {
                "map the table as it now is, a renamed column with its old name under `former`, and raise the revision; or say `optional = true`"
            }
            Self::Contradiction => "correct the row; list a value that stands for none under `none`",
            Self::BrokenText => {
                "correct the row; where all texts are so, state `charset`, accept with `--reread` and take a full snapshot: what broken keys named stays until one has passed"
            }
            Self::UnavailableValue => "`ALTER TABLE … REPLICA IDENTITY FULL`",
            Self::UnknownCode => "correct the row, or add the code and raise the revision",
            Self::NotANumber => "correct the encoding or the row",
            Self::WrongEncoding => "correct the encoding in the dialect",
            Self::ImpossibleDate | Self::MissingValue => "correct the row",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a message could not be read: the class, the column and what was expected there.
///
/// Never the value, which may be personal; of a code column a short ASCII value is told, since the agency needs it to act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormaliseError {
    /// The class.
    pub class: ErrorClass,
    /// The source column, when it is about one.
    pub column: Option<String>,
    /// What was expected, or what to do.
    pub expected: Cow<'static, str>,
    /// The unknown code, when it may be shown: at most eight letters and digits of a code column.
    pub code: Option<String>,
    /// What else of the same row cannot be read: class and column of each.
    pub also: String,
}

impl NormaliseError {
    /// An error of a class; `column` must be a name of the mapping, never text of the message.
    pub fn new(class: ErrorClass, column: Option<&str>, expected: impl Into<Cow<'static, str>>) -> Self {
        Self {
            class,
            column: column.map(str::to_owned),
            expected: expected.into(),
            code: None,
            also: String::new(),
        }
    }

    /// The first of several about one row, with what the others are about; `None` of none.
    pub fn of_all(errors: Vec<Self>) -> Option<Self> {
        let mut errors = errors.into_iter();
        let mut first = errors.next()?;
        for other in errors {
            let of = other.column.map_or_else(String::new, |column| format!(" in column {column}"));
            write!(first.also, "; also {}{of}", other.class).expect("a string");
        }
        Some(first)
    }

    /// Adds the value of a code column if it may be shown.
    #[must_use]
    pub fn with_code(mut self, value: &str) -> Self {
        let shown = value.len() <= 8 && value.bytes().all(|byte| byte.is_ascii_alphanumeric());
        self.code = shown.then(|| value.to_owned());
        self
    }
}

impl fmt::Display for NormaliseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.class.as_str())?;
        if let Some(column) = &self.column {
            write!(f, " in column {column}")?;
        }
        write!(f, ": expected {}", self.expected)?;
        self.code.iter().try_for_each(|code| write!(f, ", found {code}"))?;
        f.write_str(&self.also)
    }
}

impl std::error::Error for NormaliseError {}

/// What the message of a dead letter tells: a [`NormaliseError`] as it was written, to be counted by its parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    /// The source column, when it is about one.
    pub column: Option<String>,
    /// What was expected, or what to do.
    pub expected: String,
    /// The code that was found, where it may be shown.
    pub code: Option<String>,
    /// What else of the row cannot be read and what of it was cut, as written; empty when there is nothing.
    pub rest: String,
}

impl Told {
    /// Takes a message apart; one of another form is what was expected, whole.
    pub fn parse(message: &str) -> Self {
        let (head, tail) = message.split_once(": expected ").unwrap_or(("", message));
        let column = head.split_once(" in column ").map(|(_, column)| column.to_owned());
        let ends = ["; also ", CUT].iter().filter_map(|mark| tail.find(mark));
        let (body, rest) = tail.split_at(ends.min().unwrap_or(tail.len()));
        let (expected, code) = match body.rsplit_once(", found ") {
            Some((expected, code)) => (expected, Some(code.to_owned())),
            None => (body, None),
        };
        Self {
            column,
            expected: expected.to_owned(),
            code,
            rest: rest.trim_start_matches("; ").to_owned(),
        }
    }
}

/// How a letter begins to say what of its message it has not kept.
pub(crate) const CUT: &str = "; the first ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_the_column_and_what_was_expected_but_only_short_codes() {
        let error = NormaliseError::new(ErrorClass::UnknownCode, Some("aae140"), "a code of table scheme");
        assert_eq!(
            error.clone().with_code("777").to_string(),
            "unknown-code in column aae140: expected a code of table scheme, found 777"
        );
        for personal in ["320501199003070012", "张三", "a b"] {
            assert!(!error.clone().with_code(personal).to_string().contains("found"));
        }
    }

    #[test]
    fn what_is_written_is_taken_apart_again() {
        let error = |column: Option<&str>| NormaliseError::new(ErrorClass::UnknownCode, column, "a code: of table scheme");
        for (error, rest) in [
            (error(None), ""),
            (error(Some("险种 类型")).with_code("777"), ""),
            (
                NormaliseError::of_all(vec![error(Some("aae140")).with_code("7"), error(Some("aac004"))]).expect("two"),
                "also unknown-code in column aac004",
            ),
        ] {
            let told = Told::parse(&error.to_string());
            let NormaliseError {
                column, expected, code, ..
            } = error;
            let written = (column, expected.into_owned(), code, rest.to_owned());
            assert_eq!((told.column, told.expected, told.code, told.rest), written);
        }
        assert_eq!(Told::parse("something else").expected, "something else");
    }

    #[test]
    fn class_names_are_unique() {
        let names: std::collections::BTreeSet<_> = ErrorClass::ALL.iter().map(|class| class.as_str()).collect();
        assert_eq!(names.len(), ErrorClass::ALL.len());
    }
}

//! Who gives a command, for the record.

/// The operator's account.
pub(crate) fn who() -> String {
    std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned())
}

//! A policy with the text that states it: what stands in the logs, so that a replay describes everybody under the policy of the time.

use super::{Policy, PolicyError};
use crate::limits::{LONGEST_POLICY, is_text_of_lines};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// SHA-256 of a policy's text (政策文本摘要), as `sha256sum` prints it of the file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PolicyDigest([u8; 32]);

impl PolicyDigest {
    /// The digest of a text.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// The 32 bytes as stored.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads stored bytes; `None` unless there are 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for PolicyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PolicyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Names one text of one version of the policy (政策版本).
///
/// Of those that a shard has heard, the highest is in force: so the order in which they were heard changes nothing, and repeats do nothing.
/// Two texts of one version are refused before they are sent ([`PolicyId::may_follow`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PolicyId {
    /// The version that the text states.
    pub version: u32,
    /// The digest of the text.
    pub digest: PolicyDigest,
}

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version {} (sha256 {})", self.version, self.digest)
    }
}

/// Why a policy cannot follow the one that is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotNewer {
    /// The text was changed without a new version.
    #[error(
        "this text of policy version {version} has sha256 {offered}, the one in force has {known}: a changed policy needs a higher version. \
         Raise `version` in the file to {} and run `canbao policy adopt` again", version + 1
    )]
    Changed {
        /// The version of both.
        version: u32,
        /// The digest of the text that is in force.
        known: PolicyDigest,
        /// The digest of the text that was offered.
        offered: PolicyDigest,
    },
    /// A version that was left behind.
    #[error(
        "policy version {offered} is older than version {known}, which is in force: to go back to its values, raise `version` in the file to \
         {} and run `canbao policy adopt` again", known + 1
    )]
    Older {
        /// The version in force.
        known: u32,
        /// The version that was offered.
        offered: u32,
    },
}

impl PolicyId {
    /// Whether this policy may be stated where `known` is in force: as a newer version, or as the same text once more.
    ///
    /// # Errors
    /// [`NotNewer`], with what to do.
    pub fn may_follow(self, known: Self) -> Result<(), NotNewer> {
        match self.version.cmp(&known.version) {
            std::cmp::Ordering::Greater => Ok(()),
            std::cmp::Ordering::Equal if self.digest == known.digest => Ok(()),
            std::cmp::Ordering::Equal => Err(NotNewer::Changed {
                version: self.version,
                known: known.digest,
                offered: self.digest,
            }),
            std::cmp::Ordering::Less => Err(NotNewer::Older {
                known: known.version,
                offered: self.version,
            }),
        }
    }
}

/// A policy with the text it was read from (政策文本). Read once per text, then shared.
#[derive(Clone)]
pub struct Edition {
    id: PolicyId,
    text: String,
    policy: Policy,
}

/// Two are the same when their texts are: everything else follows from the text.
impl PartialEq for Edition {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Edition {}

/// Its name stands for it: the text is long.
impl fmt::Debug for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy {}", self.id)
    }
}

impl Edition {
    /// Reads and checks a text.
    ///
    /// # Errors
    /// When it is no policy, or larger than an entry of the logs takes.
    pub fn parse(text: impl Into<String>) -> Result<Self, PolicyError> {
        let text = text.into();
        if text.len() > LONGEST_POLICY {
            return Err(PolicyError::TooLong { bytes: text.len() });
        }
        if !is_text_of_lines(&text) {
            return Err(PolicyError::Control);
        }
        let policy = Policy::parse(&text)?;
        let id = PolicyId {
            version: policy.version,
            digest: PolicyDigest::of(&text),
        };
        Ok(Self { id, text, policy })
    }

    /// The policy that the crate carries: the first of a new base, unless another is given.
    ///
    /// # Panics
    /// Never: a test holds that the embedded file is a policy.
    pub fn embedded() -> Self {
        Self::parse(super::EMBEDDED).expect("the embedded policy is checked by a test")
    }

    /// What names it.
    pub fn id(&self) -> PolicyId {
        self.id
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the text says.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edition(from: &str, to: &str) -> Edition {
        Edition::parse(super::super::EMBEDDED.replacen(from, to, 1)).expect("a policy")
    }

    #[test]
    fn a_changed_text_needs_a_higher_version() {
        let first = Edition::embedded();
        let changed = edition("grace_days = 30", "grace_days = 60");
        let newer = edition("version = 2 ", "version = 3 ");
        assert_eq!(first.id().may_follow(first.id()), Ok(()), "the same again is harmless");
        assert_eq!(newer.id().may_follow(first.id()), Ok(()));
        let refused = changed.id().may_follow(first.id()).expect_err("changed").to_string();
        let (known, offered) = (first.id().digest.to_string(), changed.id().digest.to_string());
        for word in [known.as_str(), offered.as_str(), "to 3", "canbao policy adopt"] {
            assert!(refused.contains(word), "{refused}");
        }
        let refused = first.id().may_follow(newer.id()).expect_err("older").to_string();
        assert!(refused.contains("to 4"), "{refused}");
    }

    #[test]
    fn a_text_is_a_policy_that_an_entry_takes() {
        assert_eq!(Edition::embedded(), Edition::parse(super::super::EMBEDDED).expect("a policy"));
        let long = format!("{}#{}", super::super::EMBEDDED, "x".repeat(LONGEST_POLICY));
        assert!(matches!(Edition::parse(long), Err(PolicyError::TooLong { .. })));
        let nul = format!("{}# \0", super::super::EMBEDDED);
        assert!(matches!(Edition::parse(nul), Err(PolicyError::Control)));
        assert!(matches!(
            Edition::parse(super::super::EMBEDDED.replacen("version = 2 ", "version = 0 ", 1)),
            Err(PolicyError::Value { .. })
        ));
    }
}

//! Which topics hold the notifications of whose connector: templates like those of tables' topics (`topics.notifications`).

use super::written::{Templates, Written};
use super::{TemplateError, TopicNames};
use domain::source::Source;
use serde::de::{self, Deserializer};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// Beside the prefix of the source's tables.
const STANDARD: &str = "{agency}.{city}.notifications";
/// What stands in the place of a table: a notifications topic holds none, and is one for a whole source.
const NONE: &str = "notifications";

/// Which topics hold the notifications of whose connector. The first template that fits a topic says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationNames(TopicNames);

impl Default for NotificationNames {
    fn default() -> Self {
        Self::compile(vec![Written::of(STANDARD)]).expect("the standard template is right")
    }
}

impl NotificationNames {
    fn compile(mut written: Vec<Written>) -> Result<Self, TemplateError> {
        for written in &mut written {
            written.table = Some(NONE.to_owned());
        }
        TopicNames::compile("topics.notifications", written).map(Self)
    }

    /// The source whose connector's notifications a topic holds; `None` when it holds none.
    pub fn source_of(&self, topic: &str) -> Option<Source> {
        self.0
            .0
            .iter()
            .find_map(|template| template.read(topic))
            .map(|(source, _)| source)
    }
}

impl<'de> Deserialize<'de> for NotificationNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let failed = |error| de::Error::custom(format!("topics.notifications: {error}"));
        let written = deserializer.deserialize_any(Templates).map_err(failed)?;
        Self::compile(written).map_err(de::Error::custom)
    }
}

impl Serialize for NotificationNames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.0.iter().map(|template| Written {
            table: None,
            ..template.written.clone()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Serialize)]
    struct Holder {
        names: NotificationNames,
    }

    fn named(names: &NotificationNames, topic: &str) -> Option<String> {
        names.source_of(topic).map(|source| source.to_string())
    }

    #[test]
    fn notifications_stand_beside_the_tables_unless_a_template_says_otherwise() {
        let standard = NotificationNames::default();
        assert_eq!(
            named(&standard, "human-resources.3201.notifications").as_deref(),
            Some("human-resources.3201")
        );
        for topic in [
            "human-resources.3201.public.notifications",
            "notifications",
            "x.3201.notifications",
        ] {
            assert_eq!(named(&standard, topic), None, "{topic}");
        }
        let text = r#"["dc1.{agency}.{city}.told", { topic = "dc1.hr.told", agency = "human-resources", city = 3206 }]"#;
        let configured: Holder = toml::from_str(&format!("names = {text}")).expect("templates");
        assert_eq!(
            named(&configured.names, "dc1.hr.told").as_deref(),
            Some("human-resources.3206")
        );
        assert_eq!(
            named(&configured.names, "dc1.civil-affairs.3201.told").as_deref(),
            Some("civil-affairs.3201")
        );
        assert_eq!(named(&configured.names, "human-resources.3201.notifications"), None);
        let printed = toml::to_string(&configured).expect("printable");
        let again: Holder = toml::from_str(&printed).expect("what is printed can be read");
        assert_eq!(again.names, configured.names);
        let wrong = toml::from_str::<Holder>(r#"names = ["{agency}.told"]"#)
            .err()
            .expect("no city")
            .to_string();
        assert!(
            wrong.contains("topics.notifications[0]") && wrong.contains("does not say the city"),
            "{wrong}"
        );
    }
}

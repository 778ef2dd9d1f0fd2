//! What a reviewer should know of the name that a row states: under one number it need not be the person's letter by letter.

use domain::name::{Name, NameMatch};

/// How far the name of a row agrees with the one that the person is known by; `None` where they are the same.
pub(super) fn likeness(known: &Name, stated: &Name) -> Option<String> {
    let text = match known.compare(stated) {
        NameMatch::Same => return None,
        NameMatch::Exchanged => {
            let pairs: Vec<String> = known
                .exchanged(stated)
                .iter()
                .map(|(one, other)| format!(" {one}/{other}"))
                .collect();
            format!("the names agree only by exchanged characters{}", pairs.join(","))
        }
        NameMatch::Wildcard => "the names agree only where both can be read".to_owned(),
        NameMatch::Different => {
            "another name: a former one of theirs (更名, 曾用名), or a decision calls the rows one person's".to_owned()
        }
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reviewer_is_told() {
        for (known, stated, begins) in [
            (
                "赵锺昇",
                "赵钟升",
                Some("the names agree only by exchanged characters 锺/钟, 昇/升"),
            ),
            (
                "Søren Ångström",
                "ANGSTROM SOREN",
                Some("the names agree only by exchanged characters"),
            ),
            ("张大伟", "张?伟", Some("the names agree only where both can be read")),
            ("張大偉", "张大伟", None),
            ("夏明月", "夏招娣", Some("another name: a former one of theirs")),
        ] {
            let [known, stated] = [known, stated].map(|name| Name::parse(name).expect("a name"));
            let said = likeness(&known, &stated);
            assert_eq!(said.is_some(), begins.is_some());
            assert!(
                said.as_deref().unwrap_or_default().starts_with(begins.unwrap_or_default()),
                "{said:?}"
            );
        }
    }
}

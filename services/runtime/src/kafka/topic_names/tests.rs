//! Templates: what they read, what they subscribe to, and what they are not.

use super::*;
use domain::division::City;
use domain::source::Agency;
use proptest::prelude::*;

fn names(toml: &str) -> Result<TopicNames, String> {
    #[derive(serde::Deserialize)]
    struct File {
        sources: TopicNames,
    }
    let file: Result<File, toml::de::Error> = toml::from_str(&format!("sources = {toml}"));
    file.map(|file| file.sources).map_err(|error| error.to_string())
}

fn source(name: &str) -> Source {
    name.parse().expect("a source")
}

fn city(code: u16) -> City {
    City::from_code(code).expect("a city")
}

#[test]
fn the_standard_names_are_those_that_connectors_make() {
    let names = TopicNames::standard();
    for (topic, table) in [
        ("human-resources.3206.public.ac02", "ac02"),
        ("human-resources.3206.exchange.ac02", "ac02"),
        ("human-resources.3206.HR.AC02", "AC02"),
        ("human-resources.3206.hr.dbo.ac02", "ac02"),
        ("human-resources.3206.public.notifications", "notifications"),
    ] {
        assert_eq!(
            names.table_of(topic),
            Some((source("human-resources.3206"), table)),
            "{topic}"
        );
        assert_eq!(names.named_in(topic), Some(source("human-resources.3206")), "{topic}");
    }
    for unread in [
        "dc1.human-resources.3206.public.ac02",
        "human-resources.3206.ac02",
        "human-resources.3206.a.b.c.ac02",
    ] {
        assert_eq!(names.table_of(unread), None, "{unread}");
        assert_eq!(names.named_in(unread), Some(source("human-resources.3206")), "{unread}");
    }
    for other in NEVER
        .into_iter()
        .chain(["human-resources.9999.public.ac02", "tax.3206.public.t", "orders", "", "."])
    {
        assert_eq!(names.table_of(other), None, "{other}");
        assert_eq!(names.named_in(other), None, "{other}");
    }
    let patterns = [
        r"^human-resources\.3206\.[^.]+\.[^.]+$",
        r"^human-resources\.3206\.[^.]+\.[^.]+\.[^.]+$",
    ];
    assert_eq!(names.patterns(source("human-resources.3206")), patterns);
}

/// Topics of this system, and of connectors.
const NEVER: [&str; 17] = [
    "human-resources.3206",
    "human-resources.3206.dlq",
    "human-resources.3206.notifications",
    "human-resources.3206.transaction",
    "human-resources.3206.schemahistory",
    "__debezium-heartbeat.human-resources.3206",
    "dc1.__debezium-heartbeat.human-resources.3206",
    "dc1.human-resources.3206.transaction",
    "schemahistory.human-resources.3206",
    "schema-changes.human-resources.3206",
    "__consumer_offsets",
    "alerts.double-enrolled.3206",
    "findings",
    "person.records",
    "person.registry",
    "connect.human-resources.3206.dlq",
    "dc1.human-resources.3206",
];

#[test]
fn what_is_not_in_the_name_is_stated_beside_it() {
    let names = names(
        r#"[
            { topic = "dc1.hr.prod.*.{table}", agency = "human-resources", city = 3206 },
            { topic = "ora-{city}.people", agency = "public-security", table = "czrk" },
            { topic = "human-resources.3206.hr.dbo.ac02", agency = "human-resources", city = "3206", table = "old_ac02" },
            "{agency}.{city}.*.{table}",
            "{agency}.{city}.*.*.{table}",
            "{agency}.{city}.{table}",
        ]"#,
    )
    .expect("templates");
    for (topic, of, table) in [
        ("dc1.hr.prod.x.AC02", "human-resources.3206", "AC02"),
        ("ora-3201.people", "public-security.3201", "czrk"),
        ("human-resources.3206.hr.dbo.ac02", "human-resources.3206", "old_ac02"),
        ("human-resources.3206.hr.dbo.ac60", "human-resources.3206", "ac60"),
        ("human-resources.3206.ac02", "human-resources.3206", "ac02"),
    ] {
        assert_eq!(names.table_of(topic), Some((source(of), table)), "{topic}");
    }
    for never in NEVER
        .into_iter()
        .chain(["ora-9999.people", "ora-3201.others", "dc1.hr.prod.AC02"])
    {
        assert_eq!(names.table_of(never), None, "{never}");
    }
    let written = toml::Value::try_from(&names).expect("written").to_string();
    assert_eq!(super::tests::names(&written), Ok(names), "{written}");
}

#[test]
fn what_leaves_something_open_or_says_it_twice_is_refused_by_its_place() {
    for (toml, said) in [
        (
            r#"["{agency}.{city}.x"]"#,
            "topics.sources[0]: `{agency}.{city}.x` does not say the table",
        ),
        (
            r#"["{agency}.{city}.{table}", "{city}.{table}"]"#,
            "topics.sources[1]: `{city}.{table}` does not say the agency",
        ),
        (
            r#"["{agency}.{table}"]"#,
            "does not say the city: put {city} into it, or state `city` beside it",
        ),
        (r#"["{agency}.{city}.{table}.{table}"]"#, "says the table more than once"),
        (r#"["{agency}.{city}.{table}{table}"]"#, "is no part of a name"),
        (r#"["{agency}{city}.{table}"]"#, "is no part of a name"),
        (
            r#"[{ topic = "{agency}.{city}.{table}", city = "3201" }]"#,
            "says the city more than once",
        ),
        (r#"[{ topic = "{city}.{table}", agency = "tax" }]"#, "agency: unknown agency"),
        (
            r#"[{ topic = "{agency}.{table}", city = "9999" }]"#,
            "city code from 3200 to 3213",
        ),
        (
            r#"[{ topic = "{agency}.{city}", table = "a.b" }]"#,
            "`a.b` is no name of a table",
        ),
        (r#"[{ topic = "{agency}.{city}", tabel = "a" }]"#, "tabel"),
        (r#"["{agency}.{city}..{table}"]"#, "`` is no part of a name"),
        (r#"["{agency}.{city}.[a-z]+.{table}"]"#, "is no part of a name"),
        (r#"["{agency}.{city}.{schema}.{table}"]"#, "`{schema}` is no part of a name"),
        ("[]", "at least one template"),
    ] {
        let error = names(toml).expect_err(toml);
        assert!(error.contains(said) && error.contains("sources"), "{toml}: {error}");
    }
}

fn part() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_-]{1,6}"
}

/// A source, and parts of a name that are no source.
fn of() -> impl Strategy<Value = Source> {
    (1..=3_u8, 3200..=3213_u16).prop_map(|(agency, code)| Source {
        agency: Agency::from_code(agency).expect("registered"),
        city: city(code),
    })
}

/// What stands in a template, and what in a topic that it fits.
fn pieces(source: Source) -> impl Strategy<Value = (Vec<(String, String)>, String)> {
    let fixed = part().prop_map(|text| (text.clone(), text));
    let star = part().prop_map(|text| ("*".to_owned(), text));
    let around = (part(), part());
    let others = proptest::collection::vec(prop_oneof![fixed, star], 0..4);
    (others, part(), around, any::<[prop::sample::Index; 3]>()).prop_map(move |(mut pieces, table, (before, after), places)| {
        let city = source.city.code();
        let holes = [
            ("{agency}".to_owned(), source.agency.to_string()),
            (format!("{before}{{city}}{after}"), format!("{before}{city}{after}")),
            ("{table}".to_owned(), table.clone()),
        ];
        for (hole, place) in holes.into_iter().zip(places) {
            pieces.insert(place.index(pieces.len() + 1), hole);
        }
        (pieces, table)
    })
}

proptest! {
    /// A topic made from a template is read back, and subscribed to by its source alone.
    #[test]
    fn what_a_template_makes_it_reads_and_subscribes_to((source, (pieces, table)) in of().prop_flat_map(|source| (Just(source), pieces(source)))) {
        let joined = |of: fn(&(String, String)) -> &String| pieces.iter().map(|piece| of(piece).as_str()).collect::<Vec<_>>().join(".");
        let (template, topic) = (joined(|piece| &piece.0), joined(|piece| &piece.1));
        let written = Written { topic: template, ..Written::default() };
        let names = TopicNames::compile(KEY, vec![written]).expect("a template");
        let expected = if is_never_a_table(&topic) { None } else { Some((source, table.as_str())) };
        prop_assert_eq!(names.table_of(&topic), expected);
        for agency in Agency::all() {
            for city in City::all() {
                let other = Source { agency, city };
                let fits = names.patterns(other).iter().any(|pattern| regex::Regex::new(pattern).expect("a pattern").is_match(&topic));
                prop_assert_eq!(fits, other == source, "{} {}", other, &topic);
            }
        }
    }

    /// Whatever a topic is called: who reads its table subscribes to it, and a source that is named is one.
    #[test]
    fn what_is_read_is_subscribed_to(topic in "(human-resources|dc1|__x|[a-z.]{0,9})\\.(3201|3206|public|[a-z.]{0,5})\\.[A-Za-z0-9._-]{0,16}") {
        let names = TopicNames::standard();
        if let Some((source, table)) = names.table_of(&topic) {
            prop_assert!(is_table(table));
            prop_assert_eq!(names.named_in(&topic), Some(source));
            let patterns = names.patterns(source);
            prop_assert!(patterns.iter().any(|pattern| regex::Regex::new(pattern).expect("a pattern").is_match(&topic)));
        }
    }

    /// The patterns are POSIX extended regular expressions, which know neither `\d` nor `(?:`.
    #[test]
    fn patterns_use_what_posix_knows((source, (pieces, _)) in of().prop_flat_map(|source| (Just(source), pieces(source)))) {
        let template = pieces.iter().map(|piece| piece.0.as_str()).collect::<Vec<_>>().join(".");
        let names = TopicNames::compile(KEY, vec![Written { topic: template, ..Written::default() }]).expect("a template");
        for pattern in names.patterns(source) {
            let inside = pattern.strip_prefix('^').and_then(|rest| rest.strip_suffix('$')).expect("anchored");
            let literal = inside.replace("[^.]+", "x").replace(r"\.", "y");
            prop_assert!(is_legal(&literal), "{}", pattern);
        }
    }
}

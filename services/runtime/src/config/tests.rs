//! Precedence, refusals and redaction.

use super::*;
use domain::division::City;

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Writes a configuration file into a directory of its own.
fn file(name: &str, text: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("canbao-config-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a temporary directory");
    let path = directory.join("canbao.toml");
    std::fs::write(&path, text).expect("a temporary file");
    path
}

fn environment(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn layers_override_each_other() {
    let path = file(
        "layers",
        "kafka = 'file:1'\nlog = 'debug'\n[registry]\nbatch_rows = 5\nwriters = 3\n",
    );
    let variables = environment(&[
        ("CANBAO_KAFKA", "variable:2"),
        ("CANBAO_REGISTRY__BATCH_ROWS", "7"),
        ("PATH", "x"),
    ]);
    let settings = Settings::read(Some(&path), variables.clone(), &[]).expect("readable");
    assert_eq!((settings.kafka.as_str(), settings.log.as_str()), ("variable:2", "debug"));
    assert_eq!(
        (
            settings.registry.batch_rows,
            settings.registry.writers,
            settings.registry.batch_millis
        ),
        (7, 3, 20)
    );
    let flags = SharedArgs {
        kafka: Some("flag:3".into()),
        regions: vec![City::PROVINCE],
        ..SharedArgs::default()
    };
    let settings = Settings::read(Some(&path), variables, &flags.overrides()).expect("readable");
    assert_eq!(settings.kafka, "flag:3");
    assert_eq!(settings.regions.cities(), [City::PROVINCE]);
    settings.check().expect("valid");
}

#[test]
fn unknown_keys_are_refused_by_name() {
    let path = file("unknown", "[registry]\nbatch_row = 5\n");
    let error = Settings::read(Some(&path), [], &[]).expect_err("an unknown key").to_string();
    assert!(error.contains("`batch_row`") && error.contains("batch_rows"), "{error}");
    let error = Settings::read(None, environment(&[("CANBAO_KAFKAS", "x:1")]), &[])
        .expect_err("an unknown variable")
        .to_string();
    assert!(error.contains("`kafkas`") && error.contains("CANBAO_KAFKAS"), "{error}");
    let error = Settings::read(None, environment(&[("CANBAO_REGISTRY__WRITERS", "two")]), &[])
        .expect_err("no number")
        .to_string();
    assert!(error.contains("writers"), "{error}");
    let missing = std::env::temp_dir().join("canbao-no-such-file.toml");
    let error = Settings::read(Some(&missing), [], &[]).expect_err("no file").to_string();
    assert!(error.contains("canbao-no-such-file.toml"), "{error}");
}

#[test]
fn lists_come_as_arrays_or_texts() {
    let path = file(
        "lists",
        "regions = [3202, '3201']\ndialects = ['a', 'b']\n[clock]\nsources = ['human-resources.3201']\n",
    );
    let settings = Settings::read(Some(&path), [], &[]).expect("readable");
    assert_eq!(
        settings.regions.cities().iter().map(|city| city.code()).collect::<Vec<_>>(),
        [3201, 3202]
    );
    assert_eq!(settings.dialects, [PathBuf::from("a"), PathBuf::from("b")]);
    assert!(matches!(&settings.clock.sources, SourceScope::Listed(sources) if sources.len() == 1));
    let variables = environment(&[
        ("CANBAO_REGIONS", "all"),
        ("CANBAO_DIALECTS", "c:d"),
        ("CANBAO_REGISTRY__SHARDS", "0-2, 5"),
        ("CANBAO_ID_KEY", KEY),
    ]);
    let settings = Settings::read(Some(&path), variables, &[]).expect("readable");
    assert_eq!(settings.regions, Regions::default());
    assert_eq!(settings.dialects.len(), 2);
    assert_eq!(
        settings
            .registry
            .shards
            .shards()
            .iter()
            .map(|shard| shard.number())
            .collect::<Vec<_>>(),
        [0, 1, 2, 5]
    );
    assert!(settings.id_key().is_ok());
    let error = Settings::read(None, environment(&[("CANBAO_REGIONS", "3301")]), &[])
        .expect_err("no city")
        .to_string();
    assert!(error.contains("3301"), "{error}");
}

#[test]
fn sources_in_scope_are_the_listed_ones_or_those_of_the_policy() {
    let policy = domain::policy::Policy::embedded();
    let all = SourceScope::Policy.under(&policy);
    assert_eq!(all.len(), 13 + 13 + 14, "every city, and the province, once");
    assert!(all.is_sorted());
    let listed = vec!["civil-affairs.3200".parse().expect("a source")];
    assert_eq!(SourceScope::Listed(listed.clone()).under(&policy), listed);
}

#[test]
fn secrets_do_not_print() {
    let path = file("secrets", "[kafka_properties]\n'sasl.password' = 'hunter2'\n");
    let variables = environment(&[
        ("CANBAO_DATABASE_URL", "postgres://canbao:hunter2@127.0.0.1:5432/canbao"),
        ("CANBAO_ID_KEY", KEY),
        ("CANBAO_SCHEMA_REGISTRY", "http://user:hunter2@127.0.0.1:8081"),
    ]);
    let settings = Settings::read(Some(&path), variables, &[]).expect("readable");
    assert!(settings.kafka_properties.contains_key("sasl.password"));
    settings.check().expect("valid");
    let printed = settings.redacted_toml().expect("printable");
    assert!(
        printed.contains("sasl.password") && printed.contains("batch_rows"),
        "{printed}"
    );
    assert_eq!(settings.schemas_address().as_deref(), Some("http://127.0.0.1:8081"));
    assert!(printed.contains("\"http://127.0.0.1:8081\""), "{printed}");
    for text in [printed, format!("{:?}", settings.database_url)] {
        assert!(!text.contains("hunter2") && !text.contains(KEY), "{text}");
    }
}

#[test]
fn all_problems_are_listed_at_once() {
    let variables = environment(&[
        ("CANBAO_KAFKA", "nowhere"),
        ("CANBAO_DATABASE_URL", "mysql://root:hunter2@x/y"),
        ("CANBAO_ID_KEY", "12"),
        ("CANBAO_NORMALISER__DEAD_LETTER_SHARE", "2"),
    ]);
    let error = Settings::read(None, variables, &[])
        .expect("readable")
        .check()
        .expect_err("unusable")
        .to_string();
    for key in ["kafka:", "database_url:", "id_key:", "normaliser.dead_letter_share:"] {
        assert!(error.contains(key), "{error}");
    }
    assert!(!error.contains("hunter2"), "{error}");
    let missing = Settings::default().database_url().expect_err("missing").to_string();
    assert!(missing.contains("CANBAO_DATABASE_URL"), "{missing}");
}

#[test]
fn names_of_source_topics_are_one_setting_for_all() {
    let table = "{ topic = 'dc1.hr.*.{table}', agency = 'human-resources', city = 3206 }";
    let path = file(
        "topics",
        &format!("[topics]\nreplication = 3\nsources = [{table}, '{{agency}}.{{city}}.{{table}}']\n"),
    );
    let of_file = Settings::read(Some(&path), [], &[]).expect("readable");
    let names = |settings: &Settings, topic: &str| {
        let found = settings.topics.sources.table_of(topic);
        found.map(|(source, table)| format!("{source}: {table}"))
    };
    assert_eq!(
        names(&of_file, "dc1.hr.x.AC02").as_deref(),
        Some("human-resources.3206: AC02")
    );
    assert_eq!(names(&of_file, "human-resources.3201.public.ac02"), None);
    assert_eq!(of_file.topics.replication, 3);
    for (variable, topic) in [
        (format!("[{table}]"), "dc1.hr.x.AC02"),
        (
            "{agency}.{city}.a.{table}, x.{agency}.ora-{city}.{table}".to_owned(),
            "x.human-resources.ora-3206.AC02",
        ),
    ] {
        let variables = environment(&[("CANBAO_TOPICS__SOURCES", &variable)]);
        let settings = Settings::read(Some(&path), variables, &[]).expect("readable");
        assert_eq!(
            names(&settings, topic).as_deref(),
            Some("human-resources.3206: AC02"),
            "{variable}"
        );
        let again = file("topics-again", &settings.redacted_toml().expect("printable"));
        let again = Settings::read(Some(&again), [], &[]).expect("what is printed can be read");
        assert_eq!(again.topics, settings.topics);
    }
    let wrong = environment(&[("CANBAO_TOPICS__SOURCES", "{agency}.{table}")]);
    let error = Settings::read(None, wrong, &[]).expect_err("no city").to_string();
    assert!(
        error.contains("topics.sources[0]: `{agency}.{table}` does not say the city"),
        "{error}"
    );
}

//! Settings in layers: defaults < TOML file < environment `CANBAO_*` < flags. Unknown keys are refused.
//!
//! Nested keys are spelled with two underscores in the environment: `CANBAO_REGISTRY__BATCH_ROWS` is `registry.batch_rows`.
//! Secrets print as `***` wherever settings are printed, by type.

mod args;
mod lists;
mod sections;

pub use args::SharedArgs;
pub use lists::{Regions, ShardSet, SourceScope};
pub use sections::{
    BusinessDateSource, ClockSettings, FirstSnapshot, NormaliserSettings, PublisherSettings, RegistrySettings, RowsHold,
    TopicSettings,
};

use domain::ids::IdKey;
use domain::source::Agencies;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Environment variable that is no setting: it steers their reading.
const NOT_A_SETTING: &str = "CANBAO_CONFIG";

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A layer cannot be read, a value has the wrong type, or a key is unknown; the message names file or variable and key.
    #[error("settings cannot be read: {0}")]
    Read(String),
    /// Values contradict what the settings mean; every problem is listed, each with its key.
    #[error("settings are not usable:\n  {}", .0.join("\n  "))]
    Invalid(Vec<String>),
    /// A setting without a default is needed by this command.
    #[error("setting `{key}` is missing: set {variable} or `{key}` in the configuration file")]
    Missing {
        /// The setting's key.
        key: &'static str,
        /// Its environment variable.
        variable: &'static str,
    },
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// All settings of all services; each service reads the part it needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Kafka bootstrap servers, `host:port` separated by commas.
    pub kafka: String,
    /// Further librdkafka properties of every client, such as `security.protocol` and `sasl.password`; values never print.
    #[serde(serialize_with = "hide_values")]
    pub kafka_properties: BTreeMap<String, SecretString>,
    /// PostgreSQL address, `postgres://user:password@host:port/database`.
    #[serde(serialize_with = "hide")]
    pub database_url: Option<SecretString>,
    /// Secret of the keyed identifiers: 64 hexadecimal digits.
    #[serde(serialize_with = "hide")]
    pub id_key: Option<SecretString>,
    /// File with agencies beside the three that are known everywhere, see `services/domain/data/agencies.toml`; the same for every service.
    pub agencies: Option<PathBuf>,
    /// Directories with dialect files (方言映射), searched in order.
    #[serde(with = "lists::paths")]
    pub dialects: Vec<PathBuf>,
    /// Address of a Confluent-compatible schema registry whose ids are used, with its API's path (Apicurio's is `/apis/ccompat/v7`);
    /// without one the embedded registry's. Chosen before the first value is written: ids stand in stored values.
    #[serde(serialize_with = "hide_user_info")]
    pub schema_registry: Option<String>,
    /// Address at which subscribers ask for the schemas of what is published, named in each alert (`ce_dataschema`): that of `schema_registry`
    /// unless another is given, or of the publisher, which serves the embedded one. Without either the header is left out.
    #[serde(serialize_with = "hide_user_info")]
    pub schema_registry_url: Option<String>,
    /// Address of the schema registry that the agencies' converters frame keys and values for, where it is not `schema_registry`; read by
    /// the normalisers, the clock and `canbao verify`. Its API is Confluent's.
    #[serde(serialize_with = "hide_user_info")]
    pub source_schema_registry: Option<String>,
    /// Where health and metrics are served; port 0 takes a free one and logs it.
    pub http: SocketAddr,
    /// Log filter in the syntax of `tracing`'s `EnvFilter`.
    pub log: String,
    /// Form of log lines.
    pub log_format: LogFormat,
    /// Seconds a service may take to drain after SIGTERM before it exits by itself. Longer than a question to a group in a rebalance, which
    /// the brokers answer when that is over, and leaving it: 10 s and 3 s.
    pub drain_seconds: u32,
    /// Regions (cities) this process serves.
    pub regions: Regions,
    /// Topics: which are the sources', and how this system creates its own.
    pub topics: TopicSettings,
    /// Normalisers.
    pub normaliser: NormaliserSettings,
    /// Registry.
    pub registry: RegistrySettings,
    /// Publisher.
    pub publisher: PublisherSettings,
    /// Clock.
    pub clock: ClockSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            kafka: "127.0.0.1:9092".into(),
            kafka_properties: BTreeMap::new(),
            database_url: None,
            id_key: None,
            agencies: None,
            dialects: Vec::new(),
            schema_registry: None,
            schema_registry_url: None,
            source_schema_registry: None,
            http: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            log: "info".into(),
            log_format: LogFormat::Text,
            drain_seconds: 20,
            regions: Regions::default(),
            topics: TopicSettings::default(),
            normaliser: NormaliserSettings::default(),
            registry: RegistrySettings::default(),
            publisher: PublisherSettings::default(),
            clock: ClockSettings::default(),
        }
    }
}

impl Settings {
    /// Reads the layers below the flags: defaults, `file`, and the given environment (name, value). The agencies that they name become the
    /// process's registry before anything else is read, since other settings name agencies.
    ///
    /// # Errors
    /// [`ConfigError::Read`]; nothing else is validated beyond types, see [`Settings::check`].
    pub fn read(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[(&str, String)],
    ) -> Result<Self, ConfigError> {
        let mut layers = config::Config::builder();
        if let Some(file) = file {
            layers = layers.add_source(config::File::from(file).format(config::FileFormat::Toml));
        }
        let variables = environment
            .into_iter()
            .filter(|(name, _)| name.starts_with("CANBAO_") && name != NOT_A_SETTING)
            .collect::<HashMap<_, _>>();
        let names: Vec<String> = variables.keys().cloned().collect();
        let read = |error: config::ConfigError| ConfigError::Read(with_variable(error.to_string(), &names));
        layers = layers.add_source(
            config::Environment::with_prefix("CANBAO")
                .prefix_separator("_")
                .separator("__")
                .ignore_empty(true)
                .source(Some(variables)),
        );
        for (key, value) in flags {
            layers = layers.set_override(*key, value.as_str()).map_err(read)?;
        }
        let layers = layers.build().map_err(&read)?;
        if let Ok(file) = layers.get::<PathBuf>("agencies") {
            establish(&file).map_err(|problem| ConfigError::Read(format!("agencies: {}: {problem}", file.display())))?;
        }
        layers.try_deserialize().map_err(read)
    }

    /// The database address.
    ///
    /// # Errors
    /// [`ConfigError::Missing`].
    pub fn database_url(&self) -> Result<&str, ConfigError> {
        let missing = ConfigError::Missing {
            key: "database_url",
            variable: "CANBAO_DATABASE_URL",
        };
        self.database_url.as_ref().map(ExposeSecret::expose_secret).ok_or(missing)
    }

    /// The key of identifiers.
    ///
    /// # Errors
    /// [`ConfigError::Missing`], or [`ConfigError::Invalid`] when it is not 64 hexadecimal digits.
    pub fn id_key(&self) -> Result<IdKey, ConfigError> {
        let missing = ConfigError::Missing {
            key: "id_key",
            variable: "CANBAO_ID_KEY",
        };
        let text = self.id_key.as_ref().ok_or(missing)?;
        IdKey::from_hex(text.expose_secret()).map_err(|error| ConfigError::Invalid(vec![format!("id_key: {error}")]))
    }

    /// Validates every value, without opening a connection; files and directories must exist.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with all problems at once.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        let mut require = |holds: bool, problem: &str| {
            if !holds {
                problems.push(problem.to_owned());
            }
        };
        let servers = || self.kafka.split(',').map(str::trim);
        require(
            servers().all(is_host_and_port),
            "kafka: expected host:port, several separated by commas",
        );
        if let Some(url) = &self.database_url {
            let url = url.expose_secret();
            let scheme = url.starts_with("postgres://") || url.starts_with("postgresql://");
            // The parser's own message may quote the address, which holds the password.
            let parsed = sqlx::postgres::PgConnectOptions::from_str(url).is_ok();
            require(
                scheme && parsed,
                "database_url: expected postgres://user:password@host:port/database",
            );
        }
        if let Some(key) = &self.id_key {
            require(
                IdKey::from_hex(key.expose_secret()).is_ok(),
                "id_key: expected 64 hexadecimal digits",
            );
        }
        for directory in &self.dialects {
            require(
                directory.is_dir(),
                &format!("dialects: {} is no directory", directory.display()),
            );
        }
        for (key, url) in [
            ("schema_registry", &self.schema_registry),
            ("schema_registry_url", &self.schema_registry_url),
            ("source_schema_registry", &self.source_schema_registry),
        ] {
            let is_address = |url: &String| url.starts_with("http://") || url.starts_with("https://");
            require(
                url.as_ref().is_none_or(is_address),
                &format!("{key}: expected an address that begins with http:// or https://"),
            );
        }
        require(
            tracing_subscriber::EnvFilter::try_new(&self.log).is_ok(),
            "log: expected a filter such as `info` or `info,runtime=debug`",
        );
        require(self.drain_seconds > 0, "drain_seconds: must be at least 1");
        self.topics.check(&mut require);
        self.normaliser.check(&mut require);
        self.registry.check(&mut require);
        self.publisher.check(&mut require);
        self.clock.check(&mut require);
        if problems.is_empty() {
            Ok(())
        } else {
            Err(ConfigError::Invalid(problems))
        }
    }

    /// Where subscribers ask for schemas, without a password; `None` when nobody said so.
    pub fn schemas_address(&self) -> Option<String> {
        let stated = self.schema_registry_url.as_deref().or(self.schema_registry.as_deref());
        stated.map(without_user)
    }

    /// The settings in force as TOML, secrets as `***`.
    ///
    /// # Errors
    /// Never for settings that were read from layers.
    pub fn redacted_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(self).map_err(|error| ConfigError::Read(error.to_string()))
    }
}

/// Makes a file's agencies the process's registry.
fn establish(file: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let agencies = Agencies::with(&text).map_err(|error| error.to_string())?;
    agencies.establish().map_err(|error| error.to_string())
}

/// Adds the variable that an unknown key came from, which the reader does not tell.
fn with_variable(mut problem: String, names: &[String]) -> String {
    let key = problem.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`'));
    let suffix = key.map(|(key, _)| key.to_ascii_uppercase());
    let spells = |name: &&String| suffix.as_ref().is_some_and(|key| name.ends_with(&format!("_{key}")));
    if let Some(name) = names.iter().find(spells) {
        problem.extend([" (environment variable ", name, ")"]);
    }
    problem
}

fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}

const HIDDEN: &str = "***";

#[expect(clippy::ref_option, reason = "serde hands over the field as it is")]
fn hide<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(|_| HIDDEN).serialize(serializer)
}

fn hide_values<S: Serializer>(secrets: &BTreeMap<String, SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(secrets.keys().map(|key| (key, HIDDEN)))
}

/// An address may carry `user:password@`.
#[expect(clippy::ref_option, reason = "serde hands over the field as it is")]
fn hide_user_info<S: Serializer>(url: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    url.as_deref().map(without_user).serialize(serializer)
}

/// An address as it may be shown and handed on: without `user:password@`.
pub(crate) fn without_user(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests;

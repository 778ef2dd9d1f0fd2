//! Flags every service and the CLI share.

use super::{ConfigError, Settings};
use domain::division::City;
use secrecy::{ExposeSecret, SecretString};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Flags that override the other layers of settings. Include them with `#[command(flatten)]`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SharedArgs {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "CANBAO_CONFIG", global = true)]
    pub config: Option<PathBuf>,
    /// Kafka bootstrap servers, host:port separated by commas
    #[arg(long, value_name = "SERVERS", global = true)]
    pub kafka: Option<String>,
    /// PostgreSQL address; prefer CANBAO_DATABASE_URL, which process lists do not show
    #[arg(long, value_name = "URL", value_parser = secret, global = true)]
    pub database_url: Option<SecretString>,
    /// Address for health and metrics
    #[arg(long, value_name = "ADDRESS", global = true)]
    pub http: Option<SocketAddr>,
    /// Region to serve by city code (3200 to 3213); repeat for several, leave out for all
    #[arg(long = "region", value_name = "CITY", value_delimiter = ',', global = true)]
    pub regions: Vec<City>,
    /// Log filter, such as `info` or `info,runtime=debug`
    #[arg(long, value_name = "FILTER", global = true)]
    pub log: Option<String>,
}

#[expect(clippy::unnecessary_wraps, reason = "the form of a value parser")]
fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}

impl SharedArgs {
    /// Reads all layers, the process environment among them, and validates them.
    ///
    /// # Errors
    /// [`ConfigError`] that names file or variable and key.
    pub fn settings(&self) -> Result<Settings, ConfigError> {
        let settings = Settings::read(self.config.as_deref(), std::env::vars(), &self.overrides())?;
        settings.check()?;
        Ok(settings)
    }

    /// The flags that were given, by key.
    pub(super) fn overrides(&self) -> Vec<(&'static str, String)> {
        let regions: Vec<String> = self.regions.iter().map(|city| city.code().to_string()).collect();
        [
            ("kafka", self.kafka.clone()),
            (
                "database_url",
                self.database_url.as_ref().map(|url| url.expose_secret().to_owned()),
            ),
            ("http", self.http.map(|address| address.to_string())),
            ("regions", (!regions.is_empty()).then(|| regions.join(","))),
            ("log", self.log.clone()),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
    }
}

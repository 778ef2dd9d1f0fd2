//! Logs to standard error, metrics for Prometheus. Neither carries personal data: logs name topics, offsets and record ids, and
//! labels are bounded (service, source, outcome).

use crate::config::{LogFormat, Settings};
use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::io::{IsTerminal, stderr};
use tracing_subscriber::EnvFilter;

/// Bounds of every histogram whose name ends in `_seconds`: a millisecond to an hour.
const SECONDS: [f64; 16] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 600.0, 3600.0,
];

/// What a gauge is set to while its value is not known: it is absent from the page then. A zero would be a claim, and an alarm on it silent.
pub const UNKNOWN: f64 = f64::NAN;

/// The page without the samples that are not known.
fn without_unknown(page: &str) -> String {
    page.lines()
        .filter(|line| line.starts_with('#') || !line.ends_with(" NaN"))
        .fold(String::with_capacity(page.len()), |page, line| page + line + "\n")
}

/// The process's metrics.
#[derive(Clone)]
pub struct Telemetry {
    metrics: PrometheusHandle,
}

impl Telemetry {
    /// Installs the log subscriber and the metrics recorder; once per process.
    ///
    /// # Errors
    /// When the filter is invalid or a subscriber or recorder is already installed.
    pub fn install(service: &'static str, settings: &Settings) -> anyhow::Result<Self> {
        install_logs(settings)?;
        let metrics = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
            .and_then(PrometheusBuilder::install_recorder)
            .context("installing the metrics recorder")?;
        metrics::describe_gauge!("canbao_build_info", "1, labelled with the service and its version");
        metrics::gauge!("canbao_build_info", "service" => service, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Ok(Self { metrics })
    }

    /// The metrics in Prometheus' text format. A gauge that was set to [`UNKNOWN`] is left out.
    pub fn render(&self) -> String {
        without_unknown(&self.metrics.render())
    }

    /// Folds what histograms gathered into their buckets; call every few seconds, or memory grows between two scrapes.
    pub fn upkeep(&self) {
        self.metrics.run_upkeep();
    }
}

/// Installs logs alone, as commands need that serve no metrics.
///
/// # Errors
/// When the filter is invalid or a subscriber is already installed.
pub fn install_logs(settings: &Settings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.log).context("reading the log filter")?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    let installed = match settings.log_format {
        LogFormat::Text => builder.with_ansi(stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    installed.map_err(|error| anyhow::anyhow!("installing the log subscriber: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_that_is_not_known_is_absent() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let page = metrics::with_local_recorder(&recorder, || {
            let lag = |source: &'static str| metrics::gauge!("lag", "source" => source);
            lag("public-security.3201").set(7.0);
            lag("public-security.3202").set(UNKNOWN);
            metrics::counter!("read_total").increment(3);
            without_unknown(&recorder.handle().render())
        });
        assert!(page.contains("lag{source=\"public-security.3201\"} 7\n"), "{page}");
        assert!(!page.contains("3202") && page.contains("read_total 3\n"), "{page}");
    }
}

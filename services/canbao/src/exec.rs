//! `run` and `simulate`: this process becomes the binary of that name beside this one, so that signals and exit codes are its own.

use anyhow::Context;
use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What can be run.
pub(crate) const SERVICES: [&str; 7] = [
    "public-security",
    "civil-affairs",
    "human-resources",
    "agencies",
    "registry",
    "clock",
    "publisher",
];
/// The simulated agencies.
pub(crate) const SIMULATOR: &str = "simulator";

/// Becomes a service. `environment` carries the flags given to `canbao` itself.
///
/// # Errors
/// When there is no such service or its binary cannot be started; otherwise it does not return.
pub(crate) fn run(
    service: &str,
    arguments: &[OsString],
    environment: Vec<(&'static str, OsString)>,
) -> anyhow::Result<Infallible> {
    anyhow::ensure!(
        SERVICES.contains(&service),
        "there is no service `{service}`: expected one of {}",
        SERVICES.join(", ")
    );
    become_sibling(service, arguments, environment)
}

/// Becomes a binary beside this one.
///
/// # Errors
/// When it cannot be started; otherwise it does not return.
pub(crate) fn become_sibling(
    name: &str,
    arguments: &[OsString],
    environment: Vec<(&'static str, OsString)>,
) -> anyhow::Result<Infallible> {
    let own = std::env::current_exe().context("finding the folder of this program")?;
    let path = sibling(&own, name);
    let error = Command::new(&path).args(arguments).envs(environment).exec();
    Err(error).with_context(|| format!("starting {}: it is built and installed beside `canbao`", path.display()))
}

fn sibling(own: &Path, name: &str) -> PathBuf {
    own.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binaries_are_beside_this_one() {
        assert_eq!(sibling(Path::new("/bin/canbao"), "registry"), Path::new("/bin/registry"));
        let refused = run("gateway", &[], Vec::new()).unwrap_err();
        assert!(refused.to_string().contains("public-security"));
    }
}

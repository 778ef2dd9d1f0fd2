//! `integration-tests/run bench`: see [`integration_tests::bench`].

use std::process::ExitCode;

fn main() -> ExitCode {
    integration_tests::bench::main()
}

//! The simulator as a process of its own; `canbao simulate` calls the same library.

use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    simulator::run(simulator::Args::parse()).await
}

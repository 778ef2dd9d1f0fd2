//! Civil affairs normaliser (民政): its change streams become inputs of the base.
//!
//! - **Upstream**: `civil-affairs.<city>.<schema>.<table>` (or as `topics.sources` says), Debezium JSON: funeral (殡葬), marriage (婚姻), hardship relief (社会救助), fed by nightly batches. The mapping is `dialects/*.toml`;
//!   a city whose columns differ adds a file.
//! - **Downstream**: `person.records`, partition = shard; `civil-affairs.<city>.dlq` for what cannot be read.
//! - **State**: none but the committed offsets of the groups `canbao.civil-affairs.<city>` and the rows of `store.source_topic`.
//! - **Failure**: a message that cannot be read is diverted and the stream goes on; a share of them above policy holds the
//!   source; a delivery that fails ends the process before anything is committed, and the restart repeats the batch.
//! - **Particular**: completeness comes from the batch-control table (批次表), so it rises once a night, not every second.
//!
//! The work is in [`runtime::normaliser`].

use runtime::normaliser;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    runtime::service::main("civil-affairs", async |service| {
        normaliser::run(&[normaliser::Agency::CIVIL_AFFAIRS], service).await
    })
}

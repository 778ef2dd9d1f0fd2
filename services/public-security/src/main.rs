//! Public security normaliser (公安): its change streams become inputs of the base.
//!
//! - **Upstream**: `public-security.<city>.<schema>.<table>` (or as `topics.sources` says), Debezium JSON: resident register (常住人口), temporary residents (流动人口), number corrections (公民身份号码变更). The mapping is `dialects/*.toml`;
//!   a city whose columns differ adds a file.
//! - **Downstream**: `person.records`, partition = shard; `public-security.<city>.dlq` for what cannot be read.
//! - **State**: none but the committed offsets of the groups `canbao.public-security.<city>` and the rows of `store.source_topic`.
//! - **Failure**: a message that cannot be read is diverted and the stream goes on; a share of them above policy holds the
//!   source; a delivery that fails ends the process before anything is committed, and the restart repeats the batch.
//! - **Particular**: public security owns name, sex, birth, hukou and death: its rows decide who holds a number.
//!
//! The work is in [`runtime::normaliser`].

use runtime::normaliser;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    runtime::service::main("public-security", async |service| {
        normaliser::run(&[normaliser::Agency::PUBLIC_SECURITY], service).await
    })
}

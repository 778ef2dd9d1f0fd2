//! Human resources and social security normaliser (人力资源社会保障): its change streams become inputs of the base.
//!
//! - **Upstream**: `human-resources.<city>.<schema>.<table>` (or as `topics.sources` says), Debezium JSON: persons, employers (an entity, no person), employment, enrolment per scheme (参保), benefits, cards. The mapping is `dialects/*.toml`;
//!   a city whose columns differ adds a file.
//! - **Downstream**: `person.records`, partition = shard; `human-resources.<city>.dlq` for what cannot be read.
//! - **State**: none but the committed offsets of the groups `canbao.human-resources.<city>` and the rows of `store.source_topic`.
//! - **Failure**: a message that cannot be read is diverted and the stream goes on; a share of them above policy holds the
//!   source; a delivery that fails ends the process before anything is committed, and the restart repeats the batch.
//! - **Particular**: the provincial level (3200, 省本级) runs systems of its own and is one more region.
//!
//! The work is in [`runtime::normaliser`].

use runtime::normaliser;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    runtime::service::main("human-resources", async |service| {
        normaliser::run(&[normaliser::Agency::HUMAN_RESOURCES], service).await
    })
}

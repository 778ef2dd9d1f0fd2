//! Normaliser of further agencies (其他部门): those that an installation adds by files, such as medical insurance (医保) or taxation (税务).
//!
//! - **Upstream**: `<agency>.<city>.<schema>.<table>` (or as `topics.sources` says) of the agencies that `normaliser.agencies` names. They
//!   are registered by the file that `agencies` names, their mappings are in the directories of `dialects`; `README.md` beside this crate
//!   says how one is added.
//! - **Downstream**: `person.records`, partition = shard; `<agency>.<city>.dlq` for what cannot be read.
//! - **State**: none but the committed offsets of the groups `canbao.<agency>.<city>` and the rows of `store.source_topic`.
//! - **Failure**: as of the three agencies that have a service of their own.
//! - **Particular**: nothing; it would serve those three as well.
//!
//! The work is in [`runtime::normaliser`].

use runtime::config::ConfigError;
use runtime::normaliser;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    runtime::service::main("agencies", |service| async {
        let agencies = service.settings.normaliser.agencies.clone();
        if agencies.is_empty() {
            let missing = ConfigError::Missing {
                key: "normaliser.agencies",
                variable: "CANBAO_NORMALISER__AGENCIES",
            };
            return Err(missing.into());
        }
        normaliser::run(&agencies, service).await
    })
}

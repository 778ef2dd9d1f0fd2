//! The publisher's process; the work is in the library.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    runtime::service::main_with_routes("publisher", publisher::routes, publisher::run)
}

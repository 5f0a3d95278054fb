//! The binary `onefold`: a boot sequence. Every exit has a code.

mod cli;
mod dialect;
mod project;
mod session;
mod wire;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Two crates bring a TLS provider each; the one that is used is named once, here.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        cli::tell("onefold: a TLS provider was installed twice");
        return ExitCode::from(cli::FAILURE);
    }
    let arguments = match cli::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { cli::USAGE } else { cli::SUCCESS };
            // Nobody is left to tell if the terminal is gone.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    ExitCode::from(cli::run(arguments))
}

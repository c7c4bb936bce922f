//! Parse arguments; open the window or run one command.

fn main() -> std::process::ExitCode {
    deepm3::cli::main()
}

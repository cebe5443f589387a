//! The binary: hands over to the library, which says how it ended.

use std::process::ExitCode;

fn main() -> ExitCode {
    mojito_publish::main()
}

//! The binary: runs the library.

fn main() {
    mojito_publish::main()
}

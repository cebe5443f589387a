//! Builds an image from a binary that was built outside.

use std::path::Path;
use std::process::Command;

/// `client` needs `BuildKit`. The binary is in the folder that is the context.
pub(crate) fn build_image(client: &str, tag: &str, dockerfile: &Path, context: &Path) {
    let output = Command::new(client)
        .env("DOCKER_BUILDKIT", "1")
        .args(["build", "--quiet", "--build-arg", "BINARY=prebuilt"])
        .args(["--tag", tag, "--file"])
        .args([dockerfile, context])
        .output()
        .expect("docker starts");
    assert!(
        output.status.success(),
        "the image could not be built: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

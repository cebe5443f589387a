//! Sample containers of our own, in the shape that Mojito's build gives them.

use std::fs;
use std::path::Path;

/// `NAME.js` of a container.
pub(crate) fn minified(name: &str) -> String {
    include_str!("mojito.js").replace("CONTAINER", name)
}

/// `NAME.pretty.js` of a container.
pub(crate) fn pretty(name: &str) -> String {
    include_str!("mojito.pretty.js").replace("CONTAINER", name)
}

/// Writes both files where Mojito's build puts them.
pub(crate) fn build(repository: &Path, name: &str) {
    let directory = repository.join("dist/assets/js");
    fs::create_dir_all(&directory).expect("a temporary folder can be written");
    fs::write(directory.join(format!("{name}.js")), minified(name))
        .expect("a temporary folder can be written");
    fs::write(directory.join(format!("{name}.pretty.js")), pretty(name))
        .expect("a temporary folder can be written");
}

/// Mojito's configuration, as its repository has it.
pub(crate) fn config_js(name: &str, bucket: &str, region: &str) -> String {
    format!(
        "module.exports = {{
    // Name of the container file excluding the file extension
    containerName: '{name}',
    s3BucketDev: '{bucket}/jsdev',
    s3BucketPRD: '{bucket}/js',
    s3Region: '{region}',
    /* what the program does not read */
    allowMultiInstance: false,
    lifecycleEvents: {{ ci: {{ branch: 'master' }}, }},
}};
"
    )
}

/// What a visitor's browser makes of a stored object.
pub(crate) fn gunzip(body: &[u8]) -> String {
    let size = u32::from_le_bytes(
        body[body.len() - 4..]
            .try_into()
            .expect("gzip ends with the size"),
    );
    let mut content = vec![0; size as usize];
    libdeflater::Decompressor::new()
        .gzip_decompress(body, &mut content)
        .expect("the object is gzip");
    String::from_utf8(content).expect("the container is UTF-8")
}

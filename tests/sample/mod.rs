//! Sample containers of our own, in the shape that Mojito's build gives them.

use std::fs;
use std::path::Path;

/// `NAME.js` of a container.
pub fn minified(name: &str) -> String {
    include_str!("mojito.js").replace("CONTAINER", name)
}

/// `NAME.pretty.js` of a container.
pub fn pretty(name: &str) -> String {
    include_str!("mojito.pretty.js").replace("CONTAINER", name)
}

/// Writes both files where Mojito's build puts them.
pub fn build(repository: &Path, name: &str) {
    let directory = repository.join("dist/assets/js");
    fs::create_dir_all(&directory).expect("a temporary folder can be written");
    fs::write(directory.join(format!("{name}.js")), minified(name)).expect("a temporary folder can be written");
    fs::write(directory.join(format!("{name}.pretty.js")), pretty(name)).expect("a temporary folder can be written");
}

/// Mojito's configuration, as its repository has it.
pub fn config_js(name: &str, bucket: &str, region: &str) -> String {
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

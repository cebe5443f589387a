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
    write(repository, name, &minified(name), &pretty(name));
}

fn write(repository: &Path, name: &str, minified: &str, pretty: &str) {
    let directory = repository.join("dist/assets/js");
    fs::create_dir_all(&directory).expect("a temporary folder can be written");
    for (file, content) in [
        (format!("{name}.js"), minified),
        (format!("{name}.pretty.js"), pretty),
    ] {
        fs::write(directory.join(file), content).expect("a temporary folder can be written");
    }
}

/// Writes only `NAME.js`.
pub(crate) fn write_minified(repository: &Path, name: &str, content: &str) {
    let path = repository.join(format!("dist/assets/js/{name}.js"));
    fs::write(path, content).expect("a temporary folder can be written");
}

/// Experiments that are live, and those of the next build: one more, one ramped, one diverted, one stopped, one staged
/// with other code.
pub(crate) const BEFORE: &[Experiment] = &[
    Experiment {
        id: "w12",
        name: "Larger buy button",
        properties: "\"state\":\"live\",\"sampleRate\":0.1",
        headline: "Buy now",
    },
    Experiment {
        id: "w9",
        name: "Shorter checkout",
        properties: "\"state\":\"live\",\"sampleRate\":0.5",
        headline: "Checkout",
    },
    Experiment {
        id: "w7",
        name: "Free returns in the footer",
        properties: "\"state\":\"live\",\"sampleRate\":0.5",
        headline: "Returns",
    },
    Experiment {
        id: "w14",
        name: "Gift wrapping",
        properties: "\"state\":\"staging\",\"sampleRate\":0",
        headline: "Gifts",
    },
];
pub(crate) const AFTER: &[Experiment] = &[
    Experiment {
        properties: "\"state\":\"live\",\"sampleRate\":0.5",
        ..BEFORE[0]
    },
    Experiment {
        properties: "\"state\":\"live\",\"sampleRate\":0.5,\"divertTo\":\"1\"",
        ..BEFORE[1]
    },
    Experiment {
        id: "w13",
        name: "Free delivery above 50 €",
        properties: "\"state\":\"live\",\"sampleRate\":0.25",
        headline: "Free delivery",
    },
    Experiment {
        headline: "Gift wrapping",
        ..BEFORE[3]
    },
];

/// An experiment of a container that is made to order.
pub(crate) struct Experiment {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    /// `state`, `sampleRate` and `divertTo`, as JSON without braces.
    pub(crate) properties: &'static str,
    /// What the treatment sets the headline to.
    pub(crate) headline: &'static str,
}

/// Writes both files of a container with these experiments, as Mojito's build would make them.
///
/// `variable` is the name that the minifier gives to variables; the more code there is, the more often it changes.
pub(crate) fn build_with(
    repository: &Path,
    name: &str,
    experiments: &[Experiment],
    variable: &str,
    commit: &str,
) {
    let with = |text: String, pretty: bool| {
        let library = text
            .find("Mojito.addTest(")
            .expect("the sample has experiments");
        let added: Vec<String> = experiments
            .iter()
            .map(|experiment| experiment.added(if pretty { "test" } else { variable }))
            .collect();
        let library = text[..library].replace("1f2e3d4c5b6a", commit);
        let library = library.trim_end_matches(',');
        if pretty {
            let added = added.iter().map(|added| format!("{added};\n"));
            format!("{library}{}}}\n", added.collect::<String>())
        } else {
            let added = added.iter().map(|added| format!(",{added}"));
            format!("{library}{})", added.collect::<String>())
        }
    };
    let minified = with(minified(name), false);
    write(repository, name, &minified, &with(pretty(name), true));
}

impl Experiment {
    /// The call that adds it.
    pub(crate) fn added(&self, variable: &str) -> String {
        let Self {
            id,
            name,
            properties,
            headline,
        } = self;
        format!(
            "Mojito.addTest({{{properties},\"id\":\"{id}\",\"name\":\"{name}\",\"recipes\":{{\"0\":{{\"name\":\"Control\"}},\
             \"1\":{{\"name\":\"Treatment\",\"js\":function({variable}){{document.querySelector(\"h1\").textContent=\
             \"{headline}\";{variable}.done=!0}}}}}},\"trigger\":function({variable}){{{variable}.activate()}}}})"
        )
    }
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

//! What credentials must be able to write, and what must be out of their reach.

use crate::settings::names::{ObjectKey, Prefix, Variant};
use crate::settings::Settings;

/// A folder that no publish uses.
const ANOTHER_FOLDER: &str = "mojito-publish-check";

/// A key to try, and what is expected of it.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Probe {
    pub(crate) key: ObjectKey,
    /// Why the key must be out of reach. `None`: it is one that a publish writes.
    pub(crate) expect_denied: Option<&'static str>,
}

/// The keys of the target, then those that must be out of reach.
///
/// The neighbour of a development container has another beginning, as Mojito's documentation allows `NAME*` there.
pub(crate) fn probes(settings: &Settings) -> Vec<Probe> {
    let own = settings.keys();
    let target = &settings.target;
    let other = settings.environment.other();
    let mut probes: Vec<Probe> = own
        .iter()
        .map(|key| Probe {
            key: key.clone(),
            expect_denied: None,
        })
        .collect();
    for name in &target.containers {
        let file = Variant::Minified.file_name(name);
        let neighbour = if settings.pretty {
            format!("x-{name}.js")
        } else {
            format!("{name}-x.js")
        };
        for (prefix, file, reason) in [
            (
                &other.default_prefix(),
                &file,
                "the other environment's container",
            ),
            (
                &target.prefix,
                &neighbour,
                "a neighbour with a similar name",
            ),
            (&Prefix::literal(ANOTHER_FOLDER), &file, "another folder"),
            (&Prefix::literal(""), &file, "the bucket's root"),
        ] {
            let key = ObjectKey::new(prefix, file);
            if probes.iter().all(|probe| probe.key != key) {
                probes.push(Probe {
                    key,
                    expect_denied: Some(reason),
                });
            }
        }
    }
    probes
}

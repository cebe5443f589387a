//! Which keys the credentials must be able to write, and which they must not.

use crate::aws::error::AwsError;
use crate::settings::environment::Environment;
use crate::settings::names::{ObjectKey, Prefix, Variant};
use crate::settings::Settings;

/// A folder that no publish uses.
const ANOTHER_FOLDER: &str = "mojito-publish-check";

/// A key to check, and what is expected.
pub(crate) struct Probe {
    pub(crate) key: ObjectKey,
    /// Why the key must not be writable. `None` if a publish writes it.
    pub(crate) expect_denied: Option<&'static str>,
}

/// Whether a key can be written.
pub(crate) enum Access {
    Allowed,
    Denied(AwsError),
    /// It could not be found out.
    Inconclusive(AwsError),
}

/// The keys of the target, then those that must be denied.
///
/// In production, nothing but these keys is allowed. In development, Mojito's documentation allows `NAME*`, so there the
/// neighbour's name starts with something else.
pub(crate) fn probes(settings: &Settings) -> Vec<Probe> {
    let target = &settings.target;
    let probe = |key, expect_denied| Probe { key, expect_denied };
    let keys = settings.keys();
    let mut probes: Vec<Probe> = keys.iter().map(|key| probe(key.clone(), None)).collect();
    for name in &target.containers {
        let file = &*Variant::Minified.file_name(name);
        let is_production = settings.environment == Environment::Production;
        let neighbour = if is_production {
            format!("{name}-x.js")
        } else {
            format!("x-{name}.js")
        };
        let pretty = Variant::Pretty.file_name(name);
        let pretty = (is_production && !settings.pretty).then_some((
            &target.prefix,
            &*pretty,
            "`PRETTY` is `false`",
        ));
        let elsewhere = "the other environment's container";
        for (prefix, file, reason) in [
            (
                &settings.environment.other().default_prefix(),
                file,
                elsewhere,
            ),
            (
                &target.prefix,
                &neighbour,
                "a neighbour with a similar name",
            ),
            (&Prefix::literal(ANOTHER_FOLDER), file, "another folder"),
            (&Prefix::literal(""), file, "the bucket's root"),
        ]
        .into_iter()
        .chain(pretty)
        {
            let key = ObjectKey::new(prefix, file);
            if probes.iter().all(|probe| probe.key != key) {
                probes.push(probe(key, Some(reason)));
            }
        }
    }
    probes
}

//! What a run will do, decided before it does any of it. A dry run prints the same plan that a publish carries out.

use std::fmt::{self, Display, Formatter};

use crate::common::byte_size::ByteSize;
use crate::container::object::{Container, Object};
use crate::settings::names::s3_uri;
use crate::settings::Settings;

/// The settings and the containers that are published by them.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    pub(crate) containers: Vec<Container>,
}

impl Plan {
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.containers
            .iter()
            .flat_map(|container| container.objects.iter())
    }
}

impl Display for Plan {
    /// The plan of a dry run: every key with its sizes, the headers, every invalidation.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let settings = &self.settings;
        for object in self.objects() {
            let address = s3_uri(&settings.target.bucket, &object.key);
            writeln!(
                f,
                "would upload {address}: {}, {} compressed",
                object.size,
                object.compressed_size()
            )?;
        }
        writeln!(f, "each with")?;
        writeln!(f, "  Content-Type: {}", Object::CONTENT_TYPE)?;
        writeln!(f, "  Content-Encoding: {}", Object::CONTENT_ENCODING)?;
        writeln!(f, "  Cache-Control: {}", settings.cache_control)?;
        if let Some(acl) = &settings.acl {
            writeln!(f, "  ACL: {acl}")?;
        }
        let mut metadata: Vec<_> = settings.build.metadata().into_iter().collect();
        metadata.sort_unstable();
        for (name, value) in metadata {
            writeln!(f, "  x-amz-meta-{name}: {value}")?;
        }
        for distribution in &settings.distributions {
            writeln!(f, "would invalidate in {distribution}:")?;
            for object in self.objects() {
                writeln!(f, "  {}", object.cdn_path)?;
            }
        }
        let total: u64 = self
            .objects()
            .map(|object| object.compressed_size().0)
            .sum();
        write!(f, "{} in all", ByteSize(total))
    }
}

//! An object to publish, and everything decided about it: S3 key, headers and CDN path.

use std::sync::Arc;

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use bytes::Bytes;
use md5::Md5;
use sha2::{Digest, Sha256};

use super::gzip;
use super::stored::Restored;
use crate::common::byte_size::ByteSize;
use crate::mojito::script::Script;
use crate::settings::cache_control::CacheControl;
use crate::settings::names::{CdnPath, ContainerName, ObjectKey, Prefix, Variant};

/// An object, ready to upload.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) variant: Variant,
    pub(crate) key: ObjectKey,
    pub(crate) cdn_path: CdnPath,
    /// The size of the file as Mojito built it.
    pub(crate) size: ByteSize,
    /// What S3 stores: the compressed file.
    pub(crate) body: Bytes,
    /// The SHA-256 of the body in base64, as S3 gets and returns it.
    pub(crate) checksum: String,
    /// If it is put back by a rollback: the version that it is, with headers and metadata of its own.
    pub(crate) restored: Option<Arc<Restored>>,
}

impl Object {
    pub(crate) const CONTENT_TYPE: &'static str = "application/javascript; charset=utf-8";
    pub(crate) const CONTENT_ENCODING: &'static str = "gzip";
    /// The metadata key that identifies the run that stored an object, by the caller reference of its invalidations.
    pub(crate) const CALLER_REFERENCE: &'static str = "caller-reference";

    /// The headers that visitors get, by lower-case name. A version that another tool stored may lack some.
    pub(crate) fn headers<'a>(
        &'a self,
        cache_control: &'a CacheControl,
    ) -> Vec<(&'static str, &'a str)> {
        match &self.restored {
            Some(restored) => restored.stored.headers().collect(),
            None => Self::built_headers(cache_control).into(),
        }
    }

    /// The headers of what is built, by lower-case name.
    pub(crate) fn built_headers(cache_control: &CacheControl) -> [(&'static str, &str); 3] {
        [
            ("content-type", Self::CONTENT_TYPE),
            ("content-encoding", Self::CONTENT_ENCODING),
            ("cache-control", cache_control.as_str()),
        ]
    }

    pub(crate) fn new(
        container: &ContainerName,
        variant: Variant,
        prefix: &Prefix,
        cdn_prefix: &Prefix,
        size: ByteSize,
        body: impl Into<Bytes>,
    ) -> Self {
        let body = body.into();
        let file_name = variant.file_name(container);
        Self {
            variant,
            key: ObjectKey::new(prefix, &file_name),
            cdn_path: CdnPath::new(cdn_prefix, &file_name),
            size,
            checksum: checksum(&body),
            body,
            restored: None,
        }
    }

    /// An earlier version of a key, as it is put back.
    pub(crate) fn restored(
        container: &ContainerName,
        variant: Variant,
        (prefix, cdn_prefix): (&Prefix, &Prefix),
        size: ByteSize,
        body: Bytes,
        restored: Restored,
    ) -> Self {
        Self {
            restored: Some(Arc::new(restored)),
            ..Self::new(container, variant, prefix, cdn_prefix, size, body)
        }
    }

    /// The `ETag` of a store that derives it from the content: the MD5 of the body, in quotes.
    pub(crate) fn content_etag(&self) -> String {
        content_etag(&self.body)
    }

    /// The same script in other bytes for a round of `ONLY_NEWER`, by the comment in its gzip header.
    pub(crate) fn of_round(&self, round: usize) -> Self {
        let digit = u32::try_from(round).ok();
        let digit = digit.and_then(|round| char::from_digit(round, 36));
        let body = gzip::with_comment_end(&self.body, digit.map_or(b'z', |it| it as u8));
        Self {
            checksum: checksum(&body),
            body: body.into(),
            ..self.clone()
        }
    }

    /// The size of what S3 stores and visitors download.
    pub(crate) fn compressed_size(&self) -> ByteSize {
        ByteSize(self.body.len() as u64)
    }
}

/// The MD5 of a body in quotes, as S3 derives the `ETag` of most objects.
pub(crate) fn content_etag(body: &[u8]) -> String {
    let md5 = Md5::digest(body);
    let digits = md5.iter().map(|byte| format!("{byte:02x}"));
    format!("\"{}\"", digits.collect::<String>())
}

/// The SHA-256 of a body as S3 writes it.
fn checksum(body: &[u8]) -> String {
    STANDARD.encode(Sha256::digest(body))
}

/// A container, ready to upload.
#[derive(Clone, Debug)]
pub(crate) struct Container {
    pub(crate) name: ContainerName,
    /// In upload order.
    pub(crate) objects: Arc<[Object]>,
    /// The parsed `NAME.js`. `None` if `VALIDATE` is off.
    pub(crate) script: Option<Script>,
    /// What looks wrong but may be intended.
    pub(crate) warnings: Vec<String>,
}

impl Container {
    /// `NAME.js`.
    pub(crate) fn minified(&self) -> Option<&Object> {
        let mut objects = self.objects.iter();
        objects.find(|object| object.variant == Variant::Minified)
    }
}

#[cfg(test)]
impl Container {
    /// One with the file `NAME.js` in the folder `js`.
    pub(crate) fn of_text(name: &str, text: &str) -> Self {
        let name = ContainerName::parse(name).unwrap();
        let prefix = Prefix::literal("js");
        let body = gzip::Gzip::new().compress(text.as_bytes(), None);
        let size = ByteSize(text.len() as u64);
        let object = Object::new(&name, Variant::Minified, &prefix, &prefix, size, body);
        Self {
            name,
            objects: [object].into(),
            script: Some(crate::mojito::script::read(text).unwrap()),
            warnings: Vec::new(),
        }
    }
}

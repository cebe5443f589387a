//! Compression: the same bytes for the same input on every machine, and no larger than `gzip -9` makes them.
//!
//! libdeflate's best level beats zlib's by some 3% in milliseconds. Its header has neither time nor file name. (Only what
//! has seven bytes or less is some bytes larger, as it is not worth compressing; no container is that small.)

use libdeflater::{CompressionLvl, Compressor, Decompressor};

use crate::common::byte_size::ByteSize;

/// RFC 1952: where the flags stand, the one for a comment, and the length of the header before it.
const FLAGS: usize = 3;
const HAS_COMMENT: u8 = 0x10;
const HEADER: usize = 10;

/// Compresses file after file with one set of tables, which are some megabytes.
pub(crate) struct Gzip(Compressor);

impl Gzip {
    pub(crate) fn new() -> Self {
        Self(Compressor::new(CompressionLvl::best()))
    }

    /// Compresses a file into one gzip member, with a comment in its header if one is given.
    pub(crate) fn compress(&mut self, content: &[u8], comment: Option<&str>) -> Vec<u8> {
        let mut compressed = vec![0; self.0.gzip_compress_bound(content.len())];
        let length = self
            .0
            .gzip_compress(content, &mut compressed)
            .expect("the buffer has the size that libdeflate asks for");
        compressed.truncate(length);
        if let Some(comment) = comment {
            compressed[FLAGS] |= HAS_COMMENT;
            let comment = comment.bytes().chain([0]);
            compressed.splice(HEADER..HEADER, comment);
        }
        compressed.shrink_to_fit();
        compressed
    }
}

/// Whether it starts as gzip does.
pub(crate) fn is_compressed(content: &[u8]) -> bool {
    content.starts_with(&[0x1f, 0x8b])
}

/// Decompresses one gzip member of at most `limit`. On failure, a phrase about it.
pub(crate) fn decompress(compressed: &[u8], limit: ByteSize) -> Result<Vec<u8>, String> {
    let damaged = || "is not the gzip that its headers say".to_owned();
    if !is_compressed(compressed) {
        return Err(damaged());
    }
    // It ends with the size of what is in it.
    let size = u32::from_le_bytes(*compressed.last_chunk().ok_or_else(damaged)?);
    if u64::from(size) > limit.0 {
        return Err(format!("is larger than {limit}"));
    }
    let mut content = vec![0; size as usize];
    let length = Decompressor::new()
        .gzip_decompress(compressed, &mut content)
        .map_err(|_| damaged())?;
    content.truncate(length);
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    fn gzip_9(content: &[u8]) -> Vec<u8> {
        let mut gzip = Command::new("gzip")
            .args(["-9", "-n", "-c"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("gzip is on every machine that has Rust's linker");
        let mut stdin = gzip.stdin.take().unwrap();
        let content = content.to_vec();
        std::thread::spawn(move || stdin.write_all(&content));
        gzip.wait_with_output().unwrap().stdout
    }

    fn decompress(compressed: &[u8], size: usize) -> Vec<u8> {
        let mut content = vec![0; size];
        libdeflater::Decompressor::new()
            .gzip_decompress(compressed, &mut content)
            .unwrap();
        content
    }

    #[test]
    fn it_is_at_least_as_small_as_gzip_9_and_comes_back_whole() {
        let mut noise = fastrand::Rng::with_seed(1);
        let source = include_bytes!("mod.rs");
        let mut samples: Vec<Vec<u8>> = vec![
            b"Mojito = (function () {})();".to_vec(),
            include_bytes!("../../Cargo.lock").to_vec(),
            include_bytes!("../../Cargo.lock").repeat(8),
            (0..100_000).map(|_| noise.u8(b'a'..=b'z')).collect(),
        ];
        samples.extend((3..14).map(|power| source[..source.len().min(1 << power)].to_vec()));
        let mut gzip = Gzip::new();
        for sample in samples {
            let compressed = gzip.compress(&sample, None);
            let expected = gzip_9(&sample).len();
            assert!(
                compressed.len() <= expected,
                "{} bytes, gzip -9 makes {expected}",
                compressed.len()
            );
            assert_eq!(decompress(&compressed, sample.len()), sample);
        }
    }

    #[test]
    fn its_header_holds_no_time_and_no_name() {
        let compressed = Gzip::new().compress(b"Mojito", None);
        // RFC 1952: magic, deflate, no flags, time 0.
        assert_eq!(compressed[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
        assert_eq!(compressed, Gzip::new().compress(b"Mojito", None));
    }

    #[test]
    fn a_comment_in_the_header_is_nothing_to_whoever_decompresses_it() {
        let content = include_bytes!("gzip.rs");
        let mut gzip = Gzip::new();
        let compressed = gzip.compress(content, Some("build 57"));
        assert_eq!(decompress(&compressed, content.len()), content);
        let limit = ByteSize(content.len() as u64);
        assert_eq!(super::decompress(&compressed, limit).unwrap(), content);
        assert_eq!(
            super::decompress(&compressed, ByteSize(limit.0 - 1)).unwrap_err(),
            format!("is larger than {}", ByteSize(limit.0 - 1))
        );
        assert_eq!(
            super::decompress(&compressed[1..], limit).unwrap_err(),
            "is not the gzip that its headers say"
        );
        assert_eq!(compressed.len(), gzip.compress(content, None).len() + 9);
        assert_ne!(compressed, gzip.compress(content, Some("build 58")));
        let mut gunzip = Command::new("gzip")
            .arg("-dc")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = gunzip.stdin.take().unwrap();
        std::thread::spawn(move || stdin.write_all(&compressed));
        assert_eq!(gunzip.wait_with_output().unwrap().stdout, content);
    }
}

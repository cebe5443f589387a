//! The peak memory of a process that runs.
//!
//! What the system reports to a parent when its child has ended includes the parent's own memory at the time of the fork.

/// The most memory that a process has had so far, in bytes; `None` once it has ended.
pub(crate) fn peak_memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(1024 * kib)
}

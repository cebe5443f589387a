//! The peak memory of a process that runs, and of those that it has started.
//!
//! What the system reports to a parent when its child has ended includes the parent's own memory at the time of the fork.

/// The most memory that a process has had so far, in bytes; `None` once it has ended.
pub(crate) fn peak_memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(1024 * kib)
}

/// The same of a process and all that it has started, those that have ended left out: at least what they have at this moment.
pub(crate) fn peak_memory_of_tree(process: u32) -> Option<u64> {
    let own = peak_memory(process)?;
    let children = children(process).into_iter();
    Some(own + children.filter_map(peak_memory_of_tree).sum::<u64>())
}

/// The processes that a process has started and that have not ended.
pub(crate) fn children(process: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else {
        return Vec::new();
    };
    let of_thread =
        |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("children"));
    let children = threads.flatten().filter_map(|it| of_thread(it).ok());
    let ids = |children: String| {
        children
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    children
        .flat_map(ids)
        .filter_map(|id| id.parse().ok())
        .collect()
}

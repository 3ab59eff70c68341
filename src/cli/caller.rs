//! Who typed the command, for the record.

/// The person behind `sudo`, else the user of the process by name, else by number.
#[must_use]
pub(super) fn name() -> String {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    set("SUDO_USER")
        .or_else(|| set("USER"))
        .or_else(|| set("LOGNAME"))
        .or_else(owner)
        .unwrap_or_else(|| "unknown".to_owned())
}

/// The number of the user as the kernel gives it.
fn owner() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().next().map(|uid| format!("uid {uid}"))
}

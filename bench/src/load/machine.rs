//! What figures were measured on.

/// In a few words: cores, processor, kernel.
pub(crate) fn describe() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    sentence(cores, &read("/proc/cpuinfo"), &read("/proc/sys/kernel/osrelease"))
}

fn sentence(cores: usize, cpuinfo: &str, kernel: &str) -> String {
    let cpu = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let cpu = cpu.map_or("an unknown processor", |(_, model)| model.trim());
    let plural = if cores == 1 { "core" } else { "cores" };
    format!("{cores} {plural} of {cpu}, Linux {}", kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_described_by_what_the_kernel_says_of_it() {
        let cpuinfo = "processor\t: 0\nmodel name\t: A Processor @ 2 GHz\nmodel name\t: Another\n";
        assert_eq!(sentence(2, cpuinfo, "6.1.0\n"), "2 cores of A Processor @ 2 GHz, Linux 6.1.0");
        assert_eq!(sentence(1, "", "6.1.0"), "1 core of an unknown processor, Linux 6.1.0");
    }
}

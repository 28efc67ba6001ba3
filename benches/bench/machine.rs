//! How busy the machine was, and with whose work; what machine it is.

use std::{
    collections::HashMap,
    fs,
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

use crate::load::count;

/// How much of the machine others may use before a measure counts as disturbed.
pub const MOST_FOR_OTHERS: f64 = 0.10;

/// Watches whose work the machine does.
#[derive(Debug)]
pub struct Machine {
    /// The processes whose descendants are ours.
    roots: Vec<u32>,
}

/// Processor time so far, in ticks of the kernel.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    total: u64,
    /// Of processes, whoever's.
    busy: u64,
    steal: u64,
    own: u64,
}

impl Machine {
    /// Counts this process and all below it as ours, and all below `postgres`. The kernel's own threads count as ours,
    /// too: what they do is nearly always writing what we wrote.
    pub fn new(postgres: u32) -> Self {
        let kernel = fs::read_to_string("/proc/2/comm").is_ok_and(|name| name.trim() == "kthreadd");
        Self { roots: [std::process::id(), postgres].into_iter().chain(kernel.then_some(2)).collect() }
    }

    /// Reads the clocks.
    pub fn read(&self) -> anyhow::Result<Clocks> {
        let stat = fs::read_to_string("/proc/stat")?;
        let line = stat.lines().next().context("/proc/stat is empty")?;
        let ticks: Vec<u64> = line.split_whitespace().skip(1).filter_map(|tick| tick.parse().ok()).collect();
        let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = ticks[..] else {
            anyhow::bail!("/proc/stat begins with {line:?}");
        };
        let busy = user + nice + system;
        let total = busy + idle + iowait + irq + softirq + steal;
        Ok(Clocks { total, busy, steal, own: self.own()? })
    }

    /// Waits until others leave the machine alone, but not longer than `patience`.
    pub async fn wait_for_quiet(&self, patience: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + patience;
        while Instant::now() < until {
            let before = self.read()?;
            tokio::time::sleep(Duration::from_millis(300)).await;
            if self.read()?.others_since(before) < MOST_FOR_OTHERS {
                break;
            }
        }
        Ok(())
    }

    /// The time of our processes, with that of their children which have ended.
    fn own(&self) -> anyhow::Result<u64> {
        let mut processes = HashMap::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            if let Some(pid) = name.to_str().and_then(|name| name.parse().ok())
                && let Some(process) = Process::read(pid)
            {
                processes.insert(pid, process);
            }
        }
        let is_ours = |mut pid: u32| {
            while !self.roots.contains(&pid) {
                match processes.get(&pid) {
                    Some(process) if process.parent != pid => pid = process.parent,
                    _ => return false,
                }
            }
            true
        };
        Ok(processes.iter().filter(|(pid, _)| is_ours(**pid)).map(|(_, process)| process.ticks).sum())
    }
}

impl Clocks {
    /// Which part of the machine others have used since `before`; the hypervisor is one of them.
    pub fn others_since(self, before: Self) -> f64 {
        let busy = self.busy.saturating_sub(before.busy);
        let others = busy.saturating_sub(self.own.saturating_sub(before.own));
        let steal = self.steal.saturating_sub(before.steal);
        count(others + steal) / count(self.total.saturating_sub(before.total).max(1))
    }
}

struct Process {
    parent: u32,
    ticks: u64,
}

impl Process {
    fn read(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before it may hold anything.
        let (_, fields) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let ticks = fields.get(11..15)?.iter().filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Some(Self { parent: fields.get(1)?.parse().ok()?, ticks })
    }
}

/// Which process has started the process `pid`.
pub fn parent(pid: u32) -> Option<u32> {
    Process::read(pid).map(|process| process.parent)
}

/// The machine in a few words: processor, memory, kernel, and how long a disk takes to have four kilobytes for sure.
pub fn describe(folder: &Path) -> anyhow::Result<Vec<(&'static str, String)>> {
    let cores = std::thread::available_parallelism()?;
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let model = field(&cpus, "model name").unwrap_or("unknown");
    let memory = fs::read_to_string("/proc/meminfo")?;
    let kib: f64 =
        field(&memory, "MemTotal").and_then(|kib| kib.split(' ').next()?.parse().ok()).unwrap_or(0.0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let (median, slowest) = sync_times(folder, Duration::from_secs(1))?;
    Ok(vec![
        ("processor", format!("{cores} × {model}")),
        ("memory", format!("{:.0} GiB", kib / 1_048_576.0)),
        ("kernel", format!("Linux {}", kernel.trim())),
        ("file system", file_system(folder)?),
        ("4 KiB written and synced (`fdatasync`)", format!("{median:.2} ms median, {slowest:.2} ms p99")),
    ])
}

/// Which file system a folder lies on; refuses one in memory, where being durable costs nothing.
pub fn file_system(folder: &Path) -> anyhow::Result<String> {
    let mounts = fs::read_to_string("/proc/mounts")?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    let (_, kind) = mounts
        .filter(|(mount, _)| folder.starts_with(mount))
        .max_by_key(|(mount, _)| mount.len())
        .context("no mount holds the folder")?;
    ensure!(kind != "tmpfs", "{} is in memory: only a disk is measured", folder.display());
    Ok(kind.to_owned())
}

fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

/// How long a small append takes until it is on disk just now, in milliseconds: others may use the disk, too.
pub fn sync_now(folder: &Path) -> anyhow::Result<f64> {
    Ok(sync_times(folder, Duration::from_millis(30))?.0)
}

/// How long a small append takes until it is on disk, in milliseconds: the median and the 99th percentile.
fn sync_times(folder: &Path, span: Duration) -> anyhow::Result<(f64, f64)> {
    let mut file = tempfile::tempfile_in(folder)?;
    let mut histogram = crate::load::histogram();
    let until = Instant::now() + span;
    while Instant::now() < until {
        let begun = Instant::now();
        file.write_all(&[7; 4_096])?;
        file.sync_data()?;
        histogram.saturating_record(u64::try_from(begun.elapsed().as_micros())?);
    }
    let millis = |quantile| count(histogram.value_at_quantile(quantile)) / 1_000.0;
    Ok((millis(0.5), millis(0.99)))
}

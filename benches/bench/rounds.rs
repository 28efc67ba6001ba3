//! Round after round of all measures, one after the other, so that a change of the machine meets them all.

use std::path::Path;

use crate::{
    database::{Files, Postgres},
    idle,
    load::Times,
    machine,
    machine::Machine,
    options::Options,
    pgbench::Pgbench,
    plan::{self, Key, PLAN, Subject},
    report::Outcome,
    results::{Results, Sample},
    seed::Seed,
    subjects::{Ground, Running},
};

/// What the measures of an idle server are called, for `--only`.
const IDLE: &str = "redflag on SQLite: idle";

/// Runs everything and tells the outcome.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let postgres = Postgres::find().await?;
    let machine = Machine::new(postgres.pid);
    let (ground, results) = (prepare(&options).await?, Results::default());
    let mut rounds = Rounds { ground, machine, options, results, syncs: Vec::new() };
    for round in 1..=rounds.options.most_rounds() {
        if !rounds.run(round).await? {
            break;
        }
    }
    let Rounds { ground, options, results, mut syncs, .. } = rounds;
    let is_whole = options.only.is_empty() || IDLE.contains(&options.only);
    let idle = if is_whole { Some(idle::measure(&ground, &options).await?) } else { None };
    let mut machine = machine::describe(ground.files.folder())?;
    syncs.sort_by(f64::total_cmp);
    if let [quickest, .., slowest] = syncs[..] {
        machine.push(("the same just before each measure", format!("{quickest:.2} to {slowest:.2} ms")));
    }
    machine.push(("PostgreSQL", ground.postgres.version));
    Outcome { results, idle, machine, options }.tell()
}

async fn prepare(options: &Options) -> anyhow::Result<Ground> {
    let (postgres, files) = (Postgres::find().await?, Files::create()?);
    for folder in [files.folder(), Path::new(&postgres.folder)] {
        machine::file_system(folder)?;
    }
    eprintln!("planting {} alerts in each database", options.seed());
    let seed = Seed::plant(&postgres, &files, options.seed()).await?;
    let pgbench = Pgbench::prepare(Postgres::find().await?, &seed.statements, options.seed()).await?;
    Ok(Ground { postgres, files, seed, pgbench })
}

struct Rounds {
    ground: Ground,
    machine: Machine,
    options: Options,
    results: Results,
    /// How long the disk took before each measure.
    syncs: Vec<f64>,
}

impl Rounds {
    /// Runs one round of what still lacks undisturbed rounds; tells whether there was any.
    async fn run(&mut self, round: usize) -> anyhow::Result<bool> {
        let mut has_run = false;
        for (subject, calls) in PLAN {
            let keys: Vec<_> =
                plan::keys(*subject, calls).into_iter().filter(|key| self.is_wanted(*key)).collect();
            if !keys.is_empty() {
                has_run = true;
                self.run_subject(round, *subject, keys).await?;
            }
        }
        Ok(has_run)
    }

    fn is_wanted(&self, key: Key) -> bool {
        key.to_string().contains(&self.options.only) && self.results.clean_rounds(key) < self.options.rounds()
    }

    async fn run_subject(&mut self, round: usize, subject: Subject, keys: Vec<Key>) -> anyhow::Result<()> {
        let mut running = self.ground.start(subject).await?;
        for key in keys {
            self.machine.wait_for_quiet(self.options.patience()).await?;
            let sync = machine::sync_now(self.ground.files.folder())?;
            self.syncs.push(sync);
            let sample = measure(&self.machine, &self.options, &mut running, key).await?;
            let others = 100.0 * sample.others;
            let note = if sample.is_clean() { "" } else { ", too many" };
            eprintln!(
                "round {round}  {key:70}{:>10.0}/s  (others {others:.0} %{note}; sync {sync:.1} ms)",
                sample.load.per_second
            );
            self.results.add(key, sample);
        }
        running.stop().await
    }
}

async fn measure(
    machine: &Machine,
    options: &Options,
    running: &mut Running<'_>,
    key: Key,
) -> anyhow::Result<Sample> {
    let before = machine.read()?;
    let times = Times { warm_up: options.warm_up(), span: options.span() };
    let load = running.measure(key, times).await?;
    let others = machine.read()?.others_since(before);
    Ok(Sample { load, others })
}

//! Tells the outcome: on the screen, and in docs/performance.md.

use std::path::{Path, PathBuf};

use crate::{
    goals::{Goal, goals},
    idle::Idle,
    machine::MOST_FOR_OTHERS,
    options::Options,
    plan::Key,
    plot,
    results::{Results, Summary},
    table::table,
};

/// The page, with places for what is measured; its prose is kept by hand.
const TEMPLATE: &str = include_str!("performance.md.in");

/// Everything there is to tell.
pub struct Outcome {
    pub results: Results,
    pub idle: Option<Idle>,
    pub machine: Vec<(&'static str, String)>,
    pub options: Options,
}

impl Outcome {
    /// Prints the tables, and writes the page with its plots where the options ask for it.
    pub fn tell(&self) -> anyhow::Result<()> {
        println!("{}\n{}", self.figures(), self.goals());
        if self.options.writes_documents() {
            let docs = docs();
            std::fs::create_dir_all(docs.join("performance"))?;
            plot::throughput(&docs.join("performance/throughput.svg"), &self.results)?;
            plot::latency(&docs.join("performance/latency.svg"), &self.results)?;
            std::fs::write(docs.join("performance.md"), self.page())?;
            println!("written: docs/performance.md");
        }
        Ok(())
    }

    fn page(&self) -> String {
        let machine = self.machine.iter().map(|(name, value)| format!("- {name}: {value}\n"));
        let seconds = humantime::format_duration(self.options.span()).to_string();
        TEMPLATE
            .replace("{machine}", machine.collect::<String>().trim_end())
            .replace("{goals}", self.goals().trim_end())
            .replace("{figures}", self.figures().trim_end())
            .replace("{rounds}", &self.options.rounds().to_string())
            .replace("{seconds}", &seconds)
            .replace("{seed}", &self.options.seed().to_string())
            .replace("{others}", &format!("{:.0} %", 100.0 * MOST_FOR_OTHERS))
    }

    fn figures(&self) -> String {
        let rows: Vec<_> = self.results.summaries().map(|(key, summary)| figure(key, &summary)).collect();
        let headings =
            ["measure", "calls/s", "slowest–fastest", "p50 ms", "p90", "p99", "p99.9", "rounds", "dropped"];
        table(headings, &rows)
    }

    fn goals(&self) -> String {
        let rows: Vec<_> = goals(&self.results, self.idle).iter().map(promise).collect();
        table(["promise", "measured", "of", "must", "aim", "reached"], &rows)
    }
}

fn figure(key: Key, summary: &Summary) -> [String; 9] {
    let percentile = |part: fn(&crate::load::Latency) -> f64| {
        summary.latency.as_ref().map_or_else(String::new, |latency| format!("{:.2}", part(latency)))
    };
    let mark = if summary.is_disturbed { " (disturbed)" } else { "" };
    [
        key.to_string(),
        format!("{:.0}", summary.per_second),
        format!("{:.0}–{:.0}", summary.slowest, summary.fastest),
        percentile(|latency| latency.p50),
        percentile(|latency| latency.p90),
        percentile(|latency| latency.p99),
        percentile(|latency| latency.p999),
        format!("{}{mark}", summary.rounds),
        summary.dropped.to_string(),
    ]
}

fn promise(goal: &Goal) -> [String; 6] {
    let digits = if goal.unit.is_empty() { 2 } else { 1 };
    let limit = |limit: f64| format!("{} {limit}{}", goal.sign(), goal.unit);
    [
        goal.name.to_owned(),
        goal.value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}{}", goal.unit)),
        goal.pair.clone(),
        limit(goal.must),
        limit(goal.aim),
        goal.reached().word().to_owned(),
    ]
}

/// The folder of the documents.
pub fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

//! Tells the outcome: on the screen, and for large databases in docs/performance.

use super::{Outcome, SAMPLED};
use crate::{
    load::{Latency, count},
    options::Scale,
    plot::{self, Captions, Line},
    report::docs,
    table::table,
};

/// The page, with places for what is measured.
const TEMPLATE: &str = include_str!("scale.md.in");

/// Prints the tables; writes them, with a plot, where the options ask for it.
pub fn tell(scale: Scale, outcomes: &[Outcome; 2], machine: &[(&str, String)]) -> anyhow::Result<()> {
    let (overview, pages) = (overview(outcomes), pages(outcomes));
    println!("{overview}\n{pages}");
    if scale.write {
        let folder = docs().join("performance");
        std::fs::create_dir_all(&folder)?;
        let lines = outcomes.each_ref().map(|outcome| Line {
            name: outcome.store.to_owned(),
            points: outcome
                .pages
                .depths
                .iter()
                .map(|(depth, latency)| (f64::from(*depth), latency.p50))
                .collect(),
        });
        let captions = Captions { title: "A page of 50, median", x: "alerts before the page", y: "ms" };
        plot::logarithmic(&folder.join("pages.svg"), &captions, &lines)?;
        let machine = machine.iter().map(|(name, value)| format!("- {name}: {value}\n"));
        let page = TEMPLATE
            .replace("{machine}", machine.collect::<String>().trim_end())
            .replace("{alerts}", &scale.alerts.to_string())
            .replace("{sampled}", &SAMPLED.to_string())
            .replace("{overview}", overview.trim_end())
            .replace("{pages}", pages.trim_end());
        std::fs::write(folder.join("scale.md"), page)?;
        println!("written: docs/performance/scale.md");
    }
    Ok(())
}

fn overview(outcomes: &[Outcome; 2]) -> String {
    let row = |name: &str, value: &dyn Fn(&Outcome) -> String| {
        let [postgres, sqlite] = outcomes.each_ref().map(value);
        [name.to_owned(), postgres, sqlite]
    };
    let rows = [
        row("size of the database", &|outcome| format!("{:.0} MiB", count(outcome.bytes) / 1_048_576.0)),
        row("filling it", &|outcome| format!("{:.0} s", outcome.seconds)),
        row("start", &|outcome| format!("{:.0} ms", outcome.start_ms)),
        row("memory after the start", &|outcome| format!("{:.1} MiB", outcome.memory_mib[0])),
        row("memory after all calls", &|outcome| format!("{:.1} MiB", outcome.memory_mib[1])),
        row("FlagEntity, 64 in flight", &|outcome| format!("{:.0}/s", outcome.flag.per_second)),
        row("GetAlert, 64 in flight", &|outcome| format!("{:.0}/s", outcome.get.per_second)),
        row("UpdateAlert, 64 in flight", &|outcome| format!("{:.0}/s", outcome.update.per_second)),
    ];
    table(["", outcomes[0].store, outcomes[1].store], &rows)
}

fn pages(outcomes: &[Outcome; 2]) -> String {
    let [postgres, sqlite] = outcomes.each_ref().map(|outcome| &outcome.pages);
    let told = |latency: &Latency| format!("{:.2} / {:.2}", latency.p50, latency.p99);
    let filters = postgres.filters.iter().zip(&sqlite.filters).map(|(postgres, sqlite)| {
        let name = format!("filter: {}", postgres.name);
        [name, told(&postgres.first), told(&postgres.deepest), told(&sqlite.first), told(&sqlite.deepest)]
    });
    let depths = postgres.depths.iter().zip(&sqlite.depths).map(|(postgres, sqlite)| {
        let name = format!("no filter, after {} alerts", postgres.0);
        [name, told(&postgres.1), String::new(), told(&sqlite.1), String::new()]
    });
    let rows: Vec<_> = filters.chain(depths).collect();
    table(["page of 50, p50 / p99 in ms", "PostgreSQL", "deepest", "SQLite", "deepest"], &rows)
}

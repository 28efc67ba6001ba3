//! Writes log lines in the background. Lines that find the queue full are dropped, counted, and reported later.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, BufWriter, Write},
    sync::{Arc, OnceLock},
};

use tracing::{Level, Metadata};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::{
    MakeWriter,
    format::Writer,
    time::{FormatTime, SystemTime},
};

use crate::domain::text;

/// The most lines of calls that wait to be written.
const MAX_WAITING_LINES: usize = 8_192;
/// The most warnings and errors that wait, in a queue of their own that a flood of calls can't fill.
const MAX_WAITING_WARNINGS: usize = 1_024;
/// The most bytes of one write.
const MAX_WRITE_BYTES: usize = 64 * 1024;

/// Guards that write the waiting lines on drop, and give up after a moment when standard error is blocked.
pub type Guards = [WorkerGuard; 2];

/// The queues of lines: one for calls, one for warnings and errors.
#[derive(Clone)]
pub struct Lines {
    calls: NonBlocking,
    warnings: NonBlocking,
}

impl Lines {
    /// Starts a thread for each queue, which writes to its own `out` in batches.
    pub fn new<W: Write + Send + 'static>(out: impl Fn() -> W, is_json: bool) -> (Self, Guards) {
        let (calls, calls_guard) = queue(MAX_WAITING_LINES, out(), is_json);
        let (warnings, warnings_guard) = queue(MAX_WAITING_WARNINGS, out(), is_json);
        (Self { calls, warnings }, [calls_guard, warnings_guard])
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = NonBlocking;

    fn make_writer(&'a self) -> NonBlocking {
        self.calls.clone()
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> NonBlocking {
        if *metadata.level() <= Level::WARN { self.warnings.clone() } else { self.calls.clone() }
    }
}

fn queue<W: Write + Send + 'static>(lines: usize, out: W, is_json: bool) -> (NonBlocking, WorkerGuard) {
    let lost = Arc::new(OnceLock::new());
    let out = Out { to: out, is_json, lost: Arc::clone(&lost), reported: 0 };
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(lines)
        .thread_name("redflag-log")
        .finish(BufWriter::with_capacity(MAX_WRITE_BYTES, out));
    // The counter exists only after the writer; it is set once.
    let _ = lost.set(writer.error_counter());
    (writer, guard)
}

/// The sink of a queue, which reports lost lines. Every write holds whole lines.
struct Out<W> {
    to: W,
    is_json: bool,
    lost: Arc<OnceLock<ErrorCounter>>,
    /// The number of lost lines that were reported.
    reported: usize,
}

impl<W: Write> Write for Out<W> {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        if let Some(loss) = self.loss() {
            self.to.write_all(loss.as_bytes())?;
        }
        self.to.write_all(&escaped(lines))?;
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl<W> Out<W> {
    /// Makes the line that reports the lines lost since the last report.
    fn loss(&mut self) -> Option<String> {
        let lost = self.lost.get()?.dropped_lines();
        let count = lost - std::mem::replace(&mut self.reported, lost);
        (count > 0).then(|| loss_line(count, self.is_json))
    }
}

fn loss_line(count: usize, is_json: bool) -> String {
    let mut time = String::new();
    // Writing to a string never fails.
    let _ = SystemTime.format_time(&mut Writer::new(&mut time));
    let (message, target) = (format!("{count} lines of the log were lost"), "redflag::telemetry");
    if is_json {
        let line = serde_json::json!({
            "timestamp": time, "level": "WARN", "message": message, "lost": count, "target": target,
        });
        format!("{line}\n")
    } else {
        format!("{time}  WARN {target}: {message}\n")
    }
}

/// Escapes the non-ASCII characters that steer a terminal or reorder text. The format itself writes ASCII ones: line feeds,
/// tabs, and escape sequences of colours.
fn escaped(lines: &[u8]) -> Cow<'_, [u8]> {
    let is_steering = |c: char| !c.is_ascii() && text::is_steering(c);
    match std::str::from_utf8(lines) {
        Ok(lines) if !lines.is_ascii() && lines.contains(is_steering) => {
            let mut escaped = String::with_capacity(lines.len());
            for c in lines.chars() {
                if is_steering(c) {
                    let _ = write!(escaped, "\\u{:04x}", u32::from(c));
                } else {
                    escaped.push(c);
                }
            }
            Cow::Owned(escaped.into_bytes())
        }
        _ => Cow::Borrowed(lines),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Condvar, Mutex},
        thread,
        time::{Duration, Instant},
    };

    use super::*;

    /// A pipe that blocks writers until it is opened.
    #[derive(Clone, Default)]
    struct Pipe(Arc<State>);

    #[derive(Default)]
    struct State {
        is_open: Mutex<bool>,
        opened: Condvar,
        bytes: Mutex<Vec<u8>>,
    }

    impl Pipe {
        fn open(&self) {
            *self.0.is_open.lock().unwrap() = true;
            self.0.opened.notify_all();
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.bytes.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let is_open = self.0.is_open.lock().unwrap();
            drop(self.0.opened.wait_while(is_open, |is_open| !*is_open).unwrap());
            self.0.bytes.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Counts the lines that were written, and those that are reported lost.
    fn counts(text: &str) -> (usize, usize) {
        let lost = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?["lost"].as_u64();
        let reports: Vec<_> = text.lines().filter_map(lost).collect();
        (text.lines().count() - reports.len(), reports.iter().sum::<u64>().try_into().unwrap())
    }

    #[test]
    fn lost_lines_are_counted_and_reported() {
        let pipe = Pipe::default();
        let (lines, guards) = Lines::new(|| pipe.clone(), true);
        let mut writer = lines.make_writer();
        let line = [b'x'; 1023].into_iter().chain([b'\n']).collect::<Vec<_>>();
        let sent = MAX_WAITING_LINES * 2;
        for _ in 0..sent {
            writer.write_all(&line).unwrap();
        }
        let lost = writer.error_counter().dropped_lines();
        assert!(lost > 0);
        pipe.open();
        drop((lines, writer, guards));
        // Lines that are lost early are reported early, so there may be several reports.
        let deadline = Instant::now() + Duration::from_mins(1);
        while counts(&pipe.text()) != (sent - lost, lost) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(counts(&pipe.text()), (sent - lost, lost));
    }

    #[test]
    fn terminal_control_characters_are_escaped() {
        let line = "{\"path\":\"/é\u{9b}31m\u{202e}\"}\n\u{1b}[2m";
        assert_eq!(escaped(line.as_bytes()), "{\"path\":\"/é\\u009b31m\\u202e\"}\n\u{1b}[2m".as_bytes());
        assert!(matches!(escaped(b"plain\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn lost_lines_are_reported_in_the_format_of_the_log() {
        let json: serde_json::Value = serde_json::from_str(&loss_line(7, true)).unwrap();
        assert_eq!((json["lost"].as_u64(), &json["level"]), (Some(7), &"WARN".into()));
        assert!(loss_line(7, false).ends_with("WARN redflag::telemetry: 7 lines of the log were lost\n"));
    }
}

//! Writes the log's lines without ever keeping a call waiting: what finds no room is counted, and told with the next line.

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

/// How many lines of calls may wait to be written.
const LINES_WAITING: usize = 8_192;
/// How many warnings and errors may wait besides, so that a flood of calls can't push them out.
const WARNINGS_WAITING: usize = 1_024;
/// How many bytes of the log are written at once, where so much of it has gathered.
const WRITTEN_AT_ONCE: usize = 64 * 1024;

/// Writes what has gathered when it is dropped, but waits only for a moment for a log that nobody reads.
pub type Guards = [WorkerGuard; 2];

/// The log's way out: a room for what calls tell, and one for warnings and errors.
#[derive(Clone)]
pub struct Lines {
    calls: NonBlocking,
    warnings: NonBlocking,
}

impl Lines {
    /// Lines that threads of their own write to what `out` opens, all that has gathered at once.
    pub fn new<W: Write + Send + 'static>(out: impl Fn() -> W, is_json: bool) -> (Self, Guards) {
        let (calls, calls_guard) = room(LINES_WAITING, out(), is_json);
        let (warnings, warnings_guard) = room(WARNINGS_WAITING, out(), is_json);
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

fn room<W: Write + Send + 'static>(lines: usize, out: W, is_json: bool) -> (NonBlocking, WorkerGuard) {
    let lost = Arc::new(OnceLock::new());
    let out = Out { to: out, is_json, lost: Arc::clone(&lost), told: 0 };
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(lines)
        .thread_name("redflag-log")
        .finish(BufWriter::with_capacity(WRITTEN_AT_ONCE, out));
    // The counter is there only now; it is set once.
    let _ = lost.set(writer.error_counter());
    (writer, guard)
}

/// The end of the log's way. Each piece that is written holds whole lines.
struct Out<W> {
    to: W,
    is_json: bool,
    lost: Arc<OnceLock<ErrorCounter>>,
    /// How many lost lines were told.
    told: usize,
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
    /// The line about those that were lost since the last such line.
    fn loss(&mut self) -> Option<String> {
        let lost = self.lost.get()?.dropped_lines();
        let count = lost - std::mem::replace(&mut self.told, lost);
        (count > 0).then(|| loss_line(count, self.is_json))
    }
}

fn loss_line(count: usize, is_json: bool) -> String {
    let mut time = String::new();
    // Text takes everything.
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

/// The lines with every character escaped that could steer a terminal or turn text around, but for what the format itself
/// writes: line feeds, tabs, and colours, whose escape sequences begin with a byte of ASCII.
fn escaped(lines: &[u8]) -> Cow<'_, [u8]> {
    let is_steering = |c: char| !c.is_ascii() && text::is_steering(c);
    match std::str::from_utf8(lines) {
        Ok(lines) if !lines.is_ascii() && lines.contains(is_steering) => {
            let mut told = String::with_capacity(lines.len());
            for c in lines.chars() {
                if is_steering(c) {
                    let _ = write!(told, "\\u{:04x}", u32::from(c));
                } else {
                    told.push(c);
                }
            }
            Cow::Owned(told.into_bytes())
        }
        _ => Cow::Borrowed(lines),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;

    /// Keeps what is written, once it may be.
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

    #[test]
    fn lines_that_find_no_room_are_counted_and_told() {
        let pipe = Pipe::default();
        let (lines, guards) = Lines::new(|| pipe.clone(), true);
        let mut writer = lines.make_writer();
        let line = [b'x'; 1023].into_iter().chain([b'\n']).collect::<Vec<_>>();
        let sent = LINES_WAITING * 2;
        for _ in 0..sent {
            writer.write_all(&line).unwrap();
        }
        let lost = writer.error_counter().dropped_lines();
        assert!(lost > 0);
        pipe.open();
        drop((lines, writer, guards));
        let text = pipe.text();
        let told = format!("\"message\":\"{lost} lines of the log were lost\"");
        assert_eq!(text.matches(&told).count(), 1, "{lost}");
        assert_eq!(text.lines().count(), sent - lost + 1);
    }

    #[test]
    fn what_steers_a_terminal_is_escaped() {
        let line = "{\"path\":\"/é\u{9b}31m\u{202e}\"}\n\u{1b}[2m";
        assert_eq!(escaped(line.as_bytes()), "{\"path\":\"/é\\u009b31m\\u202e\"}\n\u{1b}[2m".as_bytes());
        assert!(matches!(escaped(b"plain\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn the_loss_is_told_in_the_format_of_the_log() {
        let json: serde_json::Value = serde_json::from_str(&loss_line(7, true)).unwrap();
        assert_eq!((json["lost"].as_u64(), &json["level"]), (Some(7), &"WARN".into()));
        assert!(loss_line(7, false).ends_with("WARN redflag::telemetry: 7 lines of the log were lost\n"));
    }
}

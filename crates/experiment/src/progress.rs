//! Progress of a stage on stderr: a bar with rate and time left on a terminal, else a line every half minute.
//!
//! [`Progress::advance`] costs an atomic addition and a clock reading, so that a loop may call it 100 000 times a
//! second, from any thread.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// Shortest time between two lines where stderr is not a terminal.
const INTERVAL: Duration = Duration::from_secs(30);
/// Redraws of the bar per second.
const REDRAWS: u8 = 10;

/// A stage under way; shared by reference with whatever does the work.
pub struct Progress {
    display: Display,
}

enum Display {
    Bar(ProgressBar),
    Lines(Lines),
    Silent,
}

impl Progress {
    /// A stage of `total` units of work (epochs, steps, trajectories), shown as stderr allows.
    pub fn new(stage: &str, total: u64) -> Self {
        if std::io::stderr().is_terminal() {
            return Self { display: Display::Bar(bar(stage, total)) };
        }
        let sink = Box::new(std::io::stderr());
        Self { display: Display::Lines(Lines::new(stage, total, INTERVAL, sink)) }
    }

    /// Shows nothing: for tests and for callers that asked for quiet.
    pub fn silent() -> Self {
        Self { display: Display::Silent }
    }

    /// Work that an earlier run had done already; it counts in the position and not in the rate.
    pub fn resume_at(&self, done: u64) {
        match &self.display {
            Display::Bar(bar) => {
                bar.set_position(done);
                bar.reset_eta();
            }
            Display::Lines(lines) => lines.resume_at(done),
            Display::Silent => {}
        }
    }

    /// `n` more units that an earlier run had done already.
    pub fn skip(&self, n: u64) {
        if n > 0 {
            match &self.display {
                Display::Bar(bar) => self.resume_at(bar.position() + n),
                Display::Lines(lines) => lines.skip(n),
                Display::Silent => {}
            }
        }
    }

    /// `n` more units are done.
    pub fn advance(&self, n: u64) {
        match &self.display {
            Display::Bar(bar) => bar.inc(n),
            Display::Lines(lines) => lines.advance(n),
            Display::Silent => {}
        }
    }

    /// `n` more units, done now or by an earlier run.
    pub fn count(&self, n: u64, is_fresh: bool) {
        if is_fresh { self.advance(n) } else { self.skip(n) }
    }

    /// A short word on the state of the work, such as "loss 0.0521".
    pub fn message(&self, text: impl Into<Cow<'static, str>>) {
        match &self.display {
            Display::Bar(bar) => bar.set_message(text),
            Display::Lines(lines) => lines.message(text.into()),
            Display::Silent => {}
        }
    }

    /// The stage is over: one line with the time it took stays.
    pub fn finish(self) {
        match &self.display {
            Display::Bar(bar) => {
                let summary = format!("{}: done in {}", bar.prefix().trim_end(), duration(bar.elapsed()));
                bar.finish_and_clear();
                say(&mut std::io::stderr(), &summary);
            }
            Display::Lines(lines) => lines.finish(),
            Display::Silent => {}
        }
    }
}

impl Progress {
    /// There was nothing to do: nothing stays.
    pub fn discard(self) {
        if let Display::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    /// A stage that ends early, by an error or an interruption, leaves its bar where it stood.
    fn drop(&mut self) {
        if let Display::Bar(bar) = &self.display
            && !bar.is_finished()
        {
            bar.abandon();
        }
    }
}

fn bar(stage: &str, total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{prefix} {bar:30} {percent:>3} %  {pos}/{len}  {rate}, {left} left  {msg}",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar())
    .with_key("rate", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        // A failed write into the bar's own buffer has no reader to tell.
        let _ = write!(out, "{}/s", rate(state.per_sec()));
    })
    .with_key("left", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        let _ = write!(out, "{}", duration(state.eta()));
    })
    .progress_chars("━╸─");
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(REDRAWS));
    bar.set_style(style);
    bar.set_prefix(format!("{stage:<11}"));
    bar
}

/// Lines into a log.
struct Lines {
    stage: String,
    total: u64,
    interval: Duration,
    started: Instant,
    resumed: AtomicU64,
    done: AtomicU64,
    /// Milliseconds after `started` before which no line is due.
    next: AtomicU64,
    written: Mutex<Written>,
}

/// What changes under the lock, taken only when a line is due or the message changes.
struct Written {
    message: Cow<'static, str>,
    sink: Box<dyn Write + Send>,
}

impl Lines {
    fn new(stage: &str, total: u64, interval: Duration, sink: Box<dyn Write + Send>) -> Self {
        Self {
            stage: stage.to_owned(),
            total,
            interval,
            started: Instant::now(),
            resumed: AtomicU64::new(0),
            done: AtomicU64::new(0),
            next: AtomicU64::new(interval.as_millis() as u64),
            written: Mutex::new(Written { message: Cow::Borrowed(""), sink }),
        }
    }

    fn resume_at(&self, done: u64) {
        self.resumed.store(done, Ordering::Relaxed);
        self.done.store(done, Ordering::Relaxed);
    }

    fn skip(&self, n: u64) {
        self.resumed.fetch_add(n, Ordering::Relaxed);
        self.done.fetch_add(n, Ordering::Relaxed);
    }

    fn message(&self, text: Cow<'static, str>) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).message = text;
    }

    fn advance(&self, n: u64) {
        self.done.fetch_add(n, Ordering::Relaxed);
        self.report(self.started.elapsed());
    }

    /// Writes a line if one is due `elapsed` after the start; of several threads, one does.
    fn report(&self, elapsed: Duration) {
        let now = elapsed.as_millis() as u64;
        let due = self.next.load(Ordering::Relaxed);
        let after = now + self.interval.as_millis() as u64;
        if now < due || self.next.compare_exchange(due, after, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let line = self.line(elapsed, &written.message);
        say(&mut written.sink, &line);
    }

    fn line(&self, elapsed: Duration, message: &str) -> String {
        let done = self.done.load(Ordering::Relaxed);
        let fresh = done.saturating_sub(self.resumed.load(Ordering::Relaxed)) as f64;
        let per_second = fresh / elapsed.as_secs_f64().max(1e-9);
        let percent = 100.0 * done as f64 / self.total.max(1) as f64;
        let left = if per_second > 0.0 {
            let seconds = self.total.saturating_sub(done) as f64 / per_second;
            // A rate near zero would leave more seconds than a Duration holds.
            Duration::try_from_secs_f64(seconds).map_or_else(|_| "?".to_owned(), duration)
        } else {
            "?".to_owned()
        };
        let line = format!("{}: {percent:.0} %, {}/s, {left} left", self.stage, rate(per_second));
        if message.is_empty() { line } else { format!("{line}, {message}") }
    }

    fn finish(&self) {
        let line = format!("{}: done in {}", self.stage, duration(self.started.elapsed()));
        say(&mut self.written.lock().unwrap_or_else(PoisonError::into_inner).sink, &line);
    }
}

/// A closed stderr must not end a run that goes on without it.
pub(crate) fn say(sink: &mut dyn Write, line: &str) {
    let _ = writeln!(sink, "{line}");
}

/// Seconds, minutes or hours, the two largest units.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

fn rate(per_second: f64) -> String {
    match per_second {
        r if r >= 1e6 => format!("{:.1}M", r / 1e6),
        r if r >= 1e4 => format!("{:.0}k", r / 1e3),
        r if r >= 1e3 => format!("{:.1}k", r / 1e3),
        r if r >= 10.0 => format!("{r:.0}"),
        r => format!("{r:.2}"),
    }
}

#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::*;

/// A log that the test can read while the stage writes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
    }
}

fn stage(total: u64, interval: Duration) -> (Lines, Log) {
    let log = Log::default();
    (Lines::new("train", total, interval, Box::new(log.clone())), log)
}

#[test]
fn a_line_at_most_every_interval() {
    let (lines, log) = stage(400, INTERVAL);
    for second in 1..=100 {
        lines.done.fetch_add(1, Ordering::Relaxed);
        lines.report(Duration::from_secs(second));
    }
    assert_eq!(
        log.lines(),
        [
            "train: 8 %, 1.00/s, 6 min 10 s left",
            "train: 15 %, 1.00/s, 5 min 40 s left",
            "train: 22 %, 1.00/s, 5 min 10 s left"
        ]
    );
}

#[test]
fn resumed_work_counts_in_the_position_and_not_in_the_rate() {
    let (lines, log) = stage(1000, INTERVAL);
    lines.resume_at(500);
    lines.message("loss 0.05".into());
    lines.done.fetch_add(300, Ordering::Relaxed);
    lines.report(Duration::from_secs(30));
    assert_eq!(log.lines(), ["train: 80 %, 10/s, 20 s left, loss 0.05"]);
    // The next part of the work was begun before, too.
    lines.skip(100);
    lines.report(Duration::from_secs(80));
    assert_eq!(log.lines()[1], "train: 90 %, 3.75/s, 26 s left, loss 0.05");
}

#[test]
fn no_work_yet_or_none_to_do_is_no_panic() {
    let (lines, log) = stage(0, Duration::ZERO);
    lines.report(Duration::ZERO);
    lines.advance(3);
    lines.finish();
    assert!(log.lines()[0].starts_with("train: 0 %, 0.00/s, ? left"), "{:?}", log.lines());
    assert!(log.lines().last().unwrap().starts_with("train: done in 0.0 s"));
}

#[test]
fn many_threads_lose_no_work_and_write_one_line_when_one_is_due() {
    let (lines, log) = stage(400_000, INTERVAL);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..100_000).for_each(|_| lines.advance(1)));
        }
    });
    assert_eq!(lines.done.load(Ordering::Relaxed), 400_000);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| lines.report(Duration::from_secs(31)));
        }
    });
    assert_eq!(log.lines().len(), 1);
}

#[test]
fn a_call_costs_less_than_ten_microseconds() {
    let (lines, _log) = stage(1_000_000, INTERVAL);
    let start = Instant::now();
    (0..1_000_000).for_each(|_| lines.advance(1));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?} for a million calls", start.elapsed());
}

#[test]
fn the_bar_counts_and_a_silent_stage_takes_everything() {
    let shown = Progress { display: Display::Bar(bar("sample", 10)) };
    shown.resume_at(4);
    shown.advance(3);
    shown.message("step 7");
    let Display::Bar(inner) = &shown.display else { unreachable!() };
    assert_eq!((inner.position(), inner.length(), inner.message().as_str()), (7, Some(10), "step 7"));
    let silent = Progress::silent();
    silent.advance(u64::MAX);
    silent.message("nobody hears");
    silent.finish();
}

#[test]
fn durations_and_rates_are_short() {
    let text = |seconds| duration(Duration::from_secs_f64(seconds));
    assert_eq!(
        [0.04, 9.0, 59.9, 61.0, 3725.0].map(text),
        ["0.0 s", "9.0 s", "59 s", "1 min 01 s", "1 h 02 min"]
    );
    assert_eq!([0.5, 99.0, 1234.0, 45_600.0, 2.5e6].map(rate), ["0.50", "99", "1.2k", "46k", "2.5M"]);
}

/// What a stage finds done already lies between what it makes: the rate is of the latter.
#[test]
fn what_is_found_counts_in_the_position_and_what_is_made_in_the_rate() {
    let (lines, log) = stage(100, INTERVAL);
    let progress = Progress { display: Display::Lines(lines) };
    (0..60).for_each(|i| progress.count(1, i % 2 == 0));
    let Display::Lines(lines) = &progress.display else { unreachable!() };
    lines.report(Duration::from_secs(30));
    assert_eq!(log.lines(), ["train: 60 %, 1.00/s, 40 s left"]);
}

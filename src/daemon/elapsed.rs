//! What happened between two looks at the clocks: usual time, a suspend, a clock that was set, or a stall. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::catch_up::Cause;
use super::plan::LATE_AFTER;
use crate::clock::{Clock, Uptime};

/// Differences below this are the clocks' own unrest: slewing, leap smearing, the time between two readings.
const UNREST: SignedDuration = SignedDuration::from_secs(2);

/// All clocks, read together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) wall: Timestamp,
    pub(super) uptime: Uptime,
}

impl Reading {
    pub(super) fn of(clock: &dyn Clock) -> Self {
        Self { wall: clock.now(), uptime: clock.uptime() }
    }
}

/// What lies between two readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Elapsed {
    Usual,
    /// Nothing looked at the clocks for so long, and the machine was awake.
    Stalled(SignedDuration),
    /// The machine was suspended for so long.
    Asleep(SignedDuration),
    SetForward(SignedDuration),
    SetBack(SignedDuration),
}

impl Elapsed {
    /// Tells what lies between two readings. The wall clock is held against the clock that goes on in a suspend, and that
    /// one against the clock that does not. When several things happened, a suspend is named before a clock that was set, as
    /// the clock is often put right after one.
    pub(super) fn between(before: &Reading, now: &Reading) -> Self {
        let wall = now.wall.duration_since(before.wall);
        let passed = signed(now.uptime.since_boot) - signed(before.uptime.since_boot);
        let awake = signed(now.uptime.awake) - signed(before.uptime.awake);
        let (asleep, set) = (passed - awake, wall - passed);
        if asleep >= UNREST {
            Self::Asleep(asleep)
        } else if set >= UNREST {
            Self::SetForward(set)
        } else if set <= -UNREST {
            Self::SetBack(-set)
        } else if awake > signed(LATE_AFTER) {
            Self::Stalled(awake)
        } else {
            Self::Usual
        }
    }

    /// Why moments were missed in this time. What is late at a usual look can only have been held up by our own machine.
    pub(super) const fn cause(self) -> Cause {
        match self {
            Self::Asleep(_) => Cause::Asleep,
            Self::SetForward(_) => Cause::SetForward,
            Self::Usual | Self::Stalled(_) | Self::SetBack(_) => Cause::Stalled,
        }
    }
}

fn signed(length: Duration) -> SignedDuration {
    length.try_into().unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_a_set_clock_and_a_stall_are_told_apart() {
        let seconds = SignedDuration::from_millis;
        let cases = [
            // milliseconds by the wall, awake, asleep
            (500, 500, 0, Elapsed::Usual),
            (0, 0, 0, Elapsed::Usual),
            (2_400, 500, 0, Elapsed::Usual),
            (-1_400, 500, 0, Elapsed::Usual),
            (5_000, 5_000, 0, Elapsed::Usual),
            (5_001, 5_001, 0, Elapsed::Stalled(seconds(5_001))),
            (2_500, 500, 0, Elapsed::SetForward(seconds(2_000))),
            (86_400_500, 500, 0, Elapsed::SetForward(seconds(86_400_000))),
            (-1_500, 500, 0, Elapsed::SetBack(seconds(2_000))),
            (-3_599_500, 500, 0, Elapsed::SetBack(seconds(3_600_000))),
            (2_500, 500, 2_000, Elapsed::Asleep(seconds(2_000))),
            (28_800_500, 500, 28_800_000, Elapsed::Asleep(seconds(28_800_000))),
            // Asleep, and set by an hour meanwhile; held up for a minute, and set.
            (25_200_500, 500, 28_800_000, Elapsed::Asleep(seconds(28_800_000))),
            (120_000, 60_000, 0, Elapsed::SetForward(seconds(60_000))),
        ];
        let before = Reading { wall: Timestamp::UNIX_EPOCH, uptime: Uptime::default() };
        for (wall, awake, asleep, expected) in cases {
            let awake = Duration::from_millis(awake);
            let uptime = Uptime { awake, since_boot: awake + Duration::from_millis(asleep) };
            let now = Reading { wall: Timestamp::from_millisecond(wall).unwrap(), uptime };
            assert_eq!(Elapsed::between(&before, &now), expected, "wall {wall}, awake {awake:?}, asleep {asleep}");
        }
    }
}

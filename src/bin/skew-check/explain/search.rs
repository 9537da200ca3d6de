//! Where a code would fit: everywhere near a time, with the token's own parameters and with others. Time isn't critical here, and
//! the secret belongs to whoever runs this.

use std::time::Duration;

use skewgate::otp::{Algorithm, Code, Consecutive, Format, StepRange, TimeStep, Totp, scan};
use skewgate::time::{SignedDuration, Timestamp};
use skewgate::token::Odds;

use super::ExplainError;
use super::key::{Key, Parameters, Reading};

/// With other parameters a single code is looked for only so far: each of them is another chance of fitting by luck.
const NEAR: Duration = Duration::from_secs(3600);

/// Which steps were looked at, and which of them fit.
#[derive(Clone, Debug)]
pub(crate) struct Fits {
    pub(crate) steps: Vec<TimeStep>,
    /// The chance that codes that somebody made up fit one of the steps that were looked at.
    pub(crate) luck: Odds,
}

/// Another way to read the secret or to make its codes, with which they fit.
#[derive(Clone, Debug)]
pub(crate) struct Alternative {
    pub(crate) reading: Reading,
    pub(crate) parameters: Parameters,
    pub(crate) step: TimeStep,
    /// As in [`Fits`], for all alternatives together.
    pub(crate) luck: Odds,
}

/// All steps within `reach` of `centre` at which `codes` fit, each the step of the last code.
pub(crate) fn fits(
    totp: &Totp,
    codes: &[Code],
    centre: Timestamp,
    reach: Duration,
) -> Result<Fits, ExplainError> {
    let codes = Consecutive::new(codes)?;
    let reach = SignedDuration::from(reach);
    let first = totp.step_at(centre - reach).unwrap_or(TimeStep::ZERO);
    let Some(range) = totp.step_at(centre + reach).and_then(|last| StepRange::new(first, last)) else {
        return Ok(Fits { steps: Vec::new(), luck: Odds::ZERO });
    };
    let fits = |step: &TimeStep| {
        StepRange::new(*step, *step).is_some_and(|alone| scan(totp, &[alone], None, codes).fresh.is_some())
    };
    let unknown = u32::try_from(codes.count()).unwrap_or(u32::MAX);
    Ok(Fits {
        steps: range.steps().filter(fits).collect(),
        luck: Odds::of_guess(range.len(), totp.format().guess_odds_numerator(), unknown),
    })
}

/// The nearest fit with another hash, period or number of digits, or with the secret read otherwise.
pub(crate) fn alternative(
    key: &Key,
    codes: &[Code],
    centre: Timestamp,
    reach: Duration,
) -> Result<Option<Alternative>, ExplainError> {
    let reach = if codes.len() > 1 { reach } else { reach.min(NEAR) };
    let own = &key.parameters;
    // The code's length tells its format.
    let format = codes.first().map_or(own.format, Code::format);
    let usual = [30, 60].map(Duration::from_secs).into_iter().filter(|period| *period != own.period);
    let periods: Vec<_> = std::iter::once(own.period).chain(usual).collect();
    let readings = std::iter::once((key.reading, &key.secret))
        .chain(key.others.iter().map(|(reading, secret)| (*reading, secret)));
    let mut best: Option<(u64, Alternative)> = None;
    let mut luck = Odds::ZERO;
    for (reading, secret) in readings {
        for parameters in variants(own, format, &periods) {
            let same = reading == key.reading
                && (parameters.algorithm, parameters.format, parameters.period)
                    == (own.algorithm, own.format, own.period);
            if same {
                continue;
            }
            let totp = parameters.totp(secret)?;
            let found = fits(&totp, codes, centre, reach)?;
            luck = luck.saturating_add(found.luck);
            for step in found.steps {
                let away = (totp.step_start(step) - centre).as_nanos().unsigned_abs();
                if best.as_ref().is_none_or(|(least, _)| away < *least) {
                    let parameters = parameters.clone();
                    best = Some((away, Alternative { reading, parameters, step, luck }));
                }
            }
        }
    }
    Ok(best.map(|(_, alternative)| Alternative { luck, ..alternative }))
}

fn variants<'p>(
    own: &'p Parameters,
    format: Format,
    periods: &'p [Duration],
) -> impl Iterator<Item = Parameters> + 'p {
    let algorithms = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512];
    algorithms.into_iter().flat_map(move |algorithm| {
        periods.iter().map(move |period| Parameters { algorithm, format, period: *period, t0: own.t0 })
    })
}

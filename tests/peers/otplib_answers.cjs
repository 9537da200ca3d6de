// Answers of otplib to the cases on standard input: one JSON list in, one out. Run by tests/peers_uri.rs.
const fs = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');

const installed = createRequire(path.join(path.resolve(process.argv[2]), 'x.js'));
const { generateSync, generateURI } = installed('otplib');
const { parse } = installed('@otplib/uri');

function answer(given) {
  const { secret, algorithm, digits, period, counter, time, account } = given;
  const issuer = given.issuer ?? undefined;
  const codes = {
    totp: (of) => generateSync({ strategy: 'totp', epoch: time, ...of }),
    hotp: (of) => generateSync({ strategy: 'hotp', ...of }),
  };
  const names = { issuer, label: account, secret, algorithm, digits };
  const ourTotp = parse(given.totp_uri);
  const ourHotp = parse(given.hotp_uri);
  return {
    totp_code: codes.totp({ secret, algorithm, digits, period }),
    hotp_code: codes.hotp({ secret, algorithm, digits, counter }),
    totp_uri: generateURI({ strategy: 'totp', ...names, period }),
    hotp_uri: generateURI({ strategy: 'hotp', ...names, counter }),
    our_totp_code: codes.totp(ourTotp.params),
    our_hotp_code: codes.hotp(ourHotp.params),
    // It doesn't split the label.
    our_names: [ourTotp, ourHotp].map((our) => [our.params.issuer ?? null, our.label]),
  };
}

process.stdout.write(JSON.stringify(JSON.parse(fs.readFileSync(0, 'utf8')).map(answer)));

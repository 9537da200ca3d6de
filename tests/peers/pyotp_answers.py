"""Answers of pyotp to the cases on standard input: one JSON list in, one out. Run by tests/peers_uri.rs."""

import hashlib
import json
import sys

import pyotp


def answer(case):
    common = {
        "s": case["secret"],
        "name": case["account"],
        "issuer": case["issuer"],
        "digits": case["digits"],
        "digest": getattr(hashlib, case["algorithm"]),
    }
    totp = pyotp.TOTP(interval=case["period"], **common)
    hotp = pyotp.HOTP(initial_count=case["counter"], **common)
    # What it reads in our URIs. Its HOTP counts from the initial counter.
    our_totp = pyotp.parse_uri(case["totp_uri"])
    our_hotp = pyotp.parse_uri(case["hotp_uri"])
    return {
        "totp_code": totp.at(case["time"]),
        "hotp_code": hotp.at(0),
        "totp_uri": totp.provisioning_uri(),
        "hotp_uri": hotp.provisioning_uri(),
        "our_totp_code": our_totp.at(case["time"]),
        "our_hotp_code": our_hotp.at(0),
        "our_names": [[our.issuer, our.name] for our in (our_totp, our_hotp)],
    }


json.dump([answer(case) for case in json.load(sys.stdin)], sys.stdout)
